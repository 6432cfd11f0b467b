/** What the bench concludes from pairs: equal things are called equal, and five per cent are found. */
import { describe, expect, test } from "vitest";
import { median, medianInterval } from "../../bench/statistics.ts";
import { type SeededRandom, seed, seededRandom } from "../support/random.ts";

/** Ratios of pairs that differ by some per cent, one in ten of them by far. */
function ratios(random: SeededRandom, pairs: number, truth: number): number[] {
  return Array.from({ length: pairs }, () => {
    const noise = random.next() + random.next() - 1;
    return truth * (1 + noise * (random.chance(0.1) ? 0.5 : 0.03));
  });
}

/**
 * How often an interval holds the median of whatever distribution the values have: of sorted values the ends have fixed
 * places, and each value lies below the true median as often as above it.
 */
function coverage(pairs: number): number {
  const { low, high } = medianInterval(Array.from({ length: pairs }, (_, i) => i + 1));
  let share = 0;
  for (let below = low; below < high; below++) share += choose(pairs, below) / 2 ** pairs;
  return share;
}

function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i;
  return ways;
}

test("the median of an even and of an odd number", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

describe("an interval", () => {
  test.for([7, 9, 11, 13, 15, 21])("of %i pairs holds the true median", (pairs) => {
    expect(coverage(pairs)).toBeGreaterThan(0.95);
  });

  test("of five pairs is as wide as they are", () => {
    const { low, high } = medianInterval([5, 1, 4, 2, 3]);
    expect([low, high]).toEqual([1, 5]);
    expect(coverage(5)).toBeCloseTo(0.9375);
  });

  test("of equal things holds 1 in nearly all of many runs", () => {
    const random = seededRandom(seed());
    const runs = 20;
    let held = 0;
    for (let run = 0; run < runs; run++) {
      const { low, high } = medianInterval(ratios(random, 11, 1));
      if (low <= 1 && high >= 1) held += 1;
    }
    expect(held).toBeGreaterThanOrEqual(0.9 * runs);
  });

  test("of things that differ by five per cent does not hold 1", () => {
    const { low, high } = medianInterval(ratios(seededRandom(seed()), 11, 1.05));
    expect(low).toBeGreaterThan(1.02);
    expect(high).toBeLessThan(1.08);
  });
});
