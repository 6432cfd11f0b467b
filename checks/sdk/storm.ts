/**
 * Many clients of the SDK that are all cut at once: their tries are spread, and none comes before the time that its server has
 * named. The server and the network are processes of their own. The process of the clients is busy while they come back, so
 * that its timers are late: what counts is when the SDK meant to try.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import {
  type Client,
  type Clock,
  createClient,
  type TransportFactory,
  type WebSocketConstructor,
  webSocket,
} from "../../src/index.ts";
import { ServeProcess } from "../../test/redis/serve-process.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { Blow } from "./storm-proxy.ts";

export interface StormOptions {
  readonly clients: number;
  /** Has every client try after the same time, which has to be found. */
  readonly plant?: boolean;
}

/** What a blow has led to. */
export interface Storm {
  readonly name: string;
  readonly tries: number;
  /** The largest share of the tries that 100 ms hold: of the times that were meant, and of those at which it came to it. */
  readonly share: number;
  readonly late: number;
  /** Tries before their time. */
  readonly early: number;
  /** From the blow until all were back, in milliseconds. */
  readonly tookMs: number;
}

/** At most so much of all tries may fall into the same 100 ms. */
export const MOST_SHARE = 0.3;
const WINDOW_MS = 100;
/** The same for everybody. */
const RETRY_AFTER_MS = 1_000;
/** A connection that has lasted so long was a healthy one, in milliseconds. */
const HEALTHY_MS = 600;
/** Clients that connect at a time in the beginning. */
const TOGETHER = 100;
const PATIENCE_MS = 60_000;
const PROXY = fileURLToPath(new URL("storm-proxy.ts", import.meta.url));

/** A connection that is tried, by `performance.now`. */
interface Try {
  readonly meant: number;
  readonly at: number;
}

/** The machine's time, which knows when what it runs was meant to run. */
class PunctualClock implements Clock {
  #due: number | undefined;
  readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  get due(): number {
    return this.#due ?? this.elapsed();
  }

  now(): number {
    return Date.now();
  }

  elapsed(): number {
    return performance.now();
  }

  after(ms: number, run: () => void): () => void {
    const due = this.elapsed() + ms;
    const timer = setTimeout(() => {
      this.#due = due;
      run();
      this.#due = undefined;
    }, ms);
    return () => clearTimeout(timer);
  }
}

/** @throws Error where not all clients come back, or hear what is published then */
export async function storm({ clients: count, plant = false }: StormOptions): Promise<Storm[]> {
  const folder = await mkdtemp(join(tmpdir(), "messageloop-storm-"));
  const file = join(folder, "config.yaml");
  await writeFile(file, "{}");
  const server = await ServeProcess.of(file);
  const clock = new PunctualClock(plant ? () => 0.5 : Math.random);
  const crowd: Client[] = [];
  await server.start();
  const proxy = fork(PROXY, [new URL(server.url).port], { execArgv: [] });
  try {
    const [url] = (await once(proxy, "message")) as [string];
    let tries: Try[] = [];
    /** The earliest time at which each client may try again, by the close of its connection; in milliseconds. */
    const notBefore = new Map<number, number>();
    let early = 0;
    const heard: number[] = new Array<number>(count).fill(0);
    for (let i = 0; i < count; i += TOGETHER) {
      const some = Array.from({ length: Math.min(TOGETHER, count - i) }, (_, j) => {
        const number = i + j;
        const transport = watched({
          opens() {
            const meant = clock.due;
            tries.push({ meant, at: performance.now() });
            if (meant < (notBefore.get(number) ?? 0)) early += 1;
            notBefore.delete(number);
          },
          told: (retryAfterMs) => notBefore.set(number, performance.now() + retryAfterMs),
        });
        const client = createClient(url, { clock, transport });
        crowd.push(client);
        const onMessage = (): void => {
          heard[number] = (heard[number] ?? 0) + 1;
        };
        // Nobody need hear of a thousand who come and go.
        return client.subscribe("storm", { ephemeral: true, onMessage }).ready;
      });
      await Promise.all(some);
    }
    const strike = async (name: string, blow: () => unknown): Promise<Storm> => {
      await new Promise((resolve) => setTimeout(resolve, HEALTHY_MS));
      tries = [];
      early = 0;
      heard.fill(0);
      const began = performance.now();
      const back = Promise.all(crowd.map(returned));
      await blow();
      await back;
      const tookMs = performance.now() - began;
      await crowd[0]?.publish("storm", name);
      await eventually(() => heard.every((times) => times > 0));
      if (heard.some((times) => times > 1)) throw new Error(`${name}: a message came twice`);
      const of = (times: readonly number[]): number => densest(times) / times.length;
      return {
        name,
        tries: tries.length,
        share: of(tries.map(({ meant }) => meant)),
        late: of(tries.map(({ at }) => at)),
        early,
        tookMs,
      };
    };
    const send = (blow: Blow) => () => proxy.send(blow);
    return [
      await strike("cut", send({ kind: "cut" })),
      await strike(
        `told to wait ${RETRY_AFTER_MS} ms`,
        send({ kind: "closed", retryAfterMs: RETRY_AFTER_MS }),
      ),
      await strike("the server killed, and started again", async () => {
        await server.kill();
        await server.start();
      }),
    ];
  } finally {
    await Promise.all(crowd.map((client) => client.close()));
    proxy.kill();
    await server.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves when a client has lost its connection and has another one. */
async function returned(client: Client): Promise<void> {
  const over = new AbortController();
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${client.state} in the end`)), PATIENCE_MS);
    let isLost = false;
    const changed = (state: string): void => {
      isLost ||= state === "connecting";
      if (!isLost || state !== "connected") return;
      clearTimeout(late);
      resolve();
    };
    client.addEventListener("statechange", ({ detail }) => changed(detail.state), over);
  });
  over.abort();
}

/** WebSockets that tell when they are opened, and what a server says last. */
function watched(owner: { opens(): void; told(retryAfterMs: number): void }): TransportFactory {
  const { name, open } = webSocket(WebSocket as unknown as WebSocketConstructor);
  return {
    name,
    open(url, subprotocol, events) {
      owner.opens();
      return open(url, subprotocol, {
        ...events,
        frame(frame) {
          const { disconnect } = JSON.parse(String(frame)) as {
            disconnect?: { retry_after_ms?: number };
          };
          if (disconnect) owner.told(disconnect.retry_after_ms ?? 0);
          events.frame(frame);
        },
      });
    },
  };
}

/** How many times the fullest 100 ms hold. */
export function densest(times: readonly number[]): number {
  const sorted = times.toSorted((left, right) => left - right);
  let first = 0;
  let most = 0;
  for (const [last, time] of sorted.entries()) {
    while (time - (sorted[first] ?? 0) >= WINDOW_MS) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
