/**
 * Events in protobuf without the runtime, which walks over a schema for them. What is seldom in an event is left to
 * it, so that both say the same of every event.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventAttributeValueSchema,
  CloudEventSchema,
} from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { blankEvent } from "../plain-json/blank.ts";
import { writeText, written } from "./writer.ts";

/**
 * The bytes of an event.
 *
 * @example
 * eventBytes(create(CloudEventSchema, { id: "1", source: "/s", type: "t" })); // 0a 01 31 12 02 2f 73 22 01 74
 */
export function eventBytes(event: CloudEvent): Uint8Array<ArrayBuffer> {
  return event.$unknown === undefined
    ? written((writer) => writeEvent(writer, event))
    : toBinary(CloudEventSchema, event);
}

/** The fields of an event that has no unknown ones. */
export function writeEvent(writer: BinaryWriter, event: CloudEvent): void {
  writeText(writer, 1, event.id);
  writeText(writer, 2, event.source);
  writeText(writer, 3, event.specVersion);
  writeText(writer, 4, event.type);
  const { attributes, data } = event;
  for (const name of Object.keys(attributes)) {
    writer.tag(5, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name);
    writeAttribute(writer, attributes[name] as CloudEventAttributeValue);
    writer.join();
  }
  switch (data.case) {
    case "binaryData":
      writer.tag(6, WireType.LengthDelimited).bytes(data.value);
      break;
    case "textData":
      writer.tag(7, WireType.LengthDelimited).string(data.value);
      break;
    case "protoData":
      writer.tag(8, WireType.LengthDelimited).bytes(toBinary(AnySchema, data.value));
      break;
    default:
  }
}

/** The value of an attribute: nearly all are texts. */
function writeAttribute(writer: BinaryWriter, value: CloudEventAttributeValue): void {
  writer.tag(2, WireType.LengthDelimited);
  const field = value.$unknown === undefined ? textField(value.attr.case) : undefined;
  if (field === undefined) {
    writer.bytes(toBinary(CloudEventAttributeValueSchema, value));
    return;
  }
  writer.fork();
  writer.tag(field, WireType.LengthDelimited).string(value.attr.value as string);
  writer.join();
}

function textField(kind: CloudEventAttributeValue["attr"]["case"]): number | undefined {
  if (kind === "ceString") return 3;
  if (kind === "ceUri") return 5;
  return kind === "ceUriRef" ? 6 : undefined;
}

const ID = tag(1);
const SOURCE = tag(2);
const SPEC_VERSION = tag(3);
const TYPE = tag(4);
const ATTRIBUTES = tag(5);
const BINARY_DATA = tag(6);
const TEXT_DATA = tag(7);

/** The tag of a field that says how long it is. */
export function tag(field: number): number {
  return (field << 3) | WireType.LengthDelimited;
}

/** The next tag; 0, which is none, where it takes more bytes than any of those that are read here. */
export function nextTag(reader: BinaryReader): number {
  const start = reader.pos;
  const next = reader.uint32();
  return reader.pos - start > 2 ? 0 : next;
}

/**
 * An event out of bytes that this server, or another one, has written.
 *
 * @throws Error for what is no event
 * @example
 * eventOf(eventBytes(event)); // as event
 */
export function eventOf(bytes: Uint8Array): CloudEvent {
  return wholeEvent(bytes) ?? fromBinary(CloudEventSchema, bytes);
}

function wholeEvent(bytes: Uint8Array): CloudEvent | undefined {
  try {
    return plainEvent(new BinaryReader(bytes), bytes.length);
  } catch {
    return undefined;
  }
}

/**
 * An event that ends at a place.
 *
 * @returns undefined where it holds anything that is seldom, or wrong: then the runtime has to say what it is
 * @throws Error for what cannot be read like this, which is for the runtime as well
 */
export function plainEvent(reader: BinaryReader, end: number): CloudEvent | undefined {
  const event = blankEvent();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case ID:
        event.id = reader.string(true);
        break;
      case SOURCE:
        event.source = reader.string(true);
        break;
      case SPEC_VERSION:
        event.specVersion = reader.string(true);
        break;
      case TYPE:
        event.type = reader.string(true);
        break;
      case ATTRIBUTES:
        if (!readAttribute(reader, event.attributes)) return undefined;
        break;
      case BINARY_DATA:
        event.data = { case: "binaryData", value: reader.bytes() };
        break;
      case TEXT_DATA:
        event.data = { case: "textData", value: reader.string(true) };
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? event : undefined;
}

/** Reads the entry of an attribute. Returns whether it is one that is a text under a name. */
function readAttribute(reader: BinaryReader, attributes: CloudEvent["attributes"]): boolean {
  const end = reader.uint32() + reader.pos;
  // Both in this order, and each once, as everybody writes them.
  if (nextTag(reader) !== tag(1)) return false;
  const name = reader.string(true);
  if (reader.pos >= end || nextTag(reader) !== tag(2)) return false;
  // Assigned to an object that name would set the prototype.
  if (name === "__proto__" || reader.uint32() + reader.pos !== end) return false;
  const attr = readText(reader);
  if (attr === undefined || reader.pos !== end) return false;
  attributes[name] = { $typeName: "io.cloudevents.v1.CloudEventAttributeValue", attr };
  return true;
}

function readText(reader: BinaryReader): CloudEventAttributeValue["attr"] | undefined {
  switch (nextTag(reader)) {
    case tag(3):
      return { case: "ceString", value: reader.string(true) };
    case tag(5):
      return { case: "ceUri", value: reader.string(true) };
    case tag(6):
      return { case: "ceUriRef", value: reader.string(true) };
    default:
      return undefined;
  }
}
