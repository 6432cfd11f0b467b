/**
 * Clients of one target, and what they publish. Every delivery is counted: what somebody misses, gets twice or gets out
 * of order breaks the run.
 */
import { readFileSync } from "node:fs";
import type { Dialect, DialectSpec } from "../dialect.ts";
import { dialectOf } from "../dialects/table.ts";
import { Histogram } from "./histogram.ts";
import { markOf, TICKS, ticksSince, type Writing } from "./mark.ts";
import { RawSocket } from "./socket.ts";

export interface LoadOptions {
  /** Where subscribers connect, in turns. */
  readonly ports: readonly number[];
  /** What clients speak, in turns. */
  readonly dialects: readonly DialectSpec[];
  /** A name that nobody has used on this target. Where there are several channels, ".0", ".1" and so on follow. */
  readonly channel: string;
  /** Subscriber i has channel i % channels. Default 1. */
  readonly channels?: number;
  readonly subscribers: number;
  /** How many clients publish, in turns, and each on the channels in turns. Default 1. */
  readonly publishers?: number;
  /** Where the publishers connect, in turns: clients without a subscription. By default they are the first subscribers. */
  readonly apart?: readonly number[];
  /** Bytes of text in a publish beside its mark. Default 128. */
  readonly padding?: number;
  /**
   * Whether a client's publishes may arrive in any order, each of them once: what answers calls answers each as it
   * ends. Default false.
   */
  readonly unordered?: boolean;
  /** How many clients connect at the same time. Default 32. */
  readonly together?: number;
  /** How many clients connect in a second at most. */
  readonly pace?: number;
}

export interface ClosedOptions {
  /** Publishes in flight. */
  readonly window: number;
  readonly seconds: number;
}

export interface PacedOptions {
  /** Publishes a second. */
  readonly rate: number;
  readonly seconds: number;
}

export interface LoadSample {
  /** What was done: publishes, or clients that came. */
  readonly operations: number;
  readonly deliveries: number;
  /** Until the last arrival. */
  readonly seconds: number;
  /** How often clients received something: about as often as the target wrote. */
  readonly reads: number;
  /**
   * Counts of a Histogram: of each delivery at a fixed rate the time since its publish was due, of each client that came
   * the time from its handshake to its last answer.
   */
  readonly latency: Float64Array;
  /** Publishes that left more than a millisecond after they were due. */
  readonly late: number;
  /** CPU time of the generator, in nanoseconds. */
  readonly cpu: number;
}

/** What one client publishes on one channel. */
interface Stream {
  readonly socket: RawSocket;
  readonly dialect: Dialect;
  readonly channel: number;
  /** The subscriber whose copy says that a publish has arrived. */
  readonly witness: number;
  published: number;
}

const TOGETHER = 32;
const PADDING = 128;
/** What is published is delivered within this time, in milliseconds. */
const ARRIVAL_MS = 10_000;
/** How long to wait for the last delivery to come once more, in milliseconds. */
const TWICE_MS = 10;
/** What a process opens beside sockets. */
const SPARE_FILES = 100;
/** Nearer than this a publish is waited for without sleeping, because timers are coarse. */
const SPIN_MS = 1.5;
const LATE_MS = 1;

export class Load {
  readonly #options: LoadOptions;
  readonly #channels: number;
  readonly #publishers: number;
  readonly #padding: string;
  #dialects: readonly Dialect[];
  #subscribers: RawSocket[] = [];
  #apart: RawSocket[] = [];
  #streams: readonly Stream[] = [];
  /** For each subscriber the next number of each stream that it hears. */
  readonly #next: readonly Uint32Array[];
  /** For each subscriber the numbers that came before their turn, where any order will do. */
  readonly #early: readonly Set<number>[] | undefined;
  /** How many subscribers each channel has. */
  readonly #audience: readonly number[];
  #latency = new Histogram();
  /** Whether the latency of deliveries is taken: at saturation it says nothing. */
  #timed = false;
  #published = 0;
  #expected = 0;
  #delivered = 0;
  /** Reads of sockets that are gone. */
  #readsBefore = 0;
  #broken: Error | undefined;
  #witnessed: (() => void) | undefined;
  #wake: (() => void) | undefined;

  /** Connects everybody. The sample is about clients. */
  static async open(options: LoadOptions): Promise<{ load: Load; sample: LoadSample }> {
    const load = new Load(options);
    try {
      const sample = await load.#sample(() => load.#connect());
      return { load, sample: { ...sample, operations: options.subscribers } };
    } catch (error) {
      load.close();
      throw error;
    }
  }

  private constructor(options: LoadOptions) {
    const { subscribers, channels = 1, publishers = 1, padding = PADDING } = options;
    if (options.unordered === true && publishers !== channels) {
      throw new RangeError("any order will do only where each channel has a publisher of its own");
    }
    if (publishers % channels !== 0 && channels % publishers !== 0) {
      throw new RangeError("publishers are a multiple of channels, or the reverse");
    }
    const sockets = subscribers + (options.apart === undefined ? 0 : publishers) + SPARE_FILES;
    if (sockets > openFiles()) {
      throw new RangeError(`a process may open ${openFiles()} files, but ${sockets} are needed`);
    }
    this.#options = options;
    this.#channels = channels;
    this.#publishers = publishers;
    this.#padding = "x".repeat(padding);
    this.#dialects = options.dialects.map(dialectOf);
    const heard = Math.max(1, publishers / channels);
    this.#next = Array.from({ length: subscribers }, () => new Uint32Array(heard));
    if (options.unordered === true) {
      this.#early = Array.from({ length: subscribers }, () => new Set<number>());
    }
    this.#audience = Array.from({ length: channels }, (_, channel) =>
      Math.ceil((subscribers - channel) / channels),
    );
  }

  /** Keeps so many publishes in flight for so long. */
  async closed({ window, seconds }: ClosedOptions): Promise<LoadSample> {
    return await this.#sample(async () => {
      const end = performance.now() + seconds * 1_000;
      const corked = new Set<RawSocket>();
      let inFlight = 0;
      let turn = 0;
      const fill = (): void => {
        const now = performance.now();
        for (; inFlight < window && now < end; inFlight++) {
          const { socket } = this.#streams[turn] as Stream;
          // What follows the same read leaves in one write.
          if (corked.size === 0) process.nextTick(flush, corked);
          if (!corked.has(socket)) socket.cork();
          corked.add(socket);
          this.#publish(turn, now);
          turn = (turn + 1) % this.#streams.length;
        }
      };
      this.#witnessed = () => {
        inFlight -= 1;
        fill();
      };
      fill();
      await pause(seconds * 1_000);
    });
  }

  /** Publishes evenly spaced, whatever the target does. */
  async paced({ rate, seconds }: PacedOptions): Promise<LoadSample> {
    let late = 0;
    this.#timed = true;
    const sample = await this.#sample(async () => {
      const start = performance.now();
      const count = Math.round(rate * seconds);
      for (let i = 0; i < count; i++) {
        const due = start + (i * 1_000) / rate;
        for (let left = due - performance.now(); left > 0; left = due - performance.now()) {
          await (left > SPIN_MS ? pause(left - SPIN_MS) : nextTurn());
        }
        if (performance.now() - due > LATE_MS) late += 1;
        this.#publish(i % this.#streams.length, due);
      }
    });
    this.#timed = false;
    return { ...sample, late };
  }

  /** So many publishes on every channel at once, for those that were dropped: nobody is waited for. */
  miss(times: number): void {
    for (let i = 0; i < times * this.#streams.length; i++) {
      this.#publish(i % this.#streams.length, performance.now());
    }
  }

  /** All subscribers go without a word. Publishers that are apart stay. */
  drop(): void {
    this.#readsBefore = this.#reads;
    for (const socket of this.#subscribers) socket.drop();
    this.#subscribers = [];
  }

  /** The subscribers come again, and get what they have missed. The sample is about clients. */
  async resume(dialects: readonly DialectSpec[]): Promise<LoadSample> {
    this.#dialects = dialects.map(dialectOf);
    const sample = await this.#sample(() => this.#subscribe());
    return { ...sample, operations: this.#subscribers.length };
  }

  close(): void {
    this.#witnessed = undefined;
    for (const socket of [...this.#subscribers, ...this.#apart]) socket.drop();
  }

  async #connect(): Promise<void> {
    await this.#subscribe();
    const { apart } = this.#options;
    if (apart !== undefined) {
      for (let i = 0; i < this.#publishers; i++) {
        this.#apart.push(await this.#open(this.#options.subscribers + i, apart, undefined));
      }
    }
    const count = Math.max(this.#publishers, this.#channels);
    this.#streams = Array.from({ length: count }, (_, stream) => {
      const publisher = stream % this.#publishers;
      const channel = stream % this.#channels;
      const [sockets, witness] =
        apart === undefined ? [this.#subscribers, publisher] : [this.#apart, channel];
      return {
        socket: sockets[publisher] as RawSocket,
        dialect: this.#dialects[publisher % this.#dialects.length] as Dialect,
        channel,
        witness,
        published: 0,
      };
    });
  }

  async #subscribe(): Promise<void> {
    const { subscribers, ports, together = TOGETHER, pace } = this.#options;
    const start = performance.now();
    let next = 0;
    const opener = async (): Promise<void> => {
      while (next < subscribers) {
        const client = next;
        next += 1;
        if (pace !== undefined) {
          await pause(start + (client * 1_000) / pace - performance.now());
        }
        const began = performance.now();
        this.#subscribers[client] = await this.#open(client, ports, client % this.#channels);
        this.#latency.add((performance.now() - began) * TICKS);
      }
    };
    await Promise.all(Array.from({ length: Math.min(together, subscribers) }, opener));
  }

  async #open(
    client: number,
    ports: readonly number[],
    channel: number | undefined,
  ): Promise<RawSocket> {
    const dialect = this.#dialects[client % this.#dialects.length] as Dialect;
    const name = channel === undefined ? undefined : this.#nameOf(channel);
    return await RawSocket.open(
      ports[client % ports.length] as number,
      dialect,
      dialect.setup(client, name),
      {
        mark: (data, at, writing, now) => this.#arrive(client, data, at, writing, now),
        closed: () => this.#break(`client ${client} was closed`),
      },
      name,
    );
  }

  #nameOf(channel: number): string {
    const { channel: name } = this.#options;
    return this.#channels === 1 ? name : `${name}.${channel}`;
  }

  #publish(number: number, due: number): void {
    const stream = this.#streams[number] as Stream;
    const sequence = stream.published * this.#streams.length + number;
    stream.published += 1;
    this.#published += 1;
    this.#expected += this.#audience[stream.channel] ?? 0;
    const mark = markOf(due, sequence);
    const name = this.#nameOf(stream.channel);
    stream.socket.send(stream.dialect.publish(name, sequence, mark, this.#padding));
  }

  #arrive(client: number, data: Buffer, at: number, writing: Writing, now: number): void {
    const sequence = writing.sequence(data, at);
    const count = Math.floor(sequence / this.#streams.length);
    const number = sequence - count * this.#streams.length;
    const stream = this.#streams[number];
    const next = this.#next[client] as Uint32Array;
    const rank = Math.floor(number / this.#channels);
    const expected = next[rank] as number;
    const early = this.#early?.[client];
    const inTurn = expected === count || (early !== undefined && isEarly(early, count, expected));
    if (stream?.channel !== client % this.#channels || !inTurn) {
      this.#break(`subscriber ${client} got publish ${count} instead of ${expected}`);
      return;
    }
    if (expected !== count) early?.add(count);
    else next[rank] = early === undefined ? count + 1 : afterEarly(early, count + 1);
    this.#delivered += 1;
    if (this.#timed) this.#latency.add(ticksSince(writing.time(data, at), now));
    if (stream.witness === client) this.#witnessed?.();
    if (this.#delivered === this.#expected) this.#wake?.();
  }

  /** Resolves when everybody has everything. */
  async #arrived(): Promise<void> {
    const late = setTimeout(() => {
      this.#break(`${this.#expected - this.#delivered} deliveries are missing`);
    }, ARRIVAL_MS);
    while (this.#delivered !== this.#expected && this.#broken === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(late);
    if (this.#broken !== undefined) throw this.#broken;
  }

  #break(reason: string): void {
    this.#broken ??= new Error(`${this.#options.channel}: ${reason}`);
    this.#witnessed = undefined;
    this.#wake?.();
  }

  get #reads(): number {
    return this.#subscribers.reduce((sum, { reads }) => sum + reads, this.#readsBefore);
  }

  async #sample(run: () => Promise<void>): Promise<LoadSample> {
    this.#latency = new Histogram();
    const [published, delivered, reads] = [this.#published, this.#delivered, this.#reads];
    const cpu = process.cpuUsage();
    const start = performance.now();
    await run();
    await this.#arrived();
    const { user, system } = process.cpuUsage(cpu);
    this.#witnessed = undefined;
    const sample = {
      operations: this.#published - published,
      deliveries: this.#delivered - delivered,
      seconds: (performance.now() - start) / 1_000,
      reads: this.#reads - reads,
      latency: this.#latency.counts,
      late: 0,
      cpu: (user + system) * 1_000,
    };
    await pause(TWICE_MS);
    if (this.#broken !== undefined) throw this.#broken;
    return sample;
  }
}

function isEarly(early: ReadonlySet<number>, count: number, expected: number): boolean {
  return count > expected && !early.has(count);
}

/** @returns the first number from `count` on that has not come yet */
function afterEarly(early: Set<number>, count: number): number {
  let next = count;
  while (early.delete(next)) next += 1;
  return next;
}

function flush(corked: Set<RawSocket>): void {
  for (const socket of corked) socket.uncork();
  corked.clear();
}

/** How many files this process may open, and so those that have the same parent: Node raises its limit to the hard one. */
function openFiles(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
