/** A thread as the main thread sees it: what it was asked and has not answered, and whether it still moves. */
import type { Socket } from "node:net";
import { type EventLoopUtilization, performance } from "node:perf_hooks";
import { MessageChannel, type Transferable, Worker } from "node:worker_threads";
import { newMemory } from "../../threads/calls/link.ts";
import type { Door } from "../server.ts";
import type { FromThread, OwnReport, ThreadData, ToThread } from "./messages.ts";

/** A thread that has not answered for so long gets no new connections, in milliseconds. */
const SLOW_MS = 2_000;

export interface SupervisedHost {
  /** The thread has ended. */
  ended(thread: Supervised, reason: string): void;
  gone(door: Door, sockets: number): void;
  /** It asks for the reports of all threads. */
  totals(thread: Supervised, id: number): void;
  extra(thread: Supervised, value: unknown): void;
}

export class Supervised {
  readonly index: number;
  readonly gateway: string;
  /** Connections that were moved there and have not ended. */
  connections = 0;
  /** Other threads may be joined with it, or were. */
  joinable = false;
  /** It takes connections. */
  serving = false;
  readonly loaded = Promise.withResolvers<void>();
  readonly started = Promise.withResolvers<string | undefined>();
  readonly stopped = Promise.withResolvers<void>();
  readonly #host: SupervisedHost;
  readonly #worker: Worker;
  readonly #sockets: Record<Door, number> = { websocket: 0, grpc: 0, http: 0 };
  /** Resolved when it has left the thread of an index that has ended. */
  readonly #leaving = new Map<number, () => void>();
  readonly #reports = new Map<number, (report: OwnReport | undefined) => void>();
  #lastReport = 0;
  #alive = true;
  /** Why it is about to be ended, where that is our doing. */
  #doom: string | undefined;
  #error: unknown;
  /** When the first question was put that it has not answered; undefined where there is none. */
  #askedAt: number | undefined;
  /** What its event loop had done by the last look; undefined before the first. */
  #utilization: EventLoopUtilization | undefined;

  /** @param heapMb its heap may have so much, in mebibytes; beyond that it ends */
  constructor(program: string | URL, data: ThreadData, host: SupervisedHost, heapMb: number) {
    this.index = data.index;
    this.gateway = data.gateway;
    this.#host = host;
    this.#worker = new Worker(program, {
      workerData: data,
      name: `messageloop ${data.index}`,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    });
    this.#worker.on("message", (message: FromThread) => this.#take(message));
    this.#worker.on("error", (error) => {
      this.#error = error;
    });
    this.#worker.on("exit", (code) => this.#end(code));
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** How long it has not answered, in milliseconds. */
  get silence(): number {
    return this.#askedAt === undefined ? 0 : performance.now() - this.#askedAt;
  }

  /** Whether it takes part as it should. */
  get well(): boolean {
    return this.serving && this.silence < SLOW_MS;
  }

  /** The part of the time since the last call in which it was busy, 0 to 1. */
  busy(): number {
    const of = this.#worker.performance;
    const now = of.eventLoopUtilization();
    const { utilization } =
      this.#utilization === undefined ? now : of.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    return utilization;
  }

  say(message: ToThread, transfer: readonly Transferable[] = []): void {
    if (this.#alive) this.#worker.postMessage(message, transfer);
  }

  /** Joins it with another one. */
  join(other: Supervised): void {
    const { port1, port2 } = new MessageChannel();
    const memory = newMemory();
    const { index, gateway } = this;
    const line = { port: port1, memory, side: 0 } as const;
    this.say({ type: "join", index: other.index, gateway: other.gateway, line }, [port1]);
    other.say({ type: "join", index, gateway, line: { port: port2, memory, side: 1 } }, [port2]);
  }

  /** Resolves when nothing in it counts on the thread of an index, which has ended; or when it has ended itself. */
  leave(index: number): Promise<void> {
    if (!this.#alive) return Promise.resolve();
    return new Promise((resolve) => {
      this.#leaving.set(index, resolve);
      this.say({ type: "ended", index });
    });
  }

  /** Moves a connection there. Returns whether it has gone. */
  give(door: Door, socket: Socket): boolean {
    try {
      // Its type has no sockets yet.
      this.#worker.postMessage({ type: "socket", door, socket }, [socket as never]);
    } catch {
      // The client has spoken or gone before its connection was moved.
      return false;
    }
    this.connections += 1;
    this.#sockets[door] += 1;
    return true;
  }

  ping(): void {
    if (this.#askedAt !== undefined) return;
    this.#askedAt = performance.now();
    this.say({ type: "ping" });
  }

  /** Time in which nobody could have been heard, in milliseconds, counts for nobody. */
  excuse(ms: number): void {
    if (this.#askedAt !== undefined) this.#askedAt += ms;
  }

  /** Resolves with what it reports of itself; undefined where it does not in time. */
  report(ms: number): Promise<OwnReport | undefined> {
    if (!this.#alive) return Promise.resolve(undefined);
    this.#lastReport += 1;
    const id = this.#lastReport;
    return new Promise((resolve) => {
      const done = (report: OwnReport | undefined): void => {
        clearTimeout(timer);
        this.#reports.delete(id);
        resolve(report);
      };
      const timer = setTimeout(done, ms, undefined);
      this.#reports.set(id, done);
      this.say({ type: "reportTo", id });
    });
  }

  /** Ends it, in whatever it is doing. */
  async kill(reason: string): Promise<void> {
    this.#doom ??= reason;
    await this.#worker.terminate();
  }

  #take(message: FromThread): void {
    switch (message.type) {
      case "loaded":
        this.loaded.resolve();
        return;
      case "left":
        this.#leaving.get(message.index)?.();
        this.#leaving.delete(message.index);
        return;
      case "started":
        this.started.resolve(message.problem);
        return;
      case "gone":
        this.connections -= message.sockets;
        this.#sockets[message.door] -= message.sockets;
        this.#host.gone(message.door, message.sockets);
        return;
      case "pong":
        this.#askedAt = undefined;
        return;
      case "report":
        this.#reports.get(message.id)?.(message.report);
        return;
      case "totals":
        this.#host.totals(this, message.id);
        return;
      case "stopped":
        this.stopped.resolve();
        return;
      case "extra":
        this.#host.extra(this, message.value);
        return;
    }
  }

  #end(code: number): void {
    this.#alive = false;
    this.serving = false;
    for (const resolve of this.#leaving.values()) resolve();
    for (const resolve of [...this.#reports.values()]) resolve(undefined);
    for (const [door, sockets] of Object.entries(this.#sockets)) {
      if (sockets > 0) this.#host.gone(door as Door, sockets);
    }
    const reason =
      this.#doom ?? (this.#error === undefined ? `exit code ${code}` : `${this.#error}`);
    this.loaded.resolve();
    this.started.resolve(`a thread has ended: ${reason}`);
    this.stopped.resolve();
    this.#host.ended(this, reason);
  }
}
