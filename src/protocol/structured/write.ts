/** Events as JSON documents on the way out, for programs that speak CloudEvents. */
import { toJson } from "@bufbuild/protobuf";
import { base64Encode, getTextEncoding } from "@bufbuild/protobuf/wire";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { eventForJson } from "../cloudevents.ts";
import type {
  CloudEvent,
  CloudEventAttributeValue,
} from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { mediaTypeOf } from "../media-type.ts";
import { utf8Encode } from "../utf8.ts";

/** What text without a type of its own is said to be: a document that says nothing says that its data is JSON. */
const PLAIN_TEXT = "text/plain";
const NAME = /^[a-z0-9]+$/;
/** Members of a document that no attribute may take the place of. */
const MEMBERS: ReadonlySet<string> = new Set(["specversion", "id", "source", "type", "data"]);

/**
 * An event as the document that the structured mode has as its body.
 *
 * Attributes are written by their names in lower case; one whose name CloudEvents does not allow is left out. Data
 * that is JSON by its type stands there as it is, text as a text, and all else in base64.
 *
 * @param extensions stand above attributes of the same name; one that is empty is left out, and so is the event's own
 * @example
 * structuredText(create(CloudEventSchema, { id: "1", source: "/s", type: "t" }), { mluser: "ada" });
 * // {"specversion":"1.0","id":"1","source":"/s","type":"t","mluser":"ada"}
 */
export function structuredText(
  event: CloudEvent,
  extensions: Readonly<Record<string, string>> = {},
): string {
  const { id, source, type, attributes, data } = eventForJson(event);
  const members = new Map<string, string>();
  const put = (name: string, value: unknown) => members.set(name, JSON.stringify(value));
  put("specversion", "1.0");
  put("id", id);
  put("source", source);
  put("type", type);
  let contentType = "";
  for (const [written, value] of Object.entries(attributes)) {
    const name = written.toLowerCase();
    if (!NAME.test(name) || MEMBERS.has(name) || members.has(name)) continue;
    if (Object.hasOwn(extensions, name)) continue;
    const json = attributeJson(value);
    if (json === undefined) continue;
    put(name, json);
    if (name === "datacontenttype") contentType = `${json}`;
  }
  for (const [name, value] of Object.entries(extensions)) if (value !== "") put(name, value);
  if (data.case === "textData" && contentType === "") {
    contentType = PLAIN_TEXT;
    put("datacontenttype", contentType);
  }
  const [name, json] = dataMember(data, contentType);
  if (json !== undefined) members.set(name, json);
  return `{${[...members].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join()}}`;
}

function attributeJson({ attr }: CloudEventAttributeValue): string | number | boolean | undefined {
  switch (attr.case) {
    case "ceBytes":
      return base64Encode(attr.value);
    case "ceTimestamp":
      return toJson(TimestampSchema, attr.value);
    default:
      return attr.value;
  }
}

/** The member that holds the data, as it is written; undefined where there is none. */
function dataMember(
  data: CloudEvent["data"],
  contentType: string,
): readonly ["data" | "data_base64", string | undefined] {
  const { json, text } = mediaTypeOf(contentType);
  if (data.case === "textData") {
    if (!json) return ["data", JSON.stringify(data.value)];
    if (isJson(data.value)) return ["data", data.value];
    return ["data_base64", JSON.stringify(base64Encode(utf8Encode(data.value)))];
  }
  const bytes = data.case === "binaryData" ? data.value : undefined;
  // HTTP does not distinguish an empty body from none either.
  if (bytes === undefined || bytes.length === 0) return ["data", undefined];
  const read = text ? utf8OrNothing(bytes) : undefined;
  if (read !== undefined && !json) return ["data", JSON.stringify(read)];
  if (read !== undefined && isJson(read)) return ["data", read];
  return ["data_base64", JSON.stringify(base64Encode(bytes))];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function utf8OrNothing(bytes: Uint8Array): string | undefined {
  try {
    return getTextEncoding().decodeUtf8(bytes, true);
  } catch {
    return undefined;
  }
}
