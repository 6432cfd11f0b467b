/**
 * What has to happen some time, however long Redis is away. All that waits is tried again by one loop of the node, so
 * that an outage costs the same whatever it holds up, and what nobody wants any more leaves the loop.
 *
 * | after a pause | the next pause |
 * | --- | --- |
 * | a call has succeeded, or none is left that has failed | `FIRST_PAUSE_MS` |
 * | no call has succeeded | twice the last one, `LAST_PAUSE_MS` at most |
 * | Redis is said to be back | is `FIRST_PAUSE_MS`, in place of the one under way |
 */
import type { Timers } from "../../../engine/ports/platform.ts";
import { mendable } from "./retry.ts";
import type { Trouble, Troubles } from "./troubles.ts";

/** First pause of the loop, in milliseconds; it doubles up to the last while nothing succeeds. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 1_000;
/** Calls that are tried again after one pause. */
const TOGETHER = 64;

/** A call that waits for its next turn. */
interface Waiter {
  readonly over: () => boolean;
  readonly resolve: () => void;
}

export class RedisRetries {
  readonly #timers: Timers;
  readonly #troubles: Troubles;
  #waiting: Waiter[] = [];
  /** Calls that have failed and are not done. */
  #open = 0;
  #pause = FIRST_PAUSE_MS;
  /** A call has succeeded since the last pause. */
  #succeeded = false;
  #cancel: (() => void) | undefined;
  #ended = false;

  constructor(timers: Timers, troubles: Troubles) {
    this.#timers = timers;
    this.#troubles = troubles;
  }

  /** Calls that wait for their next turn. */
  get size(): number {
    return this.#waiting.length;
  }

  /**
   * Calls until it succeeds. Answers undefined once nobody cares any more.
   *
   * @param what names the call in the log, by one of a few fixed names
   * @throws what no repetition mends, see `mendable`
   */
  async until<T>(
    what: string,
    over: () => boolean,
    call: () => Promise<T>,
  ): Promise<T | undefined> {
    let trouble: Trouble | undefined;
    try {
      while (!over() && !this.#ended) {
        try {
          const result = await call();
          this.#succeeded = true;
          return result;
        } catch (error) {
          if (!mendable(error)) throw error;
          if (trouble === undefined) this.#open += 1;
          trouble ??= this.#troubles.begin(what);
          trouble.failed(error);
        }
        await this.#turn(over);
      }
      return undefined;
    } finally {
      if (trouble !== undefined) {
        trouble.over();
        this.#open -= 1;
        if (this.#open === 0) this.#pause = FIRST_PAUSE_MS;
      }
    }
  }

  /** Redis is back: what waits does not wait for the end of a long pause. */
  hurry(): void {
    this.#pause = FIRST_PAUSE_MS;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#later();
  }

  /** Nothing is tried again. */
  end(): void {
    this.#ended = true;
    this.#cancel?.();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  async #turn(over: () => boolean): Promise<void> {
    if (this.#ended) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push({ over, resolve });
      this.#later();
    });
  }

  #later(): void {
    if (this.#cancel !== undefined || this.#waiting.length === 0) return;
    this.#cancel = this.#timers.after(this.#pause, () => {
      this.#cancel = undefined;
      this.#release();
    });
  }

  #release(): void {
    const gone: Waiter[] = [];
    const wanted: Waiter[] = [];
    for (const waiter of this.#waiting) (waiter.over() ? gone : wanted).push(waiter);
    const some = wanted.splice(0, TOGETHER);
    this.#waiting = wanted;
    this.#pause = this.#succeeded ? FIRST_PAUSE_MS : Math.min(2 * this.#pause, LAST_PAUSE_MS);
    this.#succeeded = false;
    for (const { resolve } of [...gone, ...some]) resolve();
    this.#later();
  }
}
