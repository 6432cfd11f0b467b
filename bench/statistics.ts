/** What interleaved pairs say about a ratio. */
import { seededRandom } from "../test/support/random.ts";

export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 10_000;

/**
 * Share of the resampled medians that lie in the interval. The percentile bootstrap is too narrow where there are few
 * values: at this level it holds the true median with a probability of 0.94 for five values, which is all that five can
 * say, 0.96 for nine and 0.97 or more from eleven on.
 */
const LEVEL = 0.99;

/**
 * The median, and where it may lie: the percentile bootstrap, with a seed of its own.
 *
 * @param level share of the resampled medians that lie in the interval
 */
export function medianInterval(values: readonly number[], level = LEVEL): Interval {
  const random = seededRandom(values.length);
  const medians = Float64Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => random.pick(values))),
  ).sort();
  const at = (share: number): number => medians[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN;
  const outside = (1 - level) / 2;
  return { median: median(values), low: at(outside), high: at(1 - outside) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const [left = Number.NaN, right = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? right : (left + right) / 2;
}
