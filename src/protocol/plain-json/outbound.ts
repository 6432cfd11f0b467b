/** Answers that clients get most, in JSON, without the runtime. All others are left to it. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { OutboundMessage } from "../gen/messageloop/v1/service_pb.js";
import { eventJson } from "./event.ts";
import { connectedJson, subscribeAckJson } from "./sessions.ts";

/**
 * The text of an answer to a publish, an RPC, a ping, a connect or a subscribe.
 *
 * @returns undefined for any other message, and for what is seldom in one of these
 */
export function plainOutbound({
  id,
  metadata,
  time,
  envelope,
}: OutboundMessage): string | undefined {
  const json: JsonObject = {};
  if (id !== "") json["id"] = id;
  if (Object.keys(metadata).length > 0) json["metadata"] = metadata;
  if (time !== 0n) json["time"] = `${time}`;
  switch (envelope.case) {
    case "publishAck": {
      const { offset, epoch, duplicate } = envelope.value;
      const ack: JsonObject = {};
      if (offset !== 0n) ack["offset"] = `${offset}`;
      if (epoch !== "") ack["epoch"] = epoch;
      if (duplicate) ack["duplicate"] = true;
      json["publish_ack"] = ack;
      break;
    }
    case "rpcReply":
      json["rpc_reply"] = eventJson(envelope.value);
      break;
    case "pong":
      json["pong"] = {};
      break;
    case "connected": {
      const connected = connectedJson(envelope.value);
      if (connected === undefined) return undefined;
      json["connected"] = connected;
      break;
    }
    case "subscribeAck": {
      const ack = subscribeAckJson(envelope.value);
      if (ack === undefined) return undefined;
      json["subscribe_ack"] = ack;
      break;
    }
    default:
      return undefined;
  }
  return JSON.stringify(json);
}
