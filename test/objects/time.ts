/**
 * A clock and timers that a test moves: what is due in the same millisecond comes in the order in which it
 * was asked for, and all that follows from one timer by promises comes before the next.
 */
import type { Clock, Timers } from "../../src/engine/ports/platform.ts";

/** How long `until` waits, in milliseconds of the test. */
const PATIENCE_MS = 10 * 60 * 1000;

interface Due {
  at: number;
  readonly callback: () => void;
}

export class Time implements Clock, Timers {
  #now = 1_700_000_000_000;
  /** In the order of asking. */
  readonly #due = new Set<Due>();

  // Functions, not methods: ports are taken apart by those who use them.
  readonly now = (): number => this.#now;

  readonly after = (ms: number, callback: () => void): (() => void) => {
    const due = { at: this.#now + Math.max(Math.ceil(ms), 0), callback };
    this.#due.add(due);
    return () => this.#due.delete(due);
  };

  /** Sets the clock back; timers go off as they would have. */
  setBack(ms: number): void {
    this.#now -= ms;
    for (const due of this.#due) due.at -= ms;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    while (await this.#step(end));
    this.#now = end;
  }

  /** Lets time pass until a promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    const end = this.#now + PATIENCE_MS;
    do {
      if (!(await this.#step(end)) && !settled) throw new Error("nothing moves any more");
    } while (!settled);
    return await promise;
  }

  /** The next timer that is due by a time, with all that follows. Returns whether there was one. */
  async #step(end: number): Promise<boolean> {
    await new Promise(setImmediate);
    let next: Due | undefined;
    for (const due of this.#due) if (due.at <= end && due.at < (next?.at ?? end + 1)) next = due;
    if (next === undefined) return false;
    this.#due.delete(next);
    this.#now = Math.max(this.#now, next.at);
    next.callback();
    await new Promise(setImmediate);
    return true;
  }
}
