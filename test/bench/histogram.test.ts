import { expect, test } from "vitest";
import { Histogram } from "../../bench/generator/histogram.ts";
import { TICKS } from "../../bench/generator/mark.ts";
import { eachStep } from "../support/random.ts";

test("a percentile is off by less than one per cent", () => {
  eachStep(300, (random) => {
    const values = Array.from({ length: 1 + random.int(200) }, () => {
      return Math.floor(64 + 2 ** (random.next() * 31));
    }).sort((left, right) => left - right);
    const histogram = new Histogram();
    for (const value of values) histogram.add(value);
    for (const share of [0.5, 0.9, 0.99, 1]) {
      const exact = values[Math.ceil(values.length * share) - 1] ?? Number.NaN;
      const error = (histogram.percentile(share) * TICKS) / exact - 1;
      expect(Math.abs(error)).toBeLessThan(0.01);
    }
  });
});

test("short times are exact", () => {
  const histogram = new Histogram();
  for (let ticks = 0; ticks < 64; ticks++) histogram.add(ticks);
  expect(histogram.percentile(0.5) * TICKS).toBeCloseTo(31);
  expect(histogram.percentile(1) * TICKS).toBeCloseTo(63);
});

test("what is merged counts twice", () => {
  const [one, other] = [new Histogram(), new Histogram()];
  for (const ticks of [100, 200, 300]) one.add(ticks);
  other.add(5_000);
  one.merge(other);
  one.merge(other);
  expect(one.count).toBe(5);
  expect(one.percentile(1) * TICKS).toBeGreaterThan(4_950);
});
