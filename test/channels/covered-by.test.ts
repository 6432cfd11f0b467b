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
    const expected = CHANNELS.filter((channel) => matches(narrow, channel)).every((channel) =>
      wide.some((one) => matches(one, channel)),
    );
    if (expected && !wide.some((one) => covers(one, narrow))) together += 1;
    if (coveredBy(wide, narrow) !== expected) throw new Error(`${wide} ${narrow} ${expected}`);
  });
  // Not only by one of them.
  expect(together).toBeGreaterThan(3);
});
