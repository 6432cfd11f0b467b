/** What a server says before it closes. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { errorMessage, MessagingError } from "../../src/protocol/errors.ts";
import { OutboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Crossing } from "../../test/support/fault-proxy.ts";
import { BINARY, closeFrame, serverFrame, TEXT } from "../../test/support/frame-ends.ts";
import { eventChunk, LAST_CHUNK, streamChunk, streamEnd } from "../../test/support/stream-ends.ts";

export interface Farewell {
  readonly code: number;
  readonly reason: string;
  readonly reconnect: boolean;
  /** Milliseconds that a client waits at least before it comes back; 0 where that is for it to choose. */
  readonly retryAfterMs: number;
}

/** The last bytes of a connection: where there is more to say than the code, the envelope `disconnect` as well. */
export function lastBytes(
  told: Farewell,
  { line, encoding }: Pick<Crossing, "line" | "encoding">,
): Buffer {
  const { code, reason, reconnect, retryAfterMs } = told;
  if (line === "event-stream") {
    const event = { code, reason, reconnect, retry_after_ms: retryAfterMs };
    return Buffer.concat([eventChunk("disconnect", event), LAST_CHUNK]);
  }
  const announced =
    retryAfterMs > 0 ? [encoded(encoding, { envelope: { case: "disconnect", value: told } })] : [];
  if (line === "connect-stream") {
    const error = new MessagingError("DISCONNECT_ERROR", reason, { metadata: { code } });
    const last = encoded(encoding, { envelope: { case: "error", value: errorMessage(error) } });
    return Buffer.concat([...[...announced, last].map((one) => streamChunk(one)), streamEnd()]);
  }
  const opcode = encoding === "proto" ? BINARY : TEXT;
  return Buffer.concat([
    ...announced.map((one) => serverFrame(opcode, one)),
    closeFrame(code, reason),
  ]);
}

function encoded(
  encoding: Encoding,
  message: MessageInitShape<typeof OutboundMessageSchema>,
): Buffer {
  const frame = codecFor(encoding).encodeOutbound(create(OutboundMessageSchema, message));
  return typeof frame === "string" ? Buffer.from(frame) : Buffer.from(frame);
}
