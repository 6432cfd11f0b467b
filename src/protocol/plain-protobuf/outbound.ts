/** Answers that clients get most, in protobuf, without the runtime. All others are left to it. */
import { WireType } from "@bufbuild/protobuf/wire";
import type { OutboundMessage } from "../gen/messageloop/v1/service_pb.js";
import { writeEvent } from "./event.ts";
import { writeText, writeTexts, writeUint64, written } from "./writer.ts";

/**
 * The bytes of an answer to a publish, an RPC or a ping.
 *
 * @returns undefined for any other message
 */
export function plainOutbound(message: OutboundMessage): Uint8Array<ArrayBuffer> | undefined {
  const { id, metadata, time, envelope } = message;
  const kind = envelope.case;
  if (kind !== "publishAck" && kind !== "rpcReply" && kind !== "pong") return undefined;
  if (message.$unknown !== undefined || envelope.value.$unknown !== undefined) return undefined;
  return written((writer) => {
    writeText(writer, 1, id);
    writeTexts(writer, 2, metadata);
    writeUint64(writer, 3, time);
    if (kind === "publishAck") {
      const { offset, epoch, duplicate } = envelope.value;
      writer.tag(17, WireType.LengthDelimited).fork();
      writeUint64(writer, 1, offset);
      writeText(writer, 16, epoch);
      if (duplicate) writer.tag(17, WireType.Varint).bool(true);
    } else if (kind === "rpcReply") {
      writer.tag(15, WireType.LengthDelimited).fork();
      writeEvent(writer, envelope.value);
    } else {
      writer.tag(16, WireType.LengthDelimited).fork();
    }
    writer.join();
  });
}
