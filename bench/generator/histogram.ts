/** Latencies, log-linear: 64 steps to an octave, so that a value is told with an error below one per cent. */
import { TICKS } from "./mark.ts";

const STEPS = 64;
const OCTAVES = 25;

export class Histogram {
  readonly counts: Float64Array;

  constructor(counts: Float64Array = new Float64Array(STEPS * (OCTAVES + 1))) {
    this.counts = counts;
  }

  /**
   * @param ticks of 100 ns, up to three minutes
   * @param times how often it was seen
   */
  add(ticks: number, times = 1): void {
    const shift = ticks < STEPS ? 0 : 25 - Math.clz32(ticks);
    const step = shift * STEPS + (ticks >> shift);
    this.counts[step] = (this.counts[step] ?? 0) + times;
  }

  merge(other: Histogram): void {
    for (const [step, count] of other.counts.entries()) {
      this.counts[step] = (this.counts[step] ?? 0) + count;
    }
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** The value at a share of all, such as 0.99, in milliseconds; NaN of nothing. */
  percentile(share: number): number {
    let left = Math.max(1, Math.ceil(this.count * share));
    for (const [step, count] of this.counts.entries()) {
      left -= count;
      if (left <= 0) return middleOf(step) / TICKS;
    }
    return Number.NaN;
  }
}

function middleOf(step: number): number {
  const shift = Math.max(0, Math.floor(step / STEPS) - 1);
  return (step - shift * STEPS) * 2 ** shift + (2 ** shift - 1) / 2;
}
