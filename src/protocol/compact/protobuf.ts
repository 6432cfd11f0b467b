/** Compact frames as protobuf. What stands in an event's bytes is spliced: its fields have the same numbers here. */
import { WireType } from "@bufbuild/protobuf/wire";
import { writePublisher } from "../plain-protobuf/entry.ts";
import { writeText, writeTexts, writeUint64, written } from "../plain-protobuf/writer.ts";
import type { CompactEncoder } from "./encoder.ts";
import { remembering } from "./known.ts";

export const compactProtobuf: CompactEncoder<Uint8Array> = {
  context: remembering(({ origin, attributes, publisher, metadata }) => {
    return written((writer) => {
      writer.raw(origin);
      for (const field of attributes) writer.raw(field);
      if (publisher !== undefined) {
        writer.tag(13, WireType.LengthDelimited).fork();
        writePublisher(writer, publisher);
        writer.join();
      }
      writeTexts(writer, 14, metadata);
    });
  }),

  message({ parts, attributes, metadata, later, time, id }) {
    return written((writer) => {
      writer.raw(parts.id);
      for (const field of attributes) writer.raw(field);
      writer.raw(parts.data);
      if (later > 0) writer.tag(10, WireType.Varint).uint32(later);
      writeUint64(writer, 11, time);
      writeText(writer, 12, id);
      writeTexts(writer, 14, metadata);
    });
  },

  frame({ channel, epoch, offset, time, replay }, contexts, messages) {
    return written((writer) => {
      writer.tag(44, WireType.LengthDelimited).fork();
      writeText(writer, 1, channel);
      writeText(writer, 2, epoch);
      if (replay) writer.tag(5, WireType.Varint).bool(true);
      for (const context of contexts) writer.tag(6, WireType.LengthDelimited).bytes(context);
      // What is another one in each frame comes last, so that a client knows the beginning from the frame before.
      if (offset > 0) writer.tag(3, WireType.Varint).uint64(offset);
      writeUint64(writer, 4, time);
      for (const { piece, context } of messages) {
        writer.tag(7, WireType.LengthDelimited);
        if (context === 0) writer.bytes(piece);
        else {
          writer.fork().tag(9, WireType.Varint).uint32(context);
          writer.raw(piece).join();
        }
      }
      writer.join();
    });
  },
};
