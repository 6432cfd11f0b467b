/**
 * CPU time that single turns of the event loop take. Wall time would measure the neighbours on the machine as
 * well, and the CPU time of the process the threads that collect garbage beside it: what counts is the CPU
 * time of the thread that the loop runs on.
 *
 * A timer of one millisecond looks at that clock. It goes off at most once a turn, so between two looks lies
 * at least one whole turn: what is measured is never less than the turn. While the loop sleeps there are no
 * turns, so stretches of less than a millisecond of CPU are not counted; otherwise a long wait would
 * bury the long turns.
 */
import { createHistogram, PerformanceObserver } from "node:perf_hooks";

/** Milliseconds of CPU. */
export interface TurnTimes {
  /** Turns that took a millisecond or more. */
  readonly count: number;
  readonly p99: number;
  readonly p999: number;
  readonly longest: number;
  /** The longest stop for a collection, a part of its turn; wall time. */
  readonly longestCollection: number;
}

const BUSY_MICROSECONDS = 1_000;

export class Turns {
  #histogram = createHistogram();
  #last = 0;
  #timer: NodeJS.Timeout | undefined;
  #longestCollection = 0;
  readonly #observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      this.#longestCollection = Math.max(this.#longestCollection, duration);
    }
  });

  start(): void {
    this.#histogram = createHistogram();
    this.#longestCollection = 0;
    this.#observer.observe({ entryTypes: ["gc"] });
    this.#last = cpuMicroseconds();
    this.#next();
  }

  stop(): TurnTimes {
    clearTimeout(this.#timer);
    this.#observer.disconnect();
    const histogram = this.#histogram;
    return {
      count: histogram.count,
      p99: histogram.percentile(99) / 1_000,
      p999: histogram.percentile(99.9) / 1_000,
      longest: histogram.max / 1_000,
      longestCollection: this.#longestCollection,
    };
  }

  #next(): void {
    this.#timer = setTimeout(() => {
      const now = cpuMicroseconds();
      const spent = now - this.#last;
      if (spent >= BUSY_MICROSECONDS) this.#histogram.record(Math.round(spent));
      this.#last = now;
      this.#next();
    }, 1);
  }
}

function cpuMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
