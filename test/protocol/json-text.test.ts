/** Parts of JSON texts are cut out as they stand there, whatever stands in them. */
import { expect, test } from "vitest";
import { elementsOf, membersOf, nestsDeeper } from "../../src/protocol/json-text.ts";
import { type SeededRandom, seed, seededRandom, steps } from "../support/random.ts";

test("members, the last of a repeated name", () => {
  const text = ' {"a" :1 ,"\\u0062":[ {"}":"]\\""} ] , "a": "x,\\\\" ,"":-1.5e+3}';
  expect([...membersOf(text)]).toEqual([
    ["a", '"x,\\\\"'],
    ["b", '[ {"}":"]\\""} ]'],
    ["", "-1.5e+3"],
  ]);
  expect(membersOf("{ }").size).toBe(0);
});

test("elements", () => {
  expect(elementsOf('[1, "a,]" ,[[]],{ "b":[2]},\ttrue\n]')).toEqual([
    "1",
    '"a,]"',
    "[[]]",
    '{ "b":[2]}',
    "true",
  ]);
  expect(elementsOf(" [\n] ")).toEqual([]);
});

test("how deep a text nests, brackets in strings aside, and whether it is JSON or not", () => {
  for (const [text, depth] of [
    ["", 0],
    ["1", 0],
    ['"[[[["', 0],
    ['"\\"[[["', 0],
    ['["\\\\",[{}]]', 3],
    ['{"[":{"a\\"{":[[]]},"b":[]}', 4],
    ["[[[", 3],
    ['[{"unended', 2],
  ] as const) {
    expect([text, nestsDeeper(text, depth)]).toEqual([text, false]);
    if (depth > 0) expect([text, nestsDeeper(text, depth - 1)]).toEqual([text, true]);
  }
});

const blanks = (random: SeededRandom): string => " \t\r\n".repeat(2).slice(0, random.int(3));
const TEXTS = ["", "a", "\\", '"', "}]", "{[", ",:", "\\u0022", "\u2028", "𝄞"];

/** Without those by which the JSON.parse of Node 24 takes one name for another (see findings). */
const NAMES = TEXTS.filter((text) => !text.startsWith("\\"));

/** A value in one of the ways that it can be written. */
function written(random: SeededRandom, depth: number): string {
  const space = () => blanks(random);
  const list = () => Array.from({ length: random.int(4) });
  const kind = random.int(depth > 0 ? 6 : 4);
  if (kind === 0) return random.pick(["0", "-1", "1.50", "2e-7", "true", "false", "null"]);
  if (kind < 4) return JSON.stringify(random.pick(TEXTS) + random.pick(TEXTS));
  if (kind === 4) {
    const items = list().map(() => space() + written(random, depth - 1) + space());
    return `[${items.join(",") || space()}]`;
  }
  const members = list().map(() => {
    const name = JSON.stringify(random.pick(NAMES));
    return `${space()}${name}${space()}:${space()}${written(random, depth - 1)}${space()}`;
  });
  return `{${members.join(",") || space()}}`;
}

test("random texts: parts are read as the whole is", () => {
  const random = seededRandom(seed());
  for (let step = 0; step < steps(3_000); step++) {
    const text = blanks(random) + written(random, 4) + blanks(random);
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) {
      expect(elementsOf(text).map((part) => JSON.parse(part))).toEqual(value);
    } else if (typeof value === "object" && value !== null) {
      const parts = [...membersOf(text)].map(([name, part]) => [name, JSON.parse(part)] as const);
      expect(Object.fromEntries(parts)).toEqual(value);
    }
  }
});
