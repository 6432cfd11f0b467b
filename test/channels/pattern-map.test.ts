/**
 * Maps of patterns, and what patterns have in common, against a second reading of their grammar:
 * lists of regular expressions, and every channel of a small world.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { PatternMap } from "../../src/channels/pattern-map.ts";
import {
  bySpecificity,
  checkPattern,
  covers,
  overlaps,
  patternProblem,
} from "../../src/channels/patterns.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

/** What a word may be made of, and what only looks like a wildcard. */
const ODD_WORDS = [
  "a",
  "b",
  "7",
  "a b",
  " ",
  "[a]",
  "?",
  "\\",
  "\\d",
  "{a,b}",
  "%2E",
  "%",
  "🦊",
  "ñ",
  "(a|b)",
  "fo*",
  "*o",
  "a*b",
  "***",
  "****",
  "^$",
  "+",
  "__proto__",
  "constructor",
  "toString",
];

/** The same map, as a list that is searched from end to end. */
class PatternList {
  entries: { pattern: string; value: number; meaning: RegExp }[] = [];

  get(pattern: string): number | undefined {
    return this.entries.find((entry) => entry.pattern === pattern)?.value;
  }

  set(pattern: string, value: number): void {
    this.delete(pattern);
    this.entries.push({ pattern, value, meaning: meaning(pattern) });
  }

  delete(pattern: string): boolean {
    const before = this.entries.length;
    this.entries = this.entries.filter((entry) => entry.pattern !== pattern);
    return this.entries.length < before;
  }

  match(channel: string): number[] {
    return this.entries
      .filter((entry) => entry.meaning.test(channel))
      .sort((left, right) => bySpecificity(left.pattern, right.pattern))
      .map((entry) => entry.value);
  }
}

/** The channels that a pattern stands for, as a regular expression. */
function meaning(pattern: string): RegExp {
  const words = pattern.split(".").map((word, index) => {
    const dot = index === 0 ? "" : "\\.";
    if (word === "**") return index === 0 ? ".+" : "(\\.[^.]+)*";
    if (word === "*") return `${dot}[^.]+`;
    return dot + word.replaceAll(/[\\^$*+?()[\]{}|]/g, "\\$&");
  });
  return new RegExp(`^${words.join("")}$`, "u");
}

function somePattern(random: SeededRandom, words: readonly string[], longest: number): string {
  const length = random.int(longest + 1);
  const made = Array.from({ length }, () => (random.chance(0.35) ? "*" : random.pick(words)));
  if (length === 0 || random.chance(0.35)) made.push("**");
  return made.join(".");
}

function someChannel(random: SeededRandom, words: readonly string[], longest: number): string {
  return Array.from({ length: 1 + random.int(longest) }, () => random.pick(words)).join(".");
}

/** As `toEqual`, which is too slow to be asked a hundred thousand times. */
function same(about: string, actual: readonly unknown[], expected: readonly unknown[]): void {
  const equal = (value: unknown, index: number) => Object.is(value, expected[index]);
  if (actual.length === expected.length && actual.every(equal)) return;
  expect({ about, actual }).toEqual({ about, actual: expected });
}

test("100,000 random calls answer as those of a list", () => {
  const counts = { several: 0, none: 0, deleted: 0, remembered: 0 };
  let steps = 0;
  eachStep(200, (random) => {
    const words = Array.from({ length: 3 }, () => random.pick(ODD_WORDS));
    const [map, list] = [new PatternMap<number>(), new PatternList()];
    const last = new Map<string, readonly number[]>();
    for (let call = 0; call < 500; call++) {
      const kind = random.next();
      const known = list.entries.length > 0 && random.chance(0.4);
      const pattern = known ? random.pick(list.entries).pattern : somePattern(random, words, 4);
      if (kind < 0.35) {
        map.set(pattern, call);
        list.set(pattern, call);
      } else if (kind < 0.5) {
        const deleted = list.delete(pattern);
        same(`delete ${pattern}`, [map.delete(pattern)], [deleted]);
        counts.deleted += deleted ? 1 : 0;
      } else if (kind < 0.9) {
        const channel = someChannel(random, words, 4);
        const [actual, expected] = [map.match(channel), list.match(channel)];
        same(`match ${channel}`, actual, expected);
        counts.several += expected.length > 1 ? 1 : 0;
        counts.none += expected.length === 0 ? 1 : 0;
        counts.remembered += last.get(channel) === actual ? 1 : 0;
        last.set(channel, actual);
      } else {
        const value = list.get(pattern);
        same(`get ${pattern}`, [map.get(pattern), map.has(pattern)], [value, value !== undefined]);
      }
      same("size", [map.size], [list.entries.length]);
    }
    const entries = list.entries.map(({ pattern, value }) => `${pattern} ${value}`);
    same(
      "entries",
      [...map].map(([pattern, value]) => `${pattern} ${value}`).sort(),
      entries.sort(),
    );
    for (const { pattern } of list.entries) map.delete(pattern);
    same("all deleted", [map.size, ...map], [0]);
    steps += 1;
  });
  // Each of them has to be common for the comparison to mean something.
  expect(counts.several).toBeGreaterThan(5 * steps);
  expect(counts.none).toBeGreaterThan(5 * steps);
  expect(counts.deleted).toBeGreaterThan(5 * steps);
  expect(counts.remembered).toBeGreaterThan(steps);
});

test("patterns that stand for a channel come with the most specific first", () => {
  const patterns = "a.b a.b.** a.* a.*.** a.** *.b *.b.** *.* *.*.** *.** **".split(" ");
  const map = new PatternMap<string>();
  for (const pattern of patterns.toReversed()) map.set(pattern, pattern);
  expect(map.match("a.b")).toEqual(patterns);
  expect(map.match("a")).toEqual(["a.**", "*.**", "**"]);
  expect(map.match("b.b")).toEqual(patterns.slice(5));
  const longer = patterns.filter((pattern) => pattern.endsWith("**"));
  expect(map.match("a.b.c")).toEqual(longer);
});

test.each([
  ["***", "***", ["***"]],
  ["***", "a", []],
  ["fo*", "foo", []],
  ["fo*.**", "fo*.a", ["fo*.**"]],
  ["a**.b", "a.b", []],
  ["__proto__.constructor", "__proto__.constructor", ["__proto__.constructor"]],
  ["__proto__.**", "a", []],
  ["constructor.*", "constructor.name", ["constructor.*"]],
  ["*", "toString", ["*"]],
  ["[ab]?.*", "a.b", []],
  ["a.🦊.*", "a.🦊. ", ["a.🦊.*"]],
  ["a", "a.b", []],
  ["a.b", "a", []],
])("a map with %s finds for %s: %j", (pattern, channel, expected) => {
  const map = new PatternMap<string>();
  expect(map.match(channel)).toEqual([]);
  map.set(pattern, pattern);
  expect(map.match(channel)).toEqual(expected);
  expect([map.get(pattern), map.has(pattern), map.size]).toEqual([pattern, true, 1]);
  expect(map.delete(pattern)).toBe(true);
  expect(map.match(channel)).toEqual([]);
  expect([map.get(pattern), map.has(pattern), map.size]).toEqual([undefined, false, 0]);
  expect(map.delete(pattern)).toBe(false);
});

test("a beginning of a pattern is no pattern of the map, nor is what stands for the same", () => {
  const map = new PatternMap<number>();
  map.set("a.*.c.**", 1);
  for (const other of ["a", "a.**", "a.*", "a.*.**", "a.*.c", "a.*.c.*", "a.*.c.**.**", "**"]) {
    expect([other, map.has(other), map.delete(other)]).toEqual([other, false, false]);
  }
  expect([...map]).toEqual([["a.*.c.**", 1]]);
});

test("a value may be anything, undefined too", () => {
  const map = new PatternMap<unknown>();
  map.set("a.*", undefined);
  expect([map.size, map.has("a.*"), map.get("a.*")]).toEqual([1, true, undefined]);
  expect(map.match("a.b")).toEqual([undefined]);
  expect([...map]).toEqual([["a.*", undefined]]);
  map.set("a.*", null);
  expect([map.size, map.match("a.b")]).toEqual([1, [null]]);
  expect(map.delete("a.*")).toBe(true);
});

test("names of as many words as there may be are found", () => {
  const map = new PatternMap<string>();
  const stars = Array.from({ length: 128 }, () => "*");
  const patterns = [stars.join("."), [...stars.slice(2), "**"].join("."), "a.**"];
  for (const pattern of patterns) {
    checkPattern(pattern);
    map.set(pattern, pattern);
  }
  const channel = Array.from({ length: 128 }, () => "a").join(".");
  expect(map.match(channel)).toEqual([patterns[2], ...patterns.slice(0, 2)]);
});

test("entries may go while the map is iterated", () => {
  const patterns = ["a", "a.**", "a.b", "a.*.c", "*", "**", "c.d.e.**"];
  for (const also of patterns) {
    const map = new PatternMap<number>();
    for (const pattern of patterns) map.set(pattern, 1);
    const met: string[] = [];
    for (const [pattern] of map) {
      met.push(pattern);
      map.delete(pattern);
      map.delete(also);
    }
    expect(map.size).toBe(0);
    expect(new Set(met).size).toBe(met.length);
    expect(patterns.filter((pattern) => !met.includes(pattern) && pattern !== also)).toEqual([]);
  }
});

test("what is deleted leaves nothing behind", () => {
  const map = new PatternMap<number>();
  map.set("room.*.**", 0);
  const before = settledHeap();
  for (let i = 0; i < 100_000; i++) {
    const patterns = [`room.some-word-of-its-own-${i}.*.a.**`, `room.*.another-word-${i}.b`];
    for (const pattern of patterns) map.set(pattern, i);
    for (const pattern of patterns) map.delete(pattern);
  }
  // The nodes alone would be more than 60 MB.
  expect(settledHeap() - before).toBeLessThan(10_000_000);
  expect([...map]).toEqual([["room.*.**", 0]]);
});

/** A channel is remembered from the second time on. */
function matchAgain<Value>(map: PatternMap<Value>, channel: string): readonly Value[] {
  map.match(channel);
  return map.match(channel);
}

test("a change is seen by the look-ups that it concerns, and by no other", () => {
  const map = new PatternMap<string>();
  const set = (pattern: string) => map.set(pattern, pattern);
  for (const pattern of ["user.1.**", "user.2.**", "user.*.state"]) set(pattern);
  const first = matchAgain(map, "user.1.state");
  expect(first).toEqual(["user.1.**", "user.*.state"]);
  // A server is busy with these.
  for (let i = 3; i < 100; i++) {
    set(`user.${i}.**`);
    map.delete(`user.${i - 1}.**`);
    set(`room.${i}.*.typing`);
    expect(map.match("user.1.state")).toBe(first);
  }
  for (const [pattern, expected] of [
    ["user.1.state", ["user.1.state", "user.1.**", "user.*.state"]],
    ["user.1.*", ["user.1.*", "user.1.**", "user.*.state"]],
    ["user.1.state.**", ["user.1.state.**", "user.1.**", "user.*.state"]],
    ["user.*.**", ["user.1.**", "user.*.state", "user.*.**"]],
    ["user.**", ["user.1.**", "user.*.state", "user.**"]],
    ["*.1.state", ["user.1.**", "user.*.state", "*.1.state"]],
    ["**", ["user.1.**", "user.*.state", "**"]],
  ] as const) {
    set(pattern);
    expect(map.match("user.1.state")).toEqual(expected);
    map.set(pattern, "another value");
    expect(map.match("user.1.state")).toContain("another value");
    map.delete(pattern);
    expect(map.match("user.1.state")).toEqual(first);
  }
  expect(first).toEqual(["user.1.**", "user.*.state"]);
});

test("no more than some thousand look-ups are remembered, and those are the last", () => {
  const map = new PatternMap<number>();
  map.set("**", 1);
  const channels = Array.from({ length: 50_000 }, (_, i) => `channel.${i}`);
  const busy = matchAgain(map, "busy");
  const lists = channels.map((channel, i) => {
    if (i % 1_000 === 0) expect(map.match("busy")).toBe(busy);
    return matchAgain(map, channel);
  });
  // From the last to the first, so that no look-up forgets what is still to be asked.
  const remembered = channels.map((channel, i) => ({ channel, list: lists[i] })).reverse();
  const lost = remembered.findIndex(({ channel, list }) => map.match(channel) !== list);
  expect(lost).toBeGreaterThan(1_000);
  expect(lost).toBeLessThan(10_000);
  const kept = remembered
    .slice(lost + 1)
    .filter(({ channel, list }) => map.match(channel) === list);
  expect(kept.length).toBe(0);
});

test("channels that come once drive out none that is busy", () => {
  const map = new PatternMap<number>();
  map.set("**", 1);
  const busy = matchAgain(map, "busy");
  for (let i = 0; i < 50_000; i++) map.match(`channel.${i}`);
  expect(map.match("busy")).toBe(busy);
});

test("of long lists fewer are remembered", () => {
  const map = new PatternMap<number>();
  const words = Array.from({ length: 9 }, () => ["x", "*"]);
  const all = words.reduce(
    (made, next) => made.flatMap((one) => next.map((w) => `${one}.${w}`)),
    ["*"],
  );
  for (const pattern of all) map.set(pattern, 1);
  const channels = Array.from({ length: 200 }, (_, i) => `${i}${".x".repeat(9)}`);
  const lists = channels.map((channel) => matchAgain(map, channel));
  expect(lists.at(-1)?.length).toBe(512);
  const again = channels.toReversed().map((channel) => map.match(channel));
  const kept = again.filter((list, i) => list === lists.at(-1 - i)).length;
  expect(kept).toBeGreaterThan(1);
  expect(kept).toBeLessThan(20);
});

test("changes are seen by look-ups whether remembered, nearly forgotten or forgotten", () => {
  eachStep(4, (random) => {
    const [map, list] = [new PatternMap<number>(), new PatternList()];
    const words = ["a", "b", "c"];
    for (let round = 0; round < 8; round++) {
      for (let change = 0; change < 6; change++) {
        const pattern = somePattern(random, words, 3);
        if (random.chance(0.4)) same(pattern, [map.delete(pattern)], [list.delete(pattern)]);
        else {
          map.set(pattern, round);
          list.set(pattern, round);
        }
      }
      const count = random.int(10_000);
      for (let i = 0; i < count; i++) {
        const channel = `${random.pick(words)}.${random.pick(words)}.${i}`;
        const expected = list.match(channel);
        // Twice, so that it is remembered.
        same(channel, map.match(channel), expected);
        same(channel, map.match(channel), expected);
      }
    }
  });
});

/** Whether `left` covers `right`, and the other way round, and whether they overlap. */
test.each([
  ["a", "a", true, true, true],
  ["a", "b", false, false, false],
  ["a", "a.b", false, false, false],
  ["*", "a", true, false, true],
  ["*", "*", true, true, true],
  ["*", "a.b", false, false, false],
  ["*", "*.*", false, false, false],
  ["**", "a", true, false, true],
  ["**", "*", true, false, true],
  ["**", "*.**", true, true, true],
  ["**", "*.*.**", true, false, true],
  ["**", "a.**", true, false, true],
  ["a.**", "a", true, false, true],
  ["a.**", "a.*", true, false, true],
  ["a.**", "a.*.**", true, false, true],
  ["a.**", "a.b.c", true, false, true],
  ["a.**", "*", false, false, true],
  ["a.**", "*.b", false, false, true],
  ["a.**", "b.**", false, false, false],
  ["a.**", "*.b.**", false, false, true],
  ["a.*.**", "a", false, false, false],
  ["a.*.**", "a.b", true, false, true],
  ["*.a", "b.*", false, false, true],
  ["*.a", "b.*.**", false, false, true],
  ["*.a", "b.*.*.**", false, false, false],
  ["*.a", "*.b", false, false, false],
  ["*.*", "a.**", false, false, true],
  ["a.*.c", "a.b.*", false, false, true],
  ["a.*.c", "a.b.d", false, false, false],
  ["***", "*", false, true, true],
  ["***", "**", false, true, true],
  ["***", "a", false, false, false],
  ["fo*.**", "foo.**", false, false, false],
  ["__proto__.*", "__proto__.constructor", true, false, true],
])("%s covers %s: %j, is covered by it: %j, overlaps it: %j", (left, right, wide, narrow, meet) => {
  expect([covers(left, right), covers(right, left)]).toEqual([wide, narrow]);
  expect([overlaps(left, right), overlaps(right, left)]).toEqual([meet, meet]);
});

/** Longest pattern of the small world, without `**`. */
const LONGEST = 3;

/**
 * Every channel of a world with two words and a stranger that no pattern names, up to one word longer
 * than the longest pattern: what is true for these is true for all.
 */
function world(words: readonly string[]): string[] {
  const all = [...words, "stranger"];
  let longest = all;
  const channels = [...all];
  for (let length = 2; length <= LONGEST + 1; length++) {
    longest = longest.flatMap((channel) => all.map((word) => `${channel}.${word}`));
    channels.push(...longest);
  }
  return channels;
}

test("100,000 random pairs cover and overlap as every channel of a small world says", () => {
  const counts = { covered: 0, met: 0, questions: 0 };
  eachStep(50, (random) => {
    const words = [random.pick(ODD_WORDS), random.pick(ODD_WORDS)];
    const channels = world(words);
    const known = new Map<string, bigint>();
    /** A bit for each channel. */
    const standsFor = (pattern: string): bigint => {
      const regex = meaning(pattern);
      const bits =
        known.get(pattern) ?? BigInt(`0b${channels.map((c) => +regex.test(c)).join("")}`);
      known.set(pattern, bits);
      return bits;
    };
    for (let i = 0; i < 2_000; i++) {
      const [left, right] = [
        somePattern(random, words, LONGEST),
        somePattern(random, words, LONGEST),
      ];
      const both = standsFor(left) & standsFor(right);
      const covered = both === standsFor(right);
      same(
        `${left} ${right}`,
        [covers(left, right), overlaps(left, right)],
        [covered, both !== 0n],
      );
      counts.covered += covered ? 1 : 0;
      counts.met += both !== 0n ? 1 : 0;
      counts.questions += 1;
    }
  });
  expect(counts.covered).toBeGreaterThan(counts.questions / 20);
  expect(counts.met).toBeGreaterThan(counts.questions / 5);
  expect(counts.met).toBeLessThan((counts.questions * 4) / 5);
});

test.each(ODD_WORDS)("%j is a word of names and patterns", (word) => {
  for (const name of [word, `${word}.*`, `*.${word}.**`])
    expect(() => checkPattern(name)).not.toThrow();
});

test.each([
  ["", "channel is empty"],
  ["a..b", "channel holds an empty word"],
  ["**.a", "only the last word may be **"],
  ["a\u0000.*", "channel holds a control character"],
  ["\udc00.**", "channel is not valid Unicode"],
  [`${"é".repeat(127)}.*`, "channel is longer than 255 bytes"],
  [`${"x".repeat(253)}.**`, "channel is longer than 255 bytes"],
])("%j is refused as a bad request", (name, problem) => {
  expect(() => checkPattern(name)).toThrow(new MessagingError("BAD_REQUEST", problem));
});

test("a pattern may be as long as a channel, counted with its wildcards", () => {
  for (const name of [`${"x".repeat(252)}.**`, `${"x".repeat(253)}.*`, "x".repeat(255)]) {
    expect([name, patternProblem(name)]).toEqual([name, undefined]);
  }
});

/** Bytes of the heap that are in use after a collection. */
function settledHeap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
