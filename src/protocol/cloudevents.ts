/**
 * CloudEvents at the door and on the way out. An event is validated and canonicalised once, when a
 * publisher hands it in; after that it travels as bytes.
 */
import { create } from "@bufbuild/protobuf";
import { MessagingError } from "./errors.ts";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventAttributeValueSchema,
  CloudEventSchema,
} from "./gen/io/cloudevents/v1/cloudevents_pb.js";
import { utf8Encode } from "./utf8.ts";

/** The content type and attribute that stand for a `google.protobuf.Any` as plain bytes. */
export const PROTOBUF_CONTENT_TYPE = "application/protobuf";

/** Attributes that are fields of the event; some SDKs repeat them among the attributes. */
const CONTEXT_FIELDS: ReadonlySet<string> = new Set(["id", "source", "type", "specversion"]);

/** Seconds of 0001-01-01 and 9999-12-31, the range that JSON can express. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

/** The content type whose text the v0.1.1 Go SDK takes as it is. */
const PLAIN_TEXT = /^text\/plain\s*(?:;|$)/i;

/** Names the v0.1.1 SDK can set on an event; it refuses any other. */
const V1_ATTRIBUTE_NAME = /^[A-Za-z0-9]+$/;

/**
 * The event as it is stored and delivered: `spec_version` filled in, repeated context fields
 * stripped, every string valid. The input is not changed.
 *
 * @throws MessagingError BAD_REQUEST for an attribute without value, a timestamp that JSON cannot
 * express, or text that is not valid Unicode: one publisher must never break another's decoder.
 */
export function canonicalEvent(event: CloudEvent): CloudEvent {
  checkText(event.id, "id");
  checkText(event.source, "source");
  checkText(event.type, "type");
  checkText(event.specVersion, "spec_version");
  const attributes: Record<string, CloudEventAttributeValue> = {};
  for (const [name, value] of Object.entries(event.attributes)) {
    if (CONTEXT_FIELDS.has(name)) continue;
    checkText(name, "attribute name");
    // Assigned to an object it would set the prototype, and be gone.
    if (name === "__proto__") throw new MessagingError("BAD_REQUEST", "no attribute has this name");
    checkAttribute(name, value);
    attributes[name] = attribute(value.attr);
  }
  if (event.data.case === "textData") checkText(event.data.value, "text_data");
  if (event.data.case === "protoData") checkText(event.data.value.typeUrl, "proto_data.type_url");
  const { id, source, specVersion, type, data } = event;
  return {
    $typeName: "io.cloudevents.v1.CloudEvent",
    id,
    source,
    specVersion: specVersion || "1.0",
    type,
    attributes,
    // A message may be given as an object with its fields.
    data: data.case === "protoData" ? create(CloudEventSchema, { data }).data : { ...data },
  };
}

/**
 * The event as a v1 client receives it: `source` is the channel, because its Go SDK shows nothing
 * else of where an event came from; data is always `binary_data`, because that SDK encodes text a
 * second time; attributes whose names it refuses are left out.
 */
export function eventForV1(event: CloudEvent, channel: string): CloudEvent {
  const plain = withPlainData(event);
  const attributes: Record<string, CloudEventAttributeValue> = {};
  for (const [name, value] of Object.entries(plain.attributes)) {
    if (V1_ATTRIBUTE_NAME.test(name)) attributes[name] = value;
  }
  const { id, specVersion, type } = plain;
  return {
    $typeName: "io.cloudevents.v1.CloudEvent",
    id,
    source: channel,
    specVersion,
    type,
    attributes,
    data: { case: "binaryData", value: dataBytes(plain) },
  };
}

/**
 * The event as a v1 client receives it where a server sends it to the session itself: what was sent, its source
 * included, but for what its Go SDK refuses or encodes a second time.
 */
export function eventForV1Session(event: CloudEvent): CloudEvent {
  const safe = eventForV1(event, event.source);
  return event.data.case === "textData" && PLAIN_TEXT.test(contentTypeOf(event))
    ? create(CloudEventSchema, { ...safe, data: event.data })
    : safe;
}

/** The event as a JSON connection can carry it: an `Any` needs a registry there, bytes do not. */
export function eventForJson(event: CloudEvent): CloudEvent {
  return withPlainData(event);
}

/** The data as bytes: text as UTF-8, an `Any` as its value, nothing as no bytes. */
export function dataBytes(event: CloudEvent): Uint8Array {
  switch (event.data.case) {
    case "binaryData":
      return event.data.value;
    case "textData":
      return utf8Encode(event.data.value);
    case "protoData":
      return event.data.value.value;
    default:
      return new Uint8Array();
  }
}

function withPlainData(event: CloudEvent): CloudEvent {
  if (event.data.case !== "protoData") return event;
  const any = event.data.value;
  return create(CloudEventSchema, {
    ...event,
    attributes: {
      ...event.attributes,
      datacontenttype: attribute({ case: "ceString", value: PROTOBUF_CONTENT_TYPE }),
      dataschema: attribute({ case: "ceUri", value: any.typeUrl }),
    },
    data: { case: "binaryData", value: any.value },
  });
}

function contentTypeOf({ attributes }: CloudEvent): string {
  const attr = attributes["datacontenttype"]?.attr;
  return attr?.case === "ceString" ? attr.value : "";
}

/** An attribute's value as a message. */
export function attribute(attr: CloudEventAttributeValue["attr"]): CloudEventAttributeValue {
  // A message may be given as an object with its fields.
  if (attr.case === "ceTimestamp") return create(CloudEventAttributeValueSchema, { attr });
  return { $typeName: "io.cloudevents.v1.CloudEventAttributeValue", attr: { ...attr } };
}

function checkAttribute(name: string, value: CloudEventAttributeValue): void {
  const attr = value.attr;
  switch (attr.case) {
    case undefined:
      throw new MessagingError("BAD_REQUEST", `attribute ${name} has no value`);
    case "ceString":
    case "ceUri":
    case "ceUriRef":
      checkText(attr.value, `attribute ${name}`);
      return;
    case "ceTimestamp": {
      const { seconds, nanos } = attr.value;
      const inRange = seconds >= MIN_SECONDS && seconds <= MAX_SECONDS;
      if (!inRange || nanos < 0 || nanos > 999_999_999) {
        throw new MessagingError("BAD_REQUEST", `attribute ${name} is a timestamp out of range`);
      }
      return;
    }
    default:
  }
}

function checkText(text: string, what: string): void {
  if (!text.isWellFormed()) {
    throw new MessagingError("BAD_REQUEST", `${what} is not valid Unicode`);
  }
}
