/** One thread of a process with several: a server whose connections the main thread accepts. */
import type { Server as NetServer } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { background } from "../../engine/background.ts";
import type { Backends } from "../../engine/ports/backends.ts";
import type { Lifecycle } from "../../engine/ports/lifecycle.ts";
import { SESSION_KINDS } from "../../engine/ports/lifecycle.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import type { HookTargets } from "../../hooks/hooks.ts";
import { ThreadNode } from "../../threads/node.ts";
import { parseConfig, type ServerConfig } from "../config/config.ts";
import { secretsOf } from "../config/file.ts";
import { type HostedBroker, keepsDirectory } from "../hosted-broker.ts";
import { standardOutput } from "../log-output.ts";
import { createLogger, type ServerLogger } from "../logger.ts";
import { clock, nextTurn, random, shortId, threadTimers } from "../platform.ts";
import { surviveErrors } from "../process-errors.ts";
import { type Door, NodeServer } from "../server.ts";
import { type Adopter, adopt } from "../transport/listeners.ts";
import { countsOf } from "./counts.ts";
import type { FromThread, ThreadData, ThreadReport, ToThread } from "./messages.ts";
import { nodesOf, processNode, renderTotals } from "./totals.ts";

/** How long the last lines of the log may take to leave, in milliseconds. */
const LAST_LINES_MS = 1_000;

export interface ThreadOptions {
  /** Backends as functions. Default: as the configuration says. */
  readonly backends?: Backends;
  readonly hooks?: HookTargets;
  /** Something of the program that starts threads. */
  readonly heard?: (value: unknown) => void;
}

/** A thread of a program: its server, and a way to speak to the program's main thread. */
export interface RunningThread {
  readonly server: NodeServer;
  readonly node: ThreadNode | undefined;
  readonly data: ThreadData;
  say(value: unknown): void;
}

const SILENT: ServerLogger = { warn: () => {}, error: () => {} };

/** Runs this thread until the process ends. Called once, in a thread that `Threads` has started. */
export function runThread(options: (thread: RunningThread) => ThreadOptions = () => ({})): void {
  const thread = new ServerThread(workerData as ThreadData, options);
  parentPort?.on("message", (message: ToThread) => thread.take(message));
  thread.say({ type: "loaded" });
}

class ServerThread {
  readonly #data: ThreadData;
  readonly #node: ThreadNode | undefined;
  readonly #server: NodeServer;
  readonly #adopters = new Map<Door, Adopter>();
  readonly #logger: Logger;
  readonly #options: ThreadOptions;
  /** Sockets that have ended in this turn. */
  readonly #gone = new Map<Door, number>();
  readonly #totals = new Map<number, (reports: readonly ThreadReport[]) => void>();
  #lastTotals = 0;
  /** Whether all threads are well, as the main thread has said. */
  #well = true;

  constructor(data: ThreadData, options: (thread: RunningThread) => ThreadOptions) {
    this.#data = data;
    const { index, logLevel } = data;
    const lines = logLevel === undefined ? SILENT : createLogger(logLevel);
    const logger = inThread(lines, index);
    this.#logger = logger;
    surviveErrors(logger);
    const config = configOf(data);
    this.#node = config.redis === undefined ? nodeOf(data, config, logger) : undefined;
    const parts = {
      broker: this.#node && hosted(this.#node),
      adopt: (server: NetServer, door: Door) => this.#adopt(server, door),
      node: data.gateway,
      well: () => this.#well,
      counts: countsOf(data.counts, index),
      process: async () => processNode(data.process, await this.#reports()),
      nodes: async () => nodesOf(await this.#reports()),
      metrics: async () => renderTotals(await this.#reports()),
    };
    const self = this;
    const running: RunningThread = {
      get server() {
        return self.#server;
      },
      node: this.#node,
      data,
      say: (value) => this.say({ type: "extra", value }),
    };
    this.#options = options(running);
    this.#server = new NodeServer({ ...this.#options, config, logger }, parts);
  }

  say(message: FromThread): void {
    parentPort?.postMessage(message);
  }

  take(message: ToThread): void {
    switch (message.type) {
      case "join":
        this.#node?.join(message.index, message.gateway, message.line);
        return;
      case "ended":
        this.#node?.ended(message.index);
        this.say({ type: "left", index: message.index });
        return;
      case "start":
        background(this.#start(), this.#logger, "the start of a thread");
        return;
      case "socket":
        this.#adopters.get(message.door)?.take(message.socket);
        return;
      case "health":
        this.#well = message.well;
        return;
      case "ping":
        this.say({ type: "pong" });
        return;
      case "reportTo":
        this.#report(message.id);
        return;
      case "reports":
        this.#totals.get(message.id)?.(message.reports);
        this.#totals.delete(message.id);
        return;
      case "stop":
        background(this.#stop(), this.#logger, "the end of a thread");
        return;
      case "extra":
        this.#options.heard?.(message.value);
        return;
    }
  }

  async #start(): Promise<void> {
    this.#node?.complete();
    try {
      await this.#server.start();
      this.say({ type: "started", problem: undefined });
    } catch (error) {
      const problem = error instanceof Error ? error.message : `${error}`;
      this.say({ type: "started", problem });
    }
  }

  async #stop(): Promise<void> {
    try {
      await this.#server.stop();
    } catch (error) {
      this.#logger.warn("cannot stop", { error });
    }
    if (this.#data.logLevel !== undefined) await standardOutput().drained(LAST_LINES_MS);
    this.say({ type: "stopped" });
  }

  #report(id: number): void {
    const channels = this.#node?.objects.channels.size ?? 0;
    const { engine, node: name } = this.#server;
    const incidents = engine.counters.incidents.latest();
    const own = { stats: engine.stats(), facts: this.#server.facts(), channels, name, incidents };
    this.say({ type: "report", id, report: own });
  }

  /** Of all threads. */
  #reports(): Promise<readonly ThreadReport[]> {
    this.#lastTotals += 1;
    const id = this.#lastTotals;
    return new Promise((resolve) => {
      this.#totals.set(id, resolve);
      this.say({ type: "totals", id });
    });
  }

  #adopt(server: NetServer, door: Door): Adopter {
    const adopter = adopt(server, () => this.#lost(door));
    this.#adopters.set(door, adopter);
    return adopter;
  }

  /** A socket has ended. Those of one turn are one message. */
  #lost(door: Door): void {
    if (this.#gone.size === 0) {
      setImmediate(() => {
        const gone = [...this.#gone];
        this.#gone.clear();
        for (const [at, sockets] of gone) this.say({ type: "gone", door: at, sockets });
      });
    }
    this.#gone.set(door, (this.#gone.get(door) ?? 0) + 1);
  }
}

/** The configuration of one of the threads: of what the process may have it has its share. */
function configOf({ api, inForce, tables, threads }: ThreadData): ServerConfig {
  const config = parseConfig(tables, secretsOf(process.env));
  const share = (all: number): number => Math.ceil(all / threads);
  return {
    ...config,
    inForce,
    api: { ...config.api, ...api },
    maxRetainedBytes: share(config.maxRetainedBytes),
    settings: { ...config.settings, maxChannels: share(config.settings.maxChannels) },
  };
}

function nodeOf(data: ThreadData, config: ServerConfig, logger: Logger): ThreadNode {
  const { gateway, index, owners, threads } = data;
  const { maxChannels, rules } = config.settings;
  return new ThreadNode({
    index,
    threads,
    owners,
    gateway,
    platform: { clock, timers: threadTimers, logger },
    random: { ...random, epoch: shortId },
    rules,
    maxChannels,
    maxRetainedBytes: config.maxRetainedBytes,
    keepsDirectory: keepsDirectory(config),
    endOfTurn: nextTurn,
  });
}

function hosted(node: ThreadNode): HostedBroker {
  return {
    broker: node.broker,
    outbox: undefined,
    heard: (lifecycle) => {
      node.lifecycle = lifecycle;
      return sessionsOnly(lifecycle);
    },
    open: async () => {},
    redis: () => undefined,
    close: async () => {},
  };
}

/** Channels report by themselves whether they have subscribers: no thread knows those of the others. */
function sessionsOnly(lifecycle: Lifecycle): Lifecycle {
  const kinds = SESSION_KINDS.filter((kind) => lifecycle.kinds.has(kind));
  return {
    kinds: new Set(kinds),
    get stats() {
      return lifecycle.stats;
    },
    record: (events) => lifecycle.record(events),
  };
}

/** A log whose lines say which thread has written them. */
function inThread(logger: ServerLogger, thread: number): ServerLogger {
  const { info, debug } = logger;
  return {
    warn: (message, fields) => logger.warn(message, { thread, ...fields }),
    error: (message, fields) => logger.error(message, { thread, ...fields }),
    ...(info && { info: (message, fields) => info(message, { thread, ...fields }) }),
    ...(debug && { debug: (message, fields) => debug(message, { thread, ...fields }) }),
  };
}
