/** Waiting: one time limit at a time, and how long to wait before another try. */
import type { Clock } from "./ports.ts";

/** A time limit that is set anew, or called off, as often as need be. */
export class Timer {
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls after so many milliseconds; what was set before is called off. */
  set(ms: number, run: () => void): void {
    this.stop();
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      run();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Whether something is to be called. */
  runs(): boolean {
    return Boolean(this.#cancel);
  }
}

/** A first try comes within it, in milliseconds. */
export const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20_000;

/** Within how many milliseconds a try comes that follows so many failures: the double for each, up to 20 s. */
export function longestDelay(failures: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
}
