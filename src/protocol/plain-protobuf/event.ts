/**
 * Events in protobuf without the runtime, which walks over a schema for them. What is seldom in an event is left to
 * it, so that both say the same of every event.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventAttributeValueSchema,
  CloudEventSchema,
} from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { readCloudEvent } from "./gen/read.ts";
import { whole } from "./reader.ts";
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

/**
 * An event out of bytes that this server, or another one, has written.
 *
 * @throws Error for what is no event
 * @example
 * eventOf(eventBytes(event)); // as event
 */
export function eventOf(bytes: Uint8Array): CloudEvent {
  return whole(bytes, readCloudEvent) ?? fromBinary(CloudEventSchema, bytes);
}
