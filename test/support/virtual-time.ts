/**
 * A clock and timers that a test moves, fast enough for a hundred thousand timers: what is due in the same
 * millisecond comes in the order in which it was asked for.
 */
import { vi } from "vitest";

/** Promises that may follow from one another within a millisecond. */
const HOPS = 60;

export class VirtualTime {
  #now = 1_700_000_000_000;
  #last = 0;
  /** What is due, by Unix milliseconds. */
  readonly #due = new Map<number, Map<number, () => void>>();
  readonly #at = new Map<number, number>();

  /** From now on all timers of the isolate are these, until `vi.unstubAllGlobals` and `restoreAllMocks`. */
  constructor() {
    vi.stubGlobal("setTimeout", (callback: () => void, ms = 0) => this.#set(callback, ms));
    vi.stubGlobal("clearTimeout", (timer: number) => this.#clear(timer));
    vi.spyOn(Date, "now").mockImplementation(() => this.#now);
  }

  /** Lets time pass until a promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    for (await hops(); !settled; await this.#step());
    return await promise;
  }

  async #step(): Promise<void> {
    this.#now += 1;
    const due = this.#due.get(this.#now);
    if (due === undefined) return;
    this.#due.delete(this.#now);
    for (const [timer, callback] of due) {
      this.#at.delete(timer);
      callback();
    }
    await hops();
  }

  #set(callback: () => void, ms: number): number {
    this.#last += 1;
    const at = this.#now + Math.max(Math.ceil(ms), 1);
    const due = this.#due.get(at) ?? new Map<number, () => void>();
    due.set(this.#last, callback);
    this.#due.set(at, due);
    this.#at.set(this.#last, at);
    return this.#last;
  }

  #clear(timer: number): void {
    this.#due.get(this.#at.get(timer) ?? 0)?.delete(timer);
    this.#at.delete(timer);
  }
}

async function hops(): Promise<void> {
  for (let i = 0; i < HOPS; i++) await undefined;
}
