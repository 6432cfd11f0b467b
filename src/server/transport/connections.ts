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
