/** Sessions of long polls: each hears one channel until its request is answered. */
import { Http2ServerResponse } from "node:http2";
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { background } from "../../engine/background.ts";
import { later, type OpenTail } from "../../http/history/tail.ts";
import type { Entrance } from "./connections.ts";
import { SILENCE_MS } from "./listeners.ts";

export interface TailsOptions extends Entrance {
  /** Whether the server takes new clients. */
  readonly ready: () => boolean;
}

type Outgoing = (HttpBindings | Http2Bindings)["outgoing"];

/**
 * Makes an answer that may take long. Listeners cut connections of HTTP/1.1 on which nothing moves, and what makes it ends by
 * itself.
 */
export async function patiently<T>(outgoing: Outgoing, make: () => Promise<T>): Promise<T> {
  if (outgoing instanceof Http2ServerResponse) return await make();
  const { socket } = outgoing;
  socket?.setTimeout(0);
  try {
    return await make();
  } finally {
    // Its client has to read it as soon as any other.
    if (!outgoing.destroyed) socket?.setTimeout(SILENCE_MS);
  }
}

/** @param outgoing of the request that waits: its end is that of the client */
export function tailsOf(
  { engine, connections, logger, sessionId, ready }: TailsOptions,
  outgoing: Outgoing,
): OpenTail {
  return async ({ address, connect, ended, issuedAt, take, userId }) => {
    if (!ready()) throw later("UNAVAILABLE", "the server is going away");
    if (connections.full || !connections.admit()) {
      throw later("RATE_LIMITED", "the server has as many connections as it may");
    }
    const transport = { write: take, close: ended, heard: () => engine.steadyNow() };
    const admitted = issuedAt === undefined ? { userId } : { userId, issuedAt };
    const session = engine.accept(transport, sessionId(), "json", { address, admitted });
    // Other threads see both, so that the session is there first.
    connections.enter();
    const gone = (): void => ended();
    outgoing.once("close", gone);
    // Its client may have gone while the page was read.
    if (outgoing instanceof Http2ServerResponse ? outgoing.stream.destroyed : outgoing.destroyed) {
      gone();
    }
    background(session.receiveMessage(connect, 0), logger, "a long poll");
    return () => {
      outgoing.off("close", gone);
      connections.leave();
      session.end(true);
    };
  };
}
