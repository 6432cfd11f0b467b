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

/**
 * How many connections a process holds: WebSockets and streams, each from its first byte to its last,
 * so that those that are being closed count as well.
 */
export class Connections {
  /** Sessions that there may be; a connection beyond them closes with 3504. */
  readonly limit: number;
  #size = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Connections that have not ended. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether there are twice as many as there may be sessions: then even a connection that is only
   * sent away would be too much.
   */
  get full(): boolean {
    return this.#size >= 2 * this.limit;
  }

  /** Counts one more, until `leave` is called for it. */
  enter(): void {
    this.#size += 1;
  }

  leave(): void {
    this.#size -= 1;
  }
}
