/** What a stream says by itself, beside what its session writes. */
import { create } from "@bufbuild/protobuf";
import type { Clock, Random } from "../../engine/ports/platform.ts";
import { codecFor, type Encoding, type Frame } from "../../protocol/codec.ts";
import type { Disconnect } from "../../protocol/codes.ts";
import { unsolicited } from "../../protocol/envelopes.ts";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import { OutboundMessageSchema } from "../../protocol/gen/messageloop/v1/service_pb.js";

/** Clients whose streams have lived long enough come back within this time, in milliseconds. */
const RETURN_SPREAD_MS = 5_000;

/** What is written where there is nothing else to say. */
export const HEARTBEATS: Readonly<Record<Encoding, Frame>> = {
  json: heartbeat("json"),
  proto: heartbeat("proto"),
};

function heartbeat(encoding: Encoding): Frame {
  const message = create(OutboundMessageSchema, { envelope: { case: "pong", value: {} } });
  return codecFor(encoding).encodeOutbound(message);
}

/** The last message of a stream that the server ends. */
export function farewell(
  encoding: Encoding,
  { code, reason }: Disconnect,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Frame {
  const error = new MessagingError("DISCONNECT_ERROR", reason, { metadata: { code } });
  const envelope = { case: "error", value: errorMessage(error) } as const;
  return codecFor(encoding).encodeOutbound(unsolicited(random.uuid(), clock.now(), envelope));
}

/** How long the client of a stream that has lived long enough should wait before it comes back, in milliseconds. */
export function returnDelay(): number {
  return Math.floor(Math.random() * RETURN_SPREAD_MS);
}
