/**
 * The next turn of a gateway's event loop. Frames of a socket are an event each: work that is collected until the
 * next turn is a batch, work that is done at once is not.
 *
 * Workers look at their timers only when no socket has anything to read. A client that sends faster than it is read
 * would put off every turn until all of its frames are read, and all of them would be in memory until then. So a turn
 * ends after so many frames as well.
 */
import type { Timers } from "../../engine/ports/platform.ts";
import { MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";

/**
 * @example
 * turn.frame(); // with each frame of a socket
 * await turn.next(); // when the frames that are there have been read, or enough of them
 */
export class Turn {
  readonly #timers: Timers;
  #waiting: (() => void)[] = [];
  #cancel: (() => void) | undefined;
  /** Frames since the first of them waits. */
  #frames = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Calls back in the next turn. The callback does not throw. */
  soon(callback: () => void): void {
    if (this.#waiting.length === 0) {
      this.#frames = 0;
      this.#cancel = this.#timers.after(0, () => this.#end());
    }
    this.#waiting.push(callback);
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.soon(resolve));
  }

  /** A frame was read, and what it asks for was begun. */
  frame(): void {
    this.#frames += 1;
    // A call to a channel takes no more publishes than that.
    if (this.#frames >= MAX_BATCH_ENTRIES && this.#waiting.length > 0) this.#end();
  }

  #end(): void {
    this.#cancel?.();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }
}
