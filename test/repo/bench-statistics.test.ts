/** The judgement of `npm run check:cpu`: equal things are called equal, and five per cent are found. */
import { expect, test } from "vitest";
import { median, medianInterval } from "../../bench/statistics.ts";
import { seed, seededRandom } from "../support/random.ts";

const PAIRS = 21;

/** Ratios of pairs that differ by some per cent, one in ten of them by far. */
function ratios(truth: number): number[] {
  const random = seededRandom(seed());
  return Array.from({ length: PAIRS }, () => {
    const noise = random.next() + random.next() - 1;
    return truth * (1 + noise * (random.chance(0.1) ? 0.5 : 0.03));
  });
}

test("the median of an even and of an odd number", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test("the interval of equal things holds 1", () => {
  const { low, median: middle, high } = medianInterval(ratios(1));
  expect(low).toBeLessThanOrEqual(1);
  expect(high).toBeGreaterThanOrEqual(1);
  expect(middle).toBeGreaterThanOrEqual(low);
  expect(middle).toBeLessThanOrEqual(high);
  expect(high).toBeLessThan(1.03);
});

test("five per cent are found", () => {
  expect(medianInterval(ratios(1.05)).low).toBeGreaterThan(1.02);
});
