/** A load test: subscribers and publishers with a connection each, all in this process. */
import { setTimeout as sleep } from "node:timers/promises";
import { createCloudEvent } from "../../../client/core/create-event.ts";
import { receivedMessage } from "../../../client/core/message.ts";
import type { OutboundFrame } from "../../../client/wire/frames.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import { type ConnectionOptions, type Listener, openSession, type Session } from "../connection.ts";
import { Failure } from "../failure.ts";
import { Tally } from "./tally.ts";

export interface BenchOptions extends ConnectionOptions {
  readonly subscribers: number;
  readonly publishers: number;
  readonly channels: number;
  /** Publishes a second, of all publishers. */
  readonly rate: number;
  readonly seconds: number;
  /** Bytes of an event's data. */
  readonly size: number;
  /** What the channels' names begin with. */
  readonly channel: string;
}

/** What came of it. Times of latency are in milliseconds. */
export interface BenchResult {
  readonly seconds: number;
  readonly publishes: number;
  readonly publishesPerSecond: number;
  readonly acknowledged: number;
  /** How many publishes had each error, by its code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly deliveries: number;
  readonly deliveriesPerSecond: number;
  /** From when an event was to be published until a subscriber had it; null where none had any. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  readonly lost: number;
  readonly duplicates: number;
  /** Deliveries of what was not published here. */
  readonly strange: number;
  /** Connections that the server or the network ended, by close code. */
  readonly closed: Readonly<Record<string, number>>;
  /** Of this process: the part of one CPU that it took, and how late it was at most with a publish, in milliseconds. */
  readonly self: { readonly cpu: number; readonly late: number };
}

/** Connections that are opened at the same time. */
const OPENED_TOGETHER = 32;
/** Publishes of one publisher that may wait for their answers; the next ones are late. */
const MAX_WAITING = 500;
const TICK_MS = 2;
/** How long the last answers and deliveries are waited for while none comes, in milliseconds. */
const PATIENCE_MS = 3_000;

/** @param signal ends the publishing early */
export async function bench(options: BenchOptions, signal: AbortSignal): Promise<BenchResult> {
  const { publishers, subscribers } = options;
  const load = new Load(options);
  const sessions: Session[] = [];
  try {
    const readers = Array.from({ length: subscribers }, (_, at) => () => load.subscriber(at));
    const writers = Array.from({ length: publishers }, () => () => load.publisher());
    const opened = await together([...readers, ...writers], signal, (session) =>
      sessions.push(session),
    );
    return await load.run(opened.slice(subscribers), signal);
  } finally {
    load.over = true;
    await Promise.all(sessions.map((session) => session.close()));
  }
}

/** Opens all, some at a time, in their order. Each is handed out at once, so that it can be closed whatever comes. */
async function together(
  opens: readonly (() => Promise<Session>)[],
  signal: AbortSignal,
  opened: (session: Session) => void,
): Promise<Session[]> {
  const sessions = new Array<Session>(opens.length);
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < opens.length) {
      if (signal.aborted) throw new Failure("it was ended before all were connected");
      const at = next;
      next += 1;
      const session = await opens[at]?.();
      if (session === undefined) continue;
      opened(session);
      sessions[at] = session;
    }
  };
  const all = Array.from({ length: OPENED_TOGETHER }, one);
  const ended = await Promise.allSettled(all);
  for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
  return sessions;
}

class Load {
  /** It is this side that closes connections now. */
  over = false;
  readonly #options: BenchOptions;
  readonly #tally: Tally;
  readonly #publishes: number;
  readonly #refused: Record<string, number> = {};
  readonly #closed: Record<string, number> = {};
  readonly #padding: string;
  #waiting = 0;
  #sent = 0;
  #late = 0;
  /** When an answer or a delivery last came. */
  #lastAt = 0;

  constructor(options: BenchOptions) {
    this.#options = options;
    this.#publishes = options.rate * options.seconds;
    this.#tally = new Tally({ ...options, publishes: this.#publishes });
    this.#padding = ".".repeat(options.size);
  }

  async subscriber(at: number): Promise<Session> {
    const listener = this.#listener((frame) => this.#take(at, frame));
    const session = await openSession(this.#options, listener);
    const subscriptions = [{ channel: this.#channelOf(at) }];
    try {
      const [answer] = await session.request({ subscribe: { subscriptions } }, "subscribe_ack");
      for (const { error } of answer?.subscriptions ?? []) {
        if (error !== undefined)
          throw new Failure(`cannot subscribe: ${error.code}: ${error.message}`);
      }
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  publisher(): Promise<Session> {
    return openSession(
      this.#options,
      this.#listener(() => {}),
    );
  }

  async run(publishers: readonly Session[], signal: AbortSignal): Promise<BenchResult> {
    const { rate, seconds } = this.#options;
    const cpu = process.cpuUsage();
    const start = performance.now();
    const most = MAX_WAITING * publishers.length;
    while (this.#sent < this.#publishes && !signal.aborted) {
      const now = performance.now();
      // Where answers do not come the test goes on for no longer than it was to.
      if (now - start > (seconds + 1) * 1_000) break;
      const due = Math.min(Math.floor(((now - start) * rate) / 1_000) + 1, this.#publishes);
      while (this.#sent < due && this.#waiting < most) this.#publish(publishers, start, now);
      await sleep(TICK_MS);
    }
    // The last publish stands for an interval as well.
    const took = Math.max((performance.now() - start) / 1_000, this.#sent / rate);
    await this.#settled();
    const { user, system } = process.cpuUsage(cpu);
    const all = (performance.now() - start) / 1_000;
    const { acknowledged, delivered, duplicates, latency, lost, strange } = this.#tally;
    return {
      seconds: took,
      publishes: this.#sent,
      publishesPerSecond: this.#sent / took,
      acknowledged,
      refused: this.#refused,
      deliveries: delivered,
      deliveriesPerSecond: delivered / took,
      latency: latency ?? null,
      ...{ lost, duplicates, strange },
      closed: this.#closed,
      self: { cpu: (user + system) / 1e6 / all, late: this.#late },
    };
  }

  #publish(publishers: readonly Session[], start: number, now: number): void {
    const number = this.#sent;
    this.#sent += 1;
    // Counted from when it was to be made: what holds up the next publish is a part of its latency.
    const planned = start + (number * 1_000) / this.#options.rate;
    this.#late = Math.max(this.#late, now - planned);
    this.#tally.published(number, planned);
    const text = `${number} `;
    const data = text + this.#padding.slice(text.length);
    const event = createCloudEvent({ source: "/bench", type: "bench", data });
    const session = publishers[number % publishers.length];
    if (session === undefined) return;
    this.#waiting += 1;
    const answered = (): void => {
      this.#waiting -= 1;
      this.#lastAt = performance.now();
    };
    session.publish(this.#channelOf(number), event).then(
      () => {
        answered();
        this.#tally.acknowledge(number);
      },
      (error: unknown) => {
        answered();
        const { code } = MessagingError.from(error);
        this.#refused[code] = (this.#refused[code] ?? 0) + 1;
      },
    );
  }

  /** Resolves when everything has come, or nothing comes any more. */
  async #settled(): Promise<void> {
    this.#lastAt = performance.now();
    while (performance.now() - this.#lastAt < PATIENCE_MS) {
      if (this.#waiting === 0 && this.#tally.lost === 0) return;
      await sleep(50);
    }
  }

  #take(subscriber: number, { publication }: OutboundFrame): void {
    if (publication === undefined) return;
    const now = performance.now();
    this.#lastAt = now;
    for (const message of publication.messages ?? []) {
      const { data } = receivedMessage(message).event;
      const number = typeof data === "string" ? Number.parseInt(data, 10) : Number.NaN;
      this.#tally.deliver(subscriber, number, now);
    }
  }

  #listener(frame: (frame: OutboundFrame) => void): Listener {
    return {
      frame,
      // What concerns a publish is its own outcome.
      error: () => {},
      closed: ({ code }) => {
        if (!this.over) this.#closed[code] = (this.#closed[code] ?? 0) + 1;
      },
    };
  }

  #channelOf(number: number): string {
    return `${this.#options.channel}.${this.#tally.channelOf(number)}`;
  }
}
