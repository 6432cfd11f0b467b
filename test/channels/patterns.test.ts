/** Patterns against a second reading of their grammar: regular expressions and expanded words. */
import { expect, test } from "vitest";
import { bySpecificity, matcherOf, matches, patternProblem } from "../../src/channels/patterns.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

/** Few, so that patterns and channels often meet; wildcards inside a word are letters. */
const WORDS = ["a", "b", "a*", "***"] as const;

function someChannel(random: SeededRandom): string {
  return Array.from({ length: 1 + random.int(4) }, () => random.pick(WORDS)).join(".");
}

/** A pattern or a literal name, often one that stands for the channel. */
function somePattern(random: SeededRandom, channel: string): string {
  const words = channel.split(".").map((word) => {
    if (random.chance(0.1)) return random.pick(WORDS);
    return random.chance(0.4) ? "*" : word;
  });
  if (random.chance(0.1)) words.push(random.pick(["*", "a"]));
  if (random.chance(0.5)) words.splice(random.int(words.length + 1), words.length, "**");
  return words.join(".");
}

/** The channels that a pattern stands for, as a regular expression. */
function meaning(pattern: string): RegExp {
  const words = pattern.split(".").map((word, index) => {
    const dot = index === 0 ? "" : "\\.";
    if (word === "**") return index === 0 ? ".+" : "(\\.[^.]+)*";
    return dot + (word === "*" ? "[^.]+" : word.replaceAll("*", "\\*"));
  });
  return new RegExp(`^${words.join("")}$`);
}

/**
 * What a pattern says about each word of a channel that it stands for, and about its end: `l` for the
 * word itself, `m` for `*`, `n` for the end and `o` for what `**` leaves open. Earlier in the alphabet
 * says more.
 */
function said(pattern: string, channel: string): string {
  const length = channel.split(".").length;
  const words = pattern.split(".");
  const open = words.at(-1) === "**";
  if (open) words.pop();
  const kinds = words.map((word) => (word === "*" ? "m" : "l")).join("");
  return kinds.padEnd(length, "o") + (open ? "o" : "n");
}

test.each([
  ["a", "a", true],
  ["a", "b", false],
  ["a", "a.b", false],
  ["*", "a", true],
  ["*", "a.b", false],
  ["a.*", "a", false],
  ["a.*", "a.b", true],
  ["a.*", "a.b.c", false],
  ["*.b", "a.b", true],
  ["*.b", "b", false],
  ["a.*.c", "a.b.c", true],
  ["a.*.c", "a.b.b.c", false],
  ["**", "a", true],
  ["**", "a.b.c", true],
  ["a.**", "a", true],
  ["a.**", "a.b.c", true],
  ["a.**", "ab", false],
  ["*.**", "a", true],
  ["a.*.**", "a", false],
  ["a.*.**", "a.b", true],
  ["a*", "ab", false],
  ["a*", "a*", true],
  ["a**.b", "a**.b", true],
  ["***", "a", false],
])("whether %s stands for %s: %j", (pattern, channel, expected) => {
  expect(matches(pattern, channel)).toBe(expected);
  expect(matcherOf(pattern)(channel)).toBe(expected);
});

test("patterns stand for what their grammar says", () => {
  let hits = 0;
  let steps = 0;
  eachStep(5_000, (random) => {
    const channel = someChannel(random);
    const pattern = somePattern(random, channel);
    expect(patternProblem(pattern)).toBeUndefined();
    const expected = meaning(pattern).test(channel);
    expect([pattern, channel, matches(pattern, channel)]).toEqual([pattern, channel, expected]);
    expect([pattern, channel, matcherOf(pattern)(channel)]).toEqual([pattern, channel, expected]);
    hits += expected ? 1 : 0;
    steps += 1;
  });
  // Both answers have to be common for the comparison to mean something.
  expect(hits).toBeGreaterThan(steps / 4);
  expect(hits).toBeLessThan((steps * 9) / 10);
});

test("patterns that stand for one channel have one order, which goes by what they say of it", () => {
  let pairs = 0;
  eachStep(500, (random) => {
    const channel = someChannel(random);
    const made = Array.from({ length: 12 }, () => somePattern(random, channel));
    const patterns = [...new Set(made)].filter((pattern) => matches(pattern, channel));
    for (const left of patterns) {
      for (const right of patterns) {
        const [one, other] = [said(left, channel), said(right, channel)];
        const expected = one < other ? -1 : one > other ? 1 : 0;
        expect([left, right, Math.sign(bySpecificity(left, right))]).toEqual([
          left,
          right,
          expected,
        ]);
        // No two of them say the same, so that there is always one that decides.
        expect(expected === 0).toBe(left === right);
        pairs += left === right ? 0 : 1;
      }
    }
  });
  expect(pairs).toBeGreaterThan(500);
});

test("any patterns can be sorted: what does not meet does not confuse the rest", () => {
  eachStep(2_000, (random) => {
    const [a = "", b = "", c = ""] = Array.from({ length: 3 }, () =>
      somePattern(random, someChannel(random)),
    );
    expect(Math.sign(bySpecificity(a, b))).toBe(0 - Math.sign(bySpecificity(b, a)));
    if (bySpecificity(a, b) <= 0 && bySpecificity(b, c) <= 0) {
      expect([a, b, c, bySpecificity(a, c) <= 0]).toEqual([a, b, c, true]);
    }
  });
});

test.each([
  ["a"],
  ["a.b"],
  ["*"],
  ["**"],
  ["*.*"],
  ["a.**"],
  ["*.**"],
  ["a**.b"],
  ["***.b"],
  [`${"x".repeat(253)}.*`],
])("%s is a pattern or a name", (pattern) => {
  expect(patternProblem(pattern)).toBeUndefined();
});

test.each([
  ["", "channel is empty"],
  [".", "channel holds an empty word"],
  ["*.", "channel holds an empty word"],
  [".**", "channel holds an empty word"],
  ["a..*", "channel holds an empty word"],
  ["**.a", "only the last word may be **"],
  ["**.**", "only the last word may be **"],
  ["a.**.*", "only the last word may be **"],
  ["a\n.*", "channel holds a control character"],
  ["\ud800.*", "channel is not valid Unicode"],
  [`${"x".repeat(254)}.*`, "channel is longer than 255 bytes"],
])("%j is none", (pattern, problem) => {
  expect(patternProblem(pattern)).toBe(problem);
});
