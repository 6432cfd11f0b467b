/** Sessions of long polls: each hears one channel until its request is answered. */
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { background } from "../../engine/background.ts";
import type { OpenTail } from "../../http/history/tail.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { Entrance } from "./connections.ts";

export interface TailsOptions extends Entrance {
  /** Whether the server takes new clients. */
  readonly ready: () => boolean;
}

/** How long a client that is refused should wait at least, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
/** And how much longer at most, so that they do not come together. */
const RETRY_SPREAD_MS = 4_000;

/** @param outgoing of the request that waits: its end is that of the client */
export function tailsOf(
  { engine, connections, logger, sessionId, ready }: TailsOptions,
  outgoing: (HttpBindings | Http2Bindings)["outgoing"],
): OpenTail {
  return async ({ address, connect, ended, issuedAt, take, userId }) => {
    if (!ready()) throw refusal("UNAVAILABLE", "the server is going away");
    if (connections.full || !connections.admit()) {
      throw refusal("RATE_LIMITED", "the server has as many connections as it may");
    }
    connections.enter();
    const transport = { write: take, close: ended, heard: () => engine.steadyNow() };
    const admitted = issuedAt === undefined ? { userId } : { userId, issuedAt };
    const session = engine.accept(transport, sessionId(), "json", { address, admitted });
    outgoing.once("close", ended);
    background(session.receiveMessage(connect, 0), logger, "a long poll");
    return () => {
      outgoing.off("close", ended);
      connections.leave();
      session.end(true);
    };
  };
}

function refusal(code: "UNAVAILABLE" | "RATE_LIMITED", message: string): MessagingError {
  const pause = RETRY_AFTER_MS + Math.floor(Math.random() * RETRY_SPREAD_MS);
  return new MessagingError(code, message, { metadata: { retry_after_ms: pause } });
}
