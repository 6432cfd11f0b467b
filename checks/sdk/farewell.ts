/** What a server says before it closes. */
import { create } from "@bufbuild/protobuf";
import { codecFor } from "../../src/protocol/codec.ts";
import { OutboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { BINARY, closeFrame, serverFrame, TEXT } from "../../test/support/frame-ends.ts";

export interface Farewell {
  readonly code: number;
  readonly reason: string;
  readonly reconnect: boolean;
  /** Milliseconds that a client waits at least before it comes back; 0 where that is for it to choose. */
  readonly retryAfterMs: number;
}

/** The last frames of a WebSocket with this subprotocol: where there is more to say than the code, the envelope `disconnect`. */
export function lastFrames(value: Farewell, subprotocol: string): Buffer {
  const close = closeFrame(value.code, value.reason);
  if (value.retryAfterMs === 0) return close;
  const { encodeOutbound } = codecFor(subprotocol === "messageloop+proto" ? "proto" : "json");
  const frame = encodeOutbound(
    create(OutboundMessageSchema, { envelope: { case: "disconnect", value } }),
  );
  const told =
    typeof frame === "string" ? serverFrame(TEXT, Buffer.from(frame)) : serverFrame(BINARY, frame);
  return Buffer.concat([told, close]);
}
