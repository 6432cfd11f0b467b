/**
 * How late the event loop is. A timer that comes late has waited as long as everything else that
 * happened meanwhile, such as a frame of a client.
 */
import { DurationHistogram, type HistogramStats } from "../engine/counters.ts";

/** Between two looks, in milliseconds: a server that is idle must not notice them. */
const LOOK_MS = 250;

export class LoopLag {
  readonly #histogram = new DurationHistogram();
  #timer: NodeJS.Timeout | undefined;

  start(): void {
    const due = performance.now() + LOOK_MS;
    this.#timer = setTimeout(() => {
      this.#histogram.observe(performance.now() - due);
      this.start();
    }, LOOK_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  stats(): HistogramStats {
    return this.#histogram.stats();
  }
}
