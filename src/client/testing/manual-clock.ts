/** Time that passes when a test says so. */
import type { Clock } from "../core/ports.ts";

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/**
 * A clock in a test's hand: timers run inside of `advance`, the earliest first, and nothing else makes time pass.
 *
 * @example
 * const clock = new ManualClock();
 * clock.after(500, () => console.log("half a second"));
 * await clock.advance(1_000);
 */
export class ManualClock implements Clock {
  #elapsed = 0;
  #now: number;
  #random: () => number;
  readonly #timers = new Set<Timer>();

  /**
   * @param now what the device's clock shows, Unix milliseconds
   * @param random what chance comes to. Default 0.5, always
   */
  constructor(now = 1_767_225_600_000, random: () => number = () => 0.5) {
    this.#now = now;
    this.#random = random;
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  random(): number {
    return this.#random();
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#elapsed + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that have not run. */
  get timers(): number {
    return this.#timers.size;
  }

  /**
   * Lets time pass. Before each timer, and at the end, what waits for promises goes on; timers that are set meanwhile run
   * as well, where they are due.
   *
   * @param ms milliseconds, at least 0
   */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    for (;;) {
      await settled();
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
      }
      if (next === undefined) break;
      this.#pass(Math.max(next.at, this.#elapsed));
      this.#timers.delete(next);
      next.run();
    }
    this.#pass(end);
  }

  /** Sets the device's clock, as people and time servers do: no time passes. */
  set(now: number): void {
    this.#now = now;
  }

  /** The machine sleeps: the device's clock goes on, and all else stands still. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  #pass(to: number): void {
    this.#now += to - this.#elapsed;
    this.#elapsed = to;
  }
}

/** Lets promises go on until all of them wait for something else. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
