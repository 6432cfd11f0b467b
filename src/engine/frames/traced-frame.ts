/** What a trace says of one frame: never a token, and an event only where that was asked for. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { codecFor } from "../../protocol/codec.ts";
import {
  type TracedFrame,
  TracedFrameSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { WatchedSession } from "./watch.ts";

/** Characters of a payload. */
const MAX_PAYLOAD = 4_096;
/** Characters of a name that clients choose. */
const MAX_NAME = 256;

/** Envelopes that carry events, and no token in any field. */
const CARRYING: ReadonlySet<string | undefined> = new Set<
  InboundMessage["envelope"]["case"] | OutboundMessage["envelope"]["case"]
>([
  "publish",
  "rpcRequest",
  "rpcReply",
  "surveyRequest",
  "surveyResponse",
  "surveyResult",
  "publication",
  "compact",
  "history",
]);

type Known = Omit<MessageInitShape<typeof TracedFrameSchema>, "$typeName">;

/** What is the same of every frame of a session. */
export function frameOf(
  { id, userId, clientId }: WatchedSession,
  time: number,
  known: Known,
): TracedFrame {
  return create(TracedFrameSchema, {
    sessionId: id,
    userId,
    clientId: clientId.slice(0, MAX_NAME),
    time: BigInt(time),
    ...known,
  });
}

export function inboundFrame(message: InboundMessage, bytes: number, payloads: boolean): Known {
  const { envelope } = message;
  const carries = payloads && CARRYING.has(envelope.case);
  return {
    inbound: true,
    kind: kindOf(envelope.case),
    id: message.id.slice(0, MAX_NAME),
    channel: channelsIn(message)[0] ?? "",
    bytes,
    outcome: "taken",
    payload: carries ? shortened(() => codecFor("json").encodeInbound(message)) : "",
  };
}

export function outboundFrame(message: OutboundMessage, bytes: number, payloads: boolean): Known {
  const { envelope } = message;
  const carries = payloads && CARRYING.has(envelope.case);
  return {
    inbound: false,
    kind: kindOf(envelope.case),
    id: message.id.slice(0, MAX_NAME),
    channel: channelsOut(message)[0] ?? "",
    bytes,
    outcome: envelope.case === "error" ? envelope.value.code.slice(0, MAX_NAME) : "sent",
    payload: carries ? shortened(() => codecFor("json").encodeOutbound(message)) : "",
  };
}

/** The channels that a client's frame names. */
export function channelsIn({ channel, envelope }: InboundMessage): readonly string[] {
  switch (envelope.case) {
    case "publish":
    case "rpcRequest":
      return [channel || envelope.value.source];
    case "subscribe":
    case "unsubscribe":
    case "connect":
      return envelope.value.subscriptions.map((one) => one.channel);
    case "historyRequest":
    case "presenceRequest":
      return [envelope.value.channel];
    default:
      return channel === "" ? [] : [channel];
  }
}

/** The channels that a frame for a client names. */
export function channelsOut({ envelope }: OutboundMessage): readonly string[] {
  switch (envelope.case) {
    case "publication":
      return envelope.value.messages.map(({ channel }) => channel);
    case "subscribeAck":
    case "unsubscribeAck":
      return envelope.value.subscriptions.map((one) => one.channel);
    case "compact":
    case "recovered":
    case "gap":
    case "history":
    case "presence":
    case "presenceEvent":
      return [envelope.value.channel];
    default:
      return [];
  }
}

/** The name on the wire: `rpcRequest` is `rpc_request`. */
function kindOf(name: string | undefined): string {
  return (name ?? "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function shortened(encode: () => string | Uint8Array): string {
  const text = encode();
  return typeof text === "string" ? text.slice(0, MAX_PAYLOAD).toWellFormed() : "";
}
