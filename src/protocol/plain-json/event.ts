/**
 * Events in protobuf JSON without the runtime, which walks over a schema for it. What is seldom in an event is left to
 * it, so that both say the same of every event.
 */
import { type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventSchema,
} from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { isBase64, isObject } from "../json-strict.ts";
import { blankEvent } from "./blank.ts";

/**
 * An event by the names of the proto file.
 *
 * @throws Error for data that is a protobuf message, which needs a registry: see `eventForJson`
 * @example
 * eventJson(create(CloudEventSchema, { id: "1", source: "/s", type: "t" })); // { id: "1", source: "/s", type: "t" }
 */
export function eventJson(event: CloudEvent): JsonValue {
  const { id, source, specVersion, type, data } = event;
  const json: JsonObject = {};
  if (id !== "") json["id"] = id;
  if (source !== "") json["source"] = source;
  if (specVersion !== "") json["spec_version"] = specVersion;
  if (type !== "") json["type"] = type;
  const names = Object.keys(event.attributes);
  if (names.length > 0) {
    const attributes: JsonObject = {};
    for (const name of names) {
      const value = attributeJson(event.attributes[name]);
      // Assigned to an object that name would set the prototype.
      if (value === undefined || name === "__proto__") return whole(event);
      attributes[name] = value;
    }
    json["attributes"] = attributes;
  }
  if (data.case === "textData") json["text_data"] = data.value;
  else if (data.case === "binaryData") json["binary_data"] = base64Encode(data.value);
  else if (data.case !== undefined) return whole(event);
  return json;
}

function whole(event: CloudEvent): JsonValue {
  return toJson(CloudEventSchema, event, { useProtoFieldName: true });
}

function attributeJson(value: CloudEventAttributeValue | undefined): JsonObject | undefined {
  const attr = value?.attr;
  switch (attr?.case) {
    case "ceString":
      return { ce_string: attr.value };
    case "ceUri":
      return { ce_uri: attr.value };
    case "ceUriRef":
      return { ce_uri_ref: attr.value };
    case "ceBoolean":
      return { ce_boolean: attr.value };
    case "ceInteger":
      return { ce_integer: attr.value };
    case "ceBytes":
      return { ce_bytes: base64Encode(attr.value) };
    case "ceTimestamp":
      return { ce_timestamp: toJson(TimestampSchema, attr.value) };
    default:
      return undefined;
  }
}

/**
 * An event out of its protobuf JSON, in either spelling of its fields.
 *
 * @returns undefined where it holds anything that is seldom, or wrong: then the runtime has to say what it is
 */
export function plainEvent(json: JsonValue | undefined): CloudEvent | undefined {
  if (!isObject(json)) return undefined;
  const event = blankEvent();
  let named = false;
  for (const name of Object.keys(json)) {
    const value = json[name];
    if (name === "attributes") {
      const attributes = plainAttributes(value);
      if (attributes === undefined) return undefined;
      event.attributes = attributes;
      continue;
    }
    if (!isText(value)) return undefined;
    switch (name) {
      case "id":
      case "source":
      case "type":
        event[name] = value;
        break;
      case "spec_version":
      case "specVersion":
        // Both at once are one too many.
        if (named) return undefined;
        named = true;
        event.specVersion = value;
        break;
      case "text_data":
      case "textData":
        if (event.data.case !== undefined) return undefined;
        event.data = { case: "textData", value };
        break;
      case "binary_data":
      case "binaryData":
        if (event.data.case !== undefined || !isBase64(value)) return undefined;
        event.data = { case: "binaryData", value: base64Decode(value) };
        break;
      default:
        return undefined;
    }
  }
  return event;
}

function plainAttributes(json: JsonValue | undefined): CloudEvent["attributes"] | undefined {
  if (!isObject(json)) return undefined;
  const attributes: CloudEvent["attributes"] = {};
  for (const name of Object.keys(json)) {
    const attr = plainAttribute(json[name]);
    if (attr === undefined || name === "__proto__" || !name.isWellFormed()) return undefined;
    attributes[name] = { $typeName: "io.cloudevents.v1.CloudEventAttributeValue", attr };
  }
  return attributes;
}

/** One that is a text, as nearly all are. */
function plainAttribute(json: JsonValue | undefined): CloudEventAttributeValue["attr"] | undefined {
  if (!isObject(json)) return undefined;
  const [name = "", ...others] = Object.keys(json);
  const value = json[name];
  if (others.length > 0 || !isText(value)) return undefined;
  switch (name) {
    case "ce_string":
    case "ceString":
      return { case: "ceString", value };
    case "ce_uri":
    case "ceUri":
      return { case: "ceUri", value };
    case "ce_uri_ref":
    case "ceUriRef":
      return { case: "ceUriRef", value };
    default:
      return undefined;
  }
}

export function isText(value: JsonValue | undefined): value is string {
  return typeof value === "string" && value.isWellFormed();
}
