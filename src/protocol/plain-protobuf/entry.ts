/** What the log keeps of an event, in protobuf, without the runtime. */
import { toBinary } from "@bufbuild/protobuf";
import { type BinaryReader, type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type EntryBody, EntryBodySchema } from "../gen/messageloop/internal/v1/internal_pb.js";
import type { Publisher } from "../gen/messageloop/v1/service_pb.js";
import { nextTag, tag } from "./event.ts";
import { readText } from "./inbound.ts";
import { writeText, writeTexts, written } from "./writer.ts";

const FIRST = tag(1);
const SECOND = tag(2);
const THIRD = tag(3);

/**
 * The bytes of an entry's body.
 *
 * @example
 * bodyBytes(create(EntryBodySchema, { event: eventBytes(event) }));
 */
export function bodyBytes(body: EntryBody): Uint8Array<ArrayBuffer> {
  const { event, publisher, metadata } = body;
  if (body.$unknown !== undefined || publisher?.$unknown !== undefined) {
    return toBinary(EntryBodySchema, body);
  }
  return written((writer) => {
    if (event.length > 0) writer.tag(1, WireType.LengthDelimited).bytes(event);
    if (publisher !== undefined) {
      writer.tag(2, WireType.LengthDelimited).fork();
      writePublisher(writer, publisher);
      writer.join();
    }
    writeTexts(writer, 3, metadata);
  });
}

/** The fields of a publisher that has no unknown ones. */
export function writePublisher(writer: BinaryWriter, publisher: Publisher): void {
  writeText(writer, 1, publisher.clientId);
  writeText(writer, 2, publisher.userId);
  writeText(writer, 3, publisher.sessionId);
}

/**
 * The body that ends at a place.
 *
 * @returns undefined where it holds anything that is seldom, or wrong
 */
export function plainBody(reader: BinaryReader, end: number): EntryBody | undefined {
  const body: EntryBody = {
    $typeName: "messageloop.internal.v1.EntryBody",
    event: new Uint8Array(),
    metadata: {},
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case FIRST:
        body.event = reader.bytes();
        break;
      case SECOND: {
        // The runtime makes one of two.
        if (body.publisher !== undefined) return undefined;
        const publisher = plainPublisher(reader, reader.uint32() + reader.pos);
        if (publisher === undefined) return undefined;
        body.publisher = publisher;
        break;
      }
      case THIRD:
        if (!readText(reader, body.metadata)) return undefined;
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? body : undefined;
}

function plainPublisher(reader: BinaryReader, end: number): Publisher | undefined {
  const publisher: Publisher = {
    $typeName: "messageloop.v1.Publisher",
    clientId: "",
    userId: "",
    sessionId: "",
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case FIRST:
        publisher.clientId = reader.string(true);
        break;
      case SECOND:
        publisher.userId = reader.string(true);
        break;
      case THIRD:
        publisher.sessionId = reader.string(true);
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? publisher : undefined;
}
