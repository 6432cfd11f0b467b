/** Answers that clients get most, in protobuf, without the runtime. All others are left to it. */
import { WireType } from "@bufbuild/protobuf/wire";
import type { OutboundMessage } from "../gen/messageloop/v1/service_pb.js";
import { writeEvent } from "./event.ts";
import { arePlain, isPlainConnected, writeConnected, writeSubscriptions } from "./sessions.ts";
import { writeText, writeTexts, writeUint64, written } from "./writer.ts";

/**
 * The bytes of an answer to a publish, an RPC, a ping, a connect or a subscribe.
 *
 * @returns undefined for any other message, and for what is seldom in one of these
 */
export function plainOutbound(message: OutboundMessage): Uint8Array<ArrayBuffer> | undefined {
  const { id, metadata, time, envelope } = message;
  if (!isPlain(envelope) || message.$unknown !== undefined) return undefined;
  if (envelope.value.$unknown !== undefined) return undefined;
  return written((writer) => {
    writeText(writer, 1, id);
    writeTexts(writer, 2, metadata);
    writeUint64(writer, 3, time);
    switch (envelope.case) {
      case "connected":
        writer.tag(12, WireType.LengthDelimited).fork();
        writeConnected(writer, envelope.value);
        break;
      case "subscribeAck":
        writer.tag(13, WireType.LengthDelimited).fork();
        writeSubscriptions(writer, 1, envelope.value.subscriptions);
        break;
      case "rpcReply":
        writer.tag(15, WireType.LengthDelimited).fork();
        writeEvent(writer, envelope.value);
        break;
      case "pong":
        writer.tag(16, WireType.LengthDelimited).fork();
        break;
      default: {
        const { offset, epoch, duplicate } = envelope.value;
        writer.tag(17, WireType.LengthDelimited).fork();
        writeUint64(writer, 1, offset);
        writeText(writer, 16, epoch);
        if (duplicate) writer.tag(17, WireType.Varint).bool(true);
      }
    }
    writer.join();
  });
}

type Envelope = OutboundMessage["envelope"];
/** What can be written here, as far as all of it is known. */
type PlainEnvelope = Extract<
  Envelope,
  { case: "connected" | "subscribeAck" | "publishAck" | "rpcReply" | "pong" }
>;

function isPlain(envelope: Envelope): envelope is PlainEnvelope {
  switch (envelope.case) {
    case "publishAck":
    case "rpcReply":
    case "pong":
      return true;
    case "connected":
      return isPlainConnected(envelope.value);
    case "subscribeAck":
      return arePlain(envelope.value.subscriptions);
    default:
      return false;
  }
}
