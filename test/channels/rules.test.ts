/** Which rule decides about a channel. */
import { describe, expect, test } from "vitest";
import { matches } from "../../src/channels/patterns.ts";
import {
  type ChannelRule,
  type ChannelRules,
  DEFAULT_CHANNEL_RULES,
  RuleBook,
} from "../../src/channels/rules.ts";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

/** A rule that can be told from others by its pattern: the rules are compared by identity. */
function rule(pattern: string): ChannelRule {
  return { pattern, rules: { ...DEFAULT_CHANNEL_RULES } };
}

function patternOf(rules: readonly ChannelRule[], found: ChannelRules): string | undefined {
  return rules.find((candidate) => candidate.rules === found)?.pattern;
}

const WORDS = ["a", "b", "c"] as const;
const PATTERNS = ["a", "b", "*"] as const;

function words(random: SeededRandom, from: readonly string[], most: number): string {
  return Array.from({ length: 1 + random.int(most) }, () => random.pick(from)).join(".");
}

test("without rules, and where none is for the channel, the defaults hold", () => {
  expect(new RuleBook().of("a")).toBe(DEFAULT_CHANNEL_RULES);
  expect(new RuleBook([rule("a.*")]).of("a")).toBe(DEFAULT_CHANNEL_RULES);
});

test.each([
  ["a.b", "a.b"],
  ["a.c", "a.*"],
  ["a", "a.**"],
  ["a.b.c", "a.**"],
  ["c.b", "*.b"],
  ["c.c", "**"],
  ["c", "**"],
])("of many patterns that stand for %s it is %s that decides", (channel, expected) => {
  const rules = ["**", "*.b", "a.**", "a.*", "a.b"].map(rule);
  for (const order of [rules, rules.toReversed()]) {
    const found = new RuleBook(order).of(channel);
    expect(patternOf(rules, found)).toBe(expected);
  }
});

/** Word by word, those that say the most about it go on to the next; one remains. */
function naive(patterns: readonly string[], channel: string): string | undefined {
  let left = patterns.filter((pattern) => matches(pattern, channel));
  for (const [index, word] of [...channel.split("."), undefined].entries()) {
    const wanted = [word, "*", "end", "**"];
    const best = wanted.find((kind) => left.some((pattern) => wordAt(pattern, index) === kind));
    left = left.filter((pattern) => wordAt(pattern, index) === best || best === undefined);
  }
  expect(left.length).toBeLessThanOrEqual(1);
  return left[0];
}

/** Behind the last word a pattern goes on as `**` does, or is at its end. */
function wordAt(pattern: string, index: number): string {
  const all = pattern.split(".");
  return all[index] ?? (all.at(-1) === "**" ? "**" : "end");
}

test("the rule that decides is the one that is left word by word, in any order of the rules", () => {
  let decided = 0;
  eachStep(3_000, (random) => {
    const made = Array.from({ length: 1 + random.int(10) }, () => {
      const start = words(random, PATTERNS, 3);
      return random.pick([start, `${start}.**`, "**"]);
    });
    const rules = [...new Set(made)].map(rule);
    const patterns = rules.map(({ pattern }) => pattern);
    const book = new RuleBook(rules);
    for (let i = 0; i < 5; i++) {
      const channel = words(random, WORDS, 4);
      const expected = naive(patterns, channel);
      const found = book.of(channel);
      expectEqual(patternOf(rules, found), expected, () => `${channel} by ${patterns}`);
      if (expected === undefined) expectEqual(found === DEFAULT_CHANNEL_RULES, true);
      else decided += 1;
      // The answer is remembered.
      expectEqual(book.of(channel) === found, true);
    }
  });
  expect(decided).toBeGreaterThan(3_000);
});

test("more channels than are remembered keep their rules", () => {
  const [one, rest] = [rule("one.*"), rule("**")];
  const book = new RuleBook([rest, one]);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 12_000; i++) {
      const expected = i % 3 === 0 ? one : rest;
      expectEqual(book.of(`${i % 3 === 0 ? "one" : "two"}.${i}`) === expected.rules, true);
    }
  }
});

test("the list that a book was made of may change afterwards", () => {
  const rules = [rule("a")];
  const book = new RuleBook(rules);
  rules.push(rule("**"));
  expect(book.of("b")).toBe(DEFAULT_CHANNEL_RULES);
});

describe("how long a repeated event is recognised", () => {
  const window = (pattern: string, dedupWindowMs: number, exactlyOnce = true): ChannelRule => ({
    pattern,
    rules: { ...DEFAULT_CHANNEL_RULES, dedupWindowMs, exactlyOnce },
  });
  const everywhere = (_: string, except: readonly string[]): boolean => !except.includes("**");

  test("is the shortest time of what can be reached", () => {
    const book = new RuleBook([window("a.*", 60_000), window("b.*", 40_000), window("c", 9e5)]);
    expect(book.dedupWindowMs(everywhere)).toBe(40_000);
    expect(book.dedupWindowMs((pattern) => pattern !== "b.*")).toBe(60_000);
    expect(book.dedupWindowMs((pattern) => pattern === "c")).toBe(9e5);
    expect(book.dedupWindowMs((pattern) => pattern === "**")).toBe(300_000);
    expect(book.dedupWindowMs(() => false)).toBe(0);
  });

  test("is asked of channels without a rule as what all rules leave", () => {
    const asked: unknown[] = [];
    new RuleBook([window("a", 6e5), window("**", 7e5)]).dedupWindowMs((...of) => {
      asked.push(of);
      return false;
    });
    expect(asked).toEqual([
      ["**", ["a", "**"]],
      ["a", []],
      ["**", []],
    ]);
  });

  test("is not shortened by channels that recognise nothing", () => {
    expect(new RuleBook([window("a", 30_000, false)]).dedupWindowMs(everywhere)).toBe(300_000);
    expect(new RuleBook([window("**", 30_000, false)]).dedupWindowMs(everywhere)).toBe(0);
  });

  test("is the default without rules", () => {
    expect(new RuleBook().dedupWindowMs(everywhere)).toBe(300_000);
  });
});
