/** Sessions of long polls in the Worker: each is a bridge to a gateway, which can sleep meanwhile. */
import { background } from "../../engine/background.ts";
import type { OpenTail } from "../../http/history/tail.ts";
import { codecFor } from "../../protocol/codec.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { sized } from "../../protocol/publication-frames.ts";
import { consoleLoggerAt } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import { bridgeTo } from "./bridge-to.ts";
import type { Caller } from "./caller.ts";

/** How long a client that no gateway takes should wait at least, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
/** And how much longer at most, so that they do not come together. */
const RETRY_SPREAD_MS = 4_000;

/** @param caller of the request that waits */
export function tailOf(settings: WorkerSettings, caller: Caller): OpenTail {
  return async ({ address, connect, ended, issuedAt, take, userId }) => {
    const terms = { door: "events", user: userId, issuedAt, region: caller.region } as const;
    const bridge = await bridgeTo(caller, settings, "json", address, terms);
    if (bridge instanceof Response) {
      const pause = RETRY_AFTER_MS + Math.floor(Math.random() * RETRY_SPREAD_MS);
      const options = { metadata: { retry_after_ms: pause } };
      throw new MessagingError("RATE_LIMITED", "no gateway takes the client now", options);
    }
    bridge.send(codecFor("json").encodeInbound(connect));
    const reading = (async () => {
      for (;;) {
        const event = await bridge.next();
        if (event.kind === "end") return ended();
        if (event.kind === "frame") take(sized(event.frame));
      }
    })();
    background(reading, consoleLoggerAt(settings.logLevel), "a long poll");
    return () => bridge.leave();
  };
}
