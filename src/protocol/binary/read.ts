/** Events in the binary mode of HTTP, of any sender: attributes in headers, the data is the body. */
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { mediaTypeOf } from "../media-type.ts";
import { type AttributeValue, bad, type Data, eventOf } from "../structured/attributes.ts";
import { attributeTexts, headerText } from "./header-value.ts";

const PREFIX = "ce-";
/** What libraries of HTTP say of a body that is empty. */
const FORM = "application/x-www-form-urlencoded";
/** What stands between name and value of a header, and after it. */
const SEPARATORS = 4;

/** The headers of an event, by attribute, as they came. */
export function attributeHeaders(
  headers: Iterable<readonly [name: string, value: string]>,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith(PREFIX)) found.set(lower.slice(PREFIX.length), value);
  }
  return found;
}

/** How long the headers of an event are, in bytes. */
export function headerBytes(headers: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [name, value] of headers) {
    bytes += PREFIX.length + name.length + value.length + SEPARATORS;
  }
  return bytes;
}

/**
 * An event out of its headers and its body. An empty body is no data: HTTP has one form for both.
 *
 * @param isText whether values of headers have been read as UTF-8, see {@link headerText}
 * @throws MessagingError BAD_REQUEST for what is no event
 */
export function binaryEvent(
  headers: ReadonlyMap<string, string>,
  contentType: string | undefined,
  body: Uint8Array,
  isText: boolean,
): CloudEvent {
  const values = [...headers].map(
    ([name, value]) => [name, headerText(name, value, isText)] as const,
  );
  const attributes: Map<string, AttributeValue> = attributeTexts(new Map(values));
  const said = attributes.get("datacontenttype");
  if (said !== undefined && said !== contentType) {
    throw bad("in binary mode the header Content-Type says what the data is, and no other one");
  }
  if (contentType !== undefined && !(body.length === 0 && contentType === FORM)) {
    attributes.set("datacontenttype", contentType);
  }
  return eventOf(attributes, dataOf(contentType ?? "", body));
}

/** Text where it is meant to be, so that JSON subscribers get it as such, and the same bytes in any case. */
function dataOf(contentType: string, body: Uint8Array): Data {
  if (body.length === 0) return { case: undefined };
  if (mediaTypeOf(contentType).text) {
    try {
      return { case: "textData", value: getTextEncoding().decodeUtf8(body, true) };
    } catch {
      // Then they are bytes, even if the header says text.
    }
  }
  return { case: "binaryData", value: body };
}
