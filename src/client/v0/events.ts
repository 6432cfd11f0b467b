/** Events as applications see them, and the messages of protobuf that the protocol has for them. */
import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type CloudEventAttributeValue,
  CloudEventAttributeValueSchema,
  CloudEventSchema,
  type CloudEvent as EventMessage,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type CloudEvent,
  fromWireEvent as fromFrame,
  toWireEvent as toFrame,
} from "../core/cloud-event.ts";
import { plainEvent } from "../protobuf/plain-event.ts";
import type { WireAttribute, WireEvent } from "../wire/frames.ts";

/**
 * An event as the wire carries it.
 *
 * @throws TypeError for an attribute value or data that CloudEvents cannot carry.
 *
 * @example
 * await engine.publish("news", toWireEvent({ id: "1", source: "/news", specversion: "1.0", type: "flash", data: { text: "hello" } }));
 */
export function toWireEvent(event: CloudEvent): EventMessage {
  const {
    id = "",
    source = "",
    spec_version: specVersion = "",
    type = "",
    ...rest
  } = toFrame(event);
  const attributes: Record<string, CloudEventAttributeValue> = {};
  for (const [name, attribute] of Object.entries(rest.attributes ?? {})) {
    attributes[name] = create(CloudEventAttributeValueSchema, { attr: attrOf(attribute) });
  }
  return create(CloudEventSchema, {
    ...{ id, source, specVersion, type, attributes },
    data: dataOf(rest),
  });
}

/**
 * A received event as applications see it. Data that claims to be JSON but is not stays text.
 *
 * @example
 * const rpc: Backends["rpc"] = async ({ payload }) => {
 *   const { data } = fromWireEvent(payload);
 *   return toWireEvent({ id: "1", source: "/shop", specversion: "1.0", type: "echo", data });
 * };
 */
export function fromWireEvent({ attributes, data, ...names }: EventMessage): CloudEvent {
  const { id, source, specVersion: spec_version, type } = names;
  const event: WireEvent = {
    ...{ id, source, spec_version, type },
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([name, { attr }]) => [name, attributeOf(attr)]),
    ),
  };
  switch (data.case) {
    case "textData":
      return fromFrame({ ...event, text_data: data.value });
    case "binaryData":
      return fromFrame({ ...event, binary_data: bytes(data.value) });
    case "protoData": {
      const { typeUrl: type_url, value } = data.value;
      return fromFrame(plainEvent({ ...event, proto_data: { type_url, value: bytes(value) } }));
    }
    default:
      return fromFrame(event);
  }
}

function dataOf({ text_data, binary_data }: WireEvent): EventMessage["data"] {
  if (text_data !== undefined) return { case: "textData", value: text_data };
  if (binary_data !== undefined) return { case: "binaryData", value: binary_data };
  return { case: undefined };
}

function attrOf(attribute: WireAttribute): CloudEventAttributeValue["attr"] {
  const { ce_boolean, ce_integer, ce_bytes, ce_uri, ce_timestamp, ce_string = "" } = attribute;
  if (ce_boolean !== undefined) return { case: "ceBoolean", value: ce_boolean };
  if (ce_integer !== undefined) return { case: "ceInteger", value: ce_integer };
  if (ce_bytes !== undefined) return { case: "ceBytes", value: ce_bytes };
  if (ce_uri !== undefined) return { case: "ceUri", value: ce_uri };
  if (ce_timestamp === undefined) return { case: "ceString", value: ce_string };
  return { case: "ceTimestamp", value: timestampFromDate(new Date(ce_timestamp)) };
}

function attributeOf(attr: CloudEventAttributeValue["attr"]): WireAttribute {
  switch (attr.case) {
    case "ceBoolean":
      return { ce_boolean: attr.value };
    case "ceInteger":
      return { ce_integer: attr.value };
    case "ceString":
      return { ce_string: attr.value };
    case "ceBytes":
      return { ce_bytes: bytes(attr.value) };
    case "ceUri":
      return { ce_uri: attr.value };
    case "ceUriRef":
      return { ce_uri_ref: attr.value };
    case "ceTimestamp":
      return { ce_timestamp: timestampDate(attr.value).toISOString() };
    default:
      return {};
  }
}

/** Bytes of a message are never those of a shared buffer. */
function bytes(value: Uint8Array): Uint8Array<ArrayBuffer> {
  return value as Uint8Array<ArrayBuffer>;
}
