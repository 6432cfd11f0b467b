/**
 * The clock of a server. Beside the time of day it has one for measuring silence, which no step of the
 * time of day moves, and which nearly stands still while the process cannot read what its clients send:
 * suspended, or busy with one thing.
 */
import type { Clock } from "../engine/ports/platform.ts";

/** How often the clock is looked at, in milliseconds. */
const LOOK_MS = 250;
/** The most that passes between two looks, in milliseconds; what is longer was no time to read in. */
const MAX_STEP_MS = 2 * LOOK_MS;

export class ServerClock implements Clock {
  readonly #time: () => number;
  #last: number;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param time monotonic, in milliseconds */
  constructor(time: () => number = () => performance.now()) {
    this.#time = time;
    this.#last = time();
  }

  now(): number {
    return Date.now();
  }

  steady(): number {
    const time = this.#time();
    this.#lost += Math.max(0, time - this.#last - MAX_STEP_MS);
    this.#last = time;
    return time - this.#lost;
  }

  /** From here on a time without a look is one in which the process could not look. */
  start(): void {
    this.#last = this.#time();
    this.#timer = setInterval(() => this.steady(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
