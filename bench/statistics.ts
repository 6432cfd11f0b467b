/** What many interleaved pairs say about a ratio. */
import { seededRandom } from "../test/support/random.ts";

export interface Interval {
  readonly median: number;
  /** Ends of the 95 % interval of the median. */
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 10_000;

/** The median, and where it may lie: the percentile bootstrap, with a seed of its own. */
export function medianInterval(values: readonly number[]): Interval {
  const random = seededRandom(values.length);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => random.pick(values))),
  ).sort((left, right) => left - right);
  const at = (share: number): number => medians[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN;
  return { median: median(values), low: at(0.025), high: at(0.975) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const [left = Number.NaN, right = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? right : (left + right) / 2;
}
