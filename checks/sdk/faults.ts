/** What happens to the connections of a client, and to all of its network. */
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import type { Crossing, FaultProxy } from "../../test/support/fault-proxy.ts";
import type { SeededRandom } from "../../test/support/random.ts";
import type { Application } from "./application.ts";
import { lastBytes } from "./farewell.ts";

/** How often each happens in 10,000 steps. */
const OFTEN = {
  cut: 300,
  torn: 200,
  "half-open": 40,
  deaf: 60,
  late: 300,
  closed: 250,
  "told to wait": 150,
  refused: 30,
  silent: 15,
  "page left": 80,
} as const;

export type FaultName = keyof typeof OFTEN;
export const FAULTS = Object.entries(OFTEN) as [FaultName, number][];

/** Codes with what clients make of them: ours, those of applications, and what others close with. */
const CODES: readonly { readonly code: number; readonly reconnect: boolean }[] = [
  ...Object.values(DISCONNECTS),
  ...[1000, 1001, 1012, 1013, 4000, 4499].map((code) => ({ code, reconnect: true })),
  ...[4500, 4999].map((code) => ({ code, reconnect: false })),
];
/** At most, in milliseconds of the machine. */
const DELAY_MS = 300;
const AWAY_MS = 200;
/** At most, in milliseconds of the client. */
const RETRY_AFTER_MS = 3_000;

export class Faults {
  readonly counts: Record<string, number> = {};
  /** Connections that were closed. */
  #closed = 0;
  /** Codes that connections were closed with. */
  readonly codes = new Set<number>();
  readonly #proxy: FaultProxy;
  readonly #pace: number;
  /** What has happened to a connection already. */
  readonly #struck = new WeakSet<Crossing>();
  /** What ends what lasts. */
  readonly #lasting = new Set<() => void>();

  /** @param pace milliseconds of a client in one of the machine */
  constructor(proxy: FaultProxy, pace: number) {
    this.#proxy = proxy;
    this.#pace = pace;
  }

  strike(name: FaultName, application: Application, random: SeededRandom): void {
    if (name === "refused" || name === "silent") {
      this.#count(name);
      this.#proxy.way = name === "refused" ? "refuses" : "silent";
      this.#last(random.int(AWAY_MS), () => {
        this.#proxy.way = "open";
      });
      return;
    }
    if (name === "page left") {
      if (application.closed) return;
      this.#count(name);
      // What is said to a page that is left is not heard.
      application.farewells.clear();
      application.page.leave();
      this.#last(random.int(AWAY_MS), () => application.page.show());
      return;
    }
    const crossing = this.#crossing(name, application, random);
    if (crossing === undefined || this.#struck.has(crossing)) return;
    this.#struck.add(crossing);
    this.#count(name);
    switch (name) {
      case "cut":
        crossing.cut();
        break;
      case "torn":
        crossing.tear();
        break;
      case "half-open":
        crossing.hush("both");
        // A stream that still brings something does not ask whether its calls arrive, and waits long for an answer.
        if (crossing.line === "calls") this.#last(random.int(AWAY_MS), () => crossing.cut());
        break;
      case "deaf":
        // What it has said is heard, and the answer is lost.
        crossing.hush("down");
        this.#last(random.int(DELAY_MS), () => crossing.cut());
        break;
      case "late":
        crossing.delay(random.int(DELAY_MS));
        this.#last(2 * DELAY_MS, () => crossing.delay(0));
        break;
      case "closed":
        this.#close(crossing, application, random.pick(CODES), 0);
        break;
      case "told to wait":
        this.#close(
          crossing,
          application,
          DISCONNECTS.goingAway,
          Math.floor(random.next() * RETRY_AFTER_MS),
        );
        break;
    }
  }

  /** Ends all that lasts, except for what clients have to find out by themselves. */
  heal(): void {
    for (const end of this.#lasting) end();
  }

  /** The connection that it happens to: the last one, or any of those that a client has at the same time. */
  #crossing(
    name: FaultName,
    { name: who }: Application,
    random: SeededRandom,
  ): Crossing | undefined {
    const all = this.#proxy.crossings(who);
    const calls = all.filter(({ line }) => line === "calls");
    const closes = name === "closed" || name === "told to wait";
    if (!closes && calls.length > 0 && random.chance(0.3)) return random.pick(calls);
    const streams = all.filter(({ line }) => line !== "calls");
    return streams.some(({ line }) => line === "event-stream")
      ? random.pick(streams)
      : streams.at(-1);
  }

  #close(
    crossing: Crossing,
    application: Application,
    { code, reconnect }: { readonly code: number; readonly reconnect: boolean },
    retryAfterMs: number,
  ): void {
    this.#closed += 1;
    const reason = `closed with ${code}, ${this.#closed}`;
    const told = { code, reason, reconnect, retryAfterMs };
    this.codes.add(code);
    crossing.end(lastBytes(told, crossing), () => {
      if (application.closed || application.page.hidden) return;
      // A client waits from when it hears this, which is later.
      const notBefore = performance.now() + retryAfterMs / this.#pace;
      application.farewells.set(reason, { comesBack: reconnect, notBefore });
    });
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #last(ms: number, over: () => void): void {
    const end = (): void => {
      clearTimeout(timer);
      this.#lasting.delete(end);
      over();
    };
    const timer = setTimeout(end, ms);
    this.#lasting.add(end);
  }
}
