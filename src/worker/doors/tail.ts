/** Sessions of long polls in the Worker: each is a bridge to a gateway, which can sleep meanwhile. */
import { background } from "../../engine/background.ts";
import { later, type OpenTail } from "../../http/history/tail.ts";
import { codecFor } from "../../protocol/codec.ts";
import { sized } from "../../protocol/publication-frames.ts";
import { consoleLoggerAt } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import { bridgeTo } from "./bridge-to.ts";
import type { Caller } from "./caller.ts";

/** @param caller of the request that waits */
export function tailOf(settings: WorkerSettings, caller: Caller): OpenTail {
  return async ({ address, connect, ended, issuedAt, take, userId }) => {
    const terms = { door: "events", user: userId, issuedAt, region: caller.region } as const;
    const bridge = await bridgeTo(caller, settings, "json", address, terms);
    if (bridge instanceof Response) throw later("RATE_LIMITED", "no gateway takes the client now");
    bridge.send(codecFor("json").encodeInbound(connect));
    const reading = (async () => {
      for (;;) {
        const event = await bridge.next();
        if (event.kind === "end") return ended(event.disconnect);
        if (event.kind === "frame") take(sized(event.frame));
      }
    })();
    background(reading, consoleLoggerAt(settings.logLevel), "a long poll");
    return () => bridge.leave();
  };
}
