/** What several patterns cover together, against all channels of a small alphabet. */
import { expect, test } from "vitest";
import { coveredBy, covers, matches } from "../../src/channels/patterns.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

/** Two that patterns name, and one that none does. */
const WORDS = ["a", "b", "other"] as const;

function channels(length: number): string[] {
  if (length === 0) return [""];
  return channels(length - 1).flatMap((start) =>
    WORDS.map((word) => (start === "" ? word : `${start}.${word}`)),
  );
}
const CHANNELS = [1, 2, 3, 4, 5].flatMap(channels);
/** A bit for each channel, by patterns that were asked about before. */
const known = new Map<string, bigint>();

function standsFor(pattern: string): bigint {
  const bits =
    known.get(pattern) ?? BigInt(`0b${CHANNELS.map((one) => +matches(pattern, one)).join("")}`);
  known.set(pattern, bits);
  return bits;
}

function somePattern(random: SeededRandom): string {
  const words = Array.from({ length: random.int(4) }, () =>
    random.pick(["a", "b", "*", "*", "*", "*"]),
  );
  if (words.length === 0 || random.chance(0.5)) words.push("**");
  return words.join(".");
}

test("patterns cover together exactly what each of their channels says", () => {
  let together = 0;
  eachStep(3_000, (random) => {
    const wide = Array.from({ length: random.int(5) }, () => somePattern(random));
    const narrow = somePattern(random);
    const all = wide.reduce((bits, one) => bits | standsFor(one), 0n);
    const expected = (standsFor(narrow) & ~all) === 0n;
    if (expected && !wide.some((one) => covers(one, narrow))) together += 1;
    if (coveredBy(wide, narrow) !== expected) throw new Error(`${wide} ${narrow} ${expected}`);
  });
  // Not only by one of them.
  expect(together).toBeGreaterThan(3);
});
