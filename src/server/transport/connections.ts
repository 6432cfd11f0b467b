import type { Engine } from "../../engine/engine.ts";
import type { Logger } from "../../engine/ports/platform.ts";

/** What each way in works with that makes sessions. */
export interface Entrance {
  readonly engine: Engine;
  /** All connections of the process, whichever way they came. */
  readonly connections: Connections;
  /** Bytes that may wait for one client; more end its session with 3510. */
  readonly maxQueueBytes: number;
  readonly logger: Logger;
  /** A fresh session id. */
  readonly sessionId: () => string;
}

/** What each of a process' threads has, where there are several. */
export interface ThreadCounts {
  /** Sessions and connections of the other threads. */
  readonly others: { readonly sessions: number; readonly connections: number };
  /** Has the others see what this one has. */
  note(sessions: number, connections: number): void;
}

export interface ConnectionsOptions {
  /** Sessions that there may be; a connection beyond them closes with 3504. */
  readonly limit: number;
  /** Sessions of this thread. */
  readonly sessions: () => number;
  /** Undefined where it is the only one. */
  readonly threads?: ThreadCounts | undefined;
}

/**
 * How many connections a process holds: WebSockets and streams, each from its first byte to its last,
 * so that those that are being closed count as well.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  #size = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Connections of this thread that have not ended. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether there are twice as many as there may be sessions: then even a connection that is only
   * sent away would be too much.
   */
  get full(): boolean {
    const { limit, threads } = this.#options;
    return this.#size + (threads?.others.connections ?? 0) >= 2 * limit;
  }

  /** Whether there may be one more session. Where it says so, its door makes the session in the same step. */
  admit(): boolean {
    const { limit, sessions, threads } = this.#options;
    const own = sessions() + 1;
    if (own > limit) return false;
    if (threads === undefined) return true;
    // Of two threads that take the last place at the same time neither gets it: each sees the other.
    threads.note(own, this.#size);
    if (own + threads.others.sessions <= limit) return true;
    threads.note(own - 1, this.#size);
    return false;
  }

  /** Counts one more, until `leave` is called for it. */
  enter(): void {
    this.#size += 1;
    this.#note();
  }

  leave(): void {
    this.#size -= 1;
    // Its session ends in the same step.
    if (this.#options.threads !== undefined) queueMicrotask(() => this.#note());
  }

  #note(): void {
    this.#options.threads?.note(this.#options.sessions(), this.#size);
  }
}
