/** What a node does from time to time. */
import { background } from "../../../engine/background.ts";
import type { Timers } from "../../../engine/ports/platform.ts";
import type { Troubles } from "./troubles.ts";

export interface IntervalHost {
  readonly timers: Timers;
  readonly troubles: Troubles;
}

/** Does something again and again. A failure is noted, and the next time comes all the same. */
export class Interval {
  readonly #host: IntervalHost;
  readonly #ms: number;
  readonly #what: string;
  readonly #work: () => Promise<unknown>;
  #cancel: (() => void) | undefined;
  #ended = false;

  /**
   * @param ms from the end of one time to the next, in milliseconds
   * @param what names the work in the log, by one of a few fixed names
   */
  constructor(host: IntervalHost, ms: number, what: string, work: () => Promise<unknown>) {
    this.#host = host;
    this.#ms = ms;
    this.#what = what;
    this.#work = work;
  }

  /** The first time comes after one interval; none comes once it has ended. */
  start(): void {
    if (this.#ended) return;
    const { timers, troubles } = this.#host;
    this.#cancel = timers.after(this.#ms, () => {
      const done = this.#work()
        .catch((error: unknown) => troubles.note(this.#what, error))
        .finally(() => this.start());
      background(done, troubles.logger, this.#what);
    });
  }

  end(): void {
    this.#ended = true;
    this.#cancel?.();
  }
}
