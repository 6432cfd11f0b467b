/**
 * A process with several threads: the main one accepts connections and moves each to the thread that has the fewest,
 * watches them from outside, and has another one take the place of one that has ended.
 */
import type { Socket } from "node:net";
import { availableParallelism, totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { ownersMemory } from "../../threads/calls/owner.ts";
import type { LogLevel, ServerConfig } from "../config/config.ts";
import type { ServerLogger } from "../logger.ts";
import { shortId } from "../platform.ts";
import { type Door, LISTENERS, mostConnections, type ServerPorts } from "../server.ts";
import { StartError } from "../start-error.ts";
import { Acceptor } from "./acceptor.ts";
import { clearCounts, countsFor } from "./counts.ts";
import type { ThreadReport } from "./messages.ts";
import { Supervised, type SupervisedHost } from "./supervised.ts";

/** How often threads are asked whether they move, in milliseconds. */
const LOOK_MS = 500;
/** A thread that does not answer for so long is ended, in milliseconds. */
const HANG_MS = 10_000;
const MOST_DEATHS = 3;
const DEATHS_MS = 60_000;
/** How long a thread may take to report what metrics say, in milliseconds. */
const REPORT_MS = 1_000;
/** The first version of Node that moves a connection to another thread. */
const MOVES_SOCKETS = [24, 20] as const;

export interface ThreadsOptions {
  /** How many. */
  readonly threads: number;
  /** What a thread runs, which calls `runThread`. */
  readonly program: string | URL;
  /** Tables of the configuration, as a file has them. */
  readonly tables: unknown;
  /** What they come to. */
  readonly config: ServerConfig;
  readonly logger: ServerLogger;
  /** Undefined for no log of the threads. */
  readonly logLevel: LogLevel | undefined;
  /** Threads end again and again, so that the process cannot go on. */
  readonly failed: (reason: string) => void;
  /** A thread that ends so often within a minute ends the process. Default 3. */
  readonly mostDeaths?: number;
  /** A thread that does not answer for so long is ended, in milliseconds. Default 10 s. */
  readonly hangMs?: number;
  /** What the heap of each may have, in mebibytes. Default a share of the memory, see `heapOf`. */
  readonly heapMb?: number;
  /** Something that a thread says to the program. */
  readonly heard?: (thread: number, value: unknown) => void;
  /** Something of the program for its threads. */
  readonly extra?: unknown;
}

/** How many threads a configuration asks for. */
export function threadsOf({ workers }: Pick<ServerConfig, "workers">): number {
  return workers === "auto" ? availableParallelism() : workers;
}

/**
 * What the heap of each of so many threads may have, in mebibytes: as much as that of a process, and no more than its
 * share of three quarters of the memory, so that one whose heap is full ends alone.
 */
export function heapOf(
  threads: number,
  most = getHeapStatistics().heap_size_limit,
  memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
): number {
  return Math.floor(Math.min(most, (0.75 * memory) / threads) / 2 ** 20);
}

/** Why this version of Node cannot have several threads, in a sentence; undefined where it can. */
export function obstacle(version = process.versions.node): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [first, from] = MOVES_SOCKETS;
  if (major > first || (major === first && minor >= from)) return undefined;
  return `more than one worker needs Node ${first}.${from} or newer, and this is ${version}`;
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #name = shortId();
  /** Threads that have been begun. */
  #begun = 0;
  readonly #threads: Supervised[] = [];
  /** When threads have ended in a place, newest last. */
  readonly #deaths: number[][];
  readonly #deathCounts: number[];
  readonly #counts: Int32Array<SharedArrayBuffer>;
  readonly #owners: SharedArrayBuffer;
  readonly #acceptors = new Map<Door, Acceptor>();
  #look: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  /** What threads have heard of it. */
  #wasWell = true;
  #stopping: Promise<void> | undefined;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#deaths = Array.from({ length: options.threads }, () => []);
    this.#deathCounts = Array.from({ length: options.threads }, () => 0);
    this.#counts = countsFor(options.threads);
    this.#owners = ownersMemory(options.threads);
  }

  /**
   * Starts all threads, and opens every listener.
   *
   * @throws StartError with one sentence
   */
  async start(): Promise<ServerPorts> {
    const problem = obstacle();
    if (problem !== undefined) throw new StartError(problem);
    try {
      for (let index = 0; index < this.#options.threads; index++) {
        this.#threads[index] = this.#begin(index);
      }
      await Promise.all(this.#threads.map(({ loaded }) => loaded.promise));
      for (const [i, thread] of this.#threads.entries()) {
        for (const other of this.#threads.slice(0, i)) thread.join(other);
        thread.joinable = true;
      }
      await Promise.all(this.#threads.map((thread) => this.#serve(thread)));
      const http = await this.#open("http");
      const grpc = await this.#open("grpc");
      const websocket = await this.#open("websocket");
      this.#lookedAt = performance.now();
      this.#look = setInterval(() => this.#watch(), LOOK_MS);
      return { http, grpc, websocket };
    } catch (error) {
      this.#stopping ??= Promise.resolve();
      for (const acceptor of this.#acceptors.values()) acceptor.close();
      await Promise.all(this.#threads.map((thread) => thread.kill("the start has failed")));
      throw error;
    }
  }

  /**
   * Accepts nothing more, delivers what is acknowledged, has clients come back, and ends when all have gone or the drain
   * timeout is over. Any further call waits for the first.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Says something of the program to a thread. */
  say(thread: number, value: unknown): void {
    this.#threads[thread]?.say({ type: "extra", value });
  }

  /** Moves a connection, of which nothing has been read, to a certain thread. */
  give(thread: number, door: Door, socket: Socket): void {
    const give = (moved: Socket): boolean => this.#threads[thread]?.give(door, moved) ?? false;
    this.#acceptors.get(door)?.take(socket, give);
  }

  /** Ends a thread, in whatever it is doing. */
  async kill(thread: number): Promise<void> {
    await this.#threads[thread]?.kill("it was ended");
  }

  /** Whether all of them take part as they should, as health says it. */
  get well(): boolean {
    return this.#threads.every((thread) => thread.well);
  }

  /** Connections that threads have, by their index. */
  get connections(): readonly number[] {
    return this.#threads.map(({ connections }) => connections);
  }

  async #stop(): Promise<void> {
    clearInterval(this.#look);
    // Health and metrics stay open until the last client has gone.
    for (const door of ["websocket", "grpc"] as const) this.#acceptors.get(door)?.close();
    for (const thread of this.#threads) thread.say({ type: "stop" });
    await Promise.all(this.#threads.map(({ stopped }) => stopped.promise));
    this.#acceptors.get("http")?.close();
    await Promise.all(this.#threads.map((thread) => thread.kill("the process stops")));
  }

  async #open(door: Door): Promise<number> {
    const { config, logger } = this.#options;
    const acceptor = new Acceptor({
      config: config[door],
      what: LISTENERS[door],
      maxConnections: mostConnections(config),
      logger,
      give: (socket) => this.#give(door, socket),
    });
    this.#acceptors.set(door, acceptor);
    return await acceptor.open();
  }

  /** The thread with the fewest connections gets one more. */
  #give(door: Door, socket: Socket): boolean {
    let chosen: Supervised | undefined;
    for (const thread of this.#threads) {
      if (!thread.serving || (chosen?.well && !thread.well)) continue;
      if (chosen === undefined || (thread.well && !chosen.well)) chosen = thread;
      else if (thread.connections < chosen.connections) chosen = thread;
    }
    return chosen?.give(door, socket) ?? false;
  }

  #begin(index: number): Supervised {
    const { config, extra, logLevel, program, tables, threads } = this.#options;
    const { inForce } = config;
    const { keys, ticketKeys } = config.api;
    this.#begun += 1;
    const gateway = `${this.#name}-${index}-${this.#begun}`;
    const api = { keys, ticketKeys };
    const shared = { counts: this.#counts, owners: this.#owners };
    const names = { process: this.#name, gateway };
    const data = { index, threads, ...names, ...shared, tables, api, inForce, logLevel, extra };
    const host: SupervisedHost = {
      ended: (thread, reason) => this.#ended(thread, reason),
      gone: (door, sockets) => this.#acceptors.get(door)?.gone(sockets),
      totals: (thread, id) => {
        this.#totals(thread, id).catch(() => {});
      },
      extra: (thread, value) => this.#options.heard?.(thread.index, value),
    };
    return new Supervised(program, data, host, this.#options.heapMb ?? heapOf(threads));
  }

  /** Has a thread take connections. It has been joined with all others. */
  async #serve(thread: Supervised): Promise<void> {
    thread.say({ type: "start" });
    const problem = await thread.started.promise;
    if (problem !== undefined) throw new StartError(problem);
    thread.serving = true;
  }

  #ended(thread: Supervised, reason: string): void {
    const { index } = thread;
    if (this.#stopping !== undefined || this.#threads[index] !== thread) return;
    const { failed, logger, mostDeaths = MOST_DEATHS } = this.#options;
    const now = performance.now();
    const deaths = [...(this.#deaths[index] ?? []), now].filter((at) => now - at < DEATHS_MS);
    this.#deaths[index] = deaths;
    this.#deathCounts[index] = (this.#deathCounts[index] ?? 0) + 1;
    clearCounts(this.#counts, index);
    logger.error("a thread has ended", { thread: index, reason });
    this.#tellHealth();
    if (deaths.length >= mostDeaths) {
      failed(`thread ${index} has ended ${deaths.length} times within a minute: ${reason}`);
      return;
    }
    this.#replace(index).catch((error: unknown) => {
      // What has kept it from starting ends it, and that counts as well.
      logger.error("a thread was not replaced", { thread: index, error });
      this.#threads[index]?.kill(`${error}`).catch(() => {});
    });
  }

  /** Another thread takes the place of one that has ended. */
  async #replace(index: number): Promise<void> {
    const thread = this.#begin(index);
    this.#threads[index] = thread;
    const others = this.#threads.filter((one) => one !== thread);
    // Nobody counts on the old one when the new one is joined.
    await Promise.all([thread.loaded.promise, ...others.map((other) => other.leave(index))]);
    if (!thread.alive || this.#stopping !== undefined) return;
    for (const other of this.#threads) {
      if (other !== thread && other.alive && other.joinable) thread.join(other);
    }
    thread.joinable = true;
    await this.#serve(thread);
    this.#tellHealth();
    this.#options.logger.info?.("a thread has taken the place of one that has ended", {
      thread: index,
    });
  }

  #watch(): void {
    const { hangMs = HANG_MS } = this.#options;
    const now = performance.now();
    const late = now - this.#lookedAt - LOOK_MS;
    this.#lookedAt = now;
    for (const thread of this.#threads) {
      if (!thread.serving) continue;
      // Nobody was heard while this thread could do nothing, as in a process that was stopped.
      if (late > LOOK_MS) thread.excuse(late);
      if (thread.silence > hangMs) {
        thread.kill(`it did not answer for ${hangMs / 1_000} seconds`).catch(() => {});
      } else thread.ping();
    }
    this.#tellHealth();
  }

  /** Health is that of the worst of them. */
  #tellHealth(): void {
    const { well } = this;
    if (well === this.#wasWell) return;
    this.#wasWell = well;
    for (const thread of this.#threads) thread.say({ type: "health", well });
  }

  async #totals(asker: Supervised, id: number): Promise<void> {
    const reports = await Promise.all(
      this.#threads.map(async (thread): Promise<ThreadReport> => {
        const own = await thread.report(REPORT_MS);
        const deaths = this.#deathCounts[thread.index] ?? 0;
        return { index: thread.index, deaths, busy: thread.alive ? thread.busy() : 0, own };
      }),
    );
    asker.say({ type: "reports", id, reports });
  }
}
