/** What the log keeps of an event, in protobuf, without the runtime. */
import { toBinary } from "@bufbuild/protobuf";
import { type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type EntryBody, EntryBodySchema } from "../gen/messageloop/internal/v1/internal_pb.js";
import type { Publisher } from "../gen/messageloop/v1/service_pb.js";
import { writeText, writeTexts, written } from "./writer.ts";

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
