/** JSON laid out: the same value, with all its digits, however deep. */
import { expect, test } from "vitest";
import { isJson, laidOut } from "../../../src/http/console/json-layout.ts";

const VALUES = [
  "1",
  '"a"',
  "[]",
  "{}",
  "[ ]",
  '{"a":[1,2,{"b":null,"c":[]}],"d":"x: , { } [ ] \\" \\\\"}',
  '[true,false,null,-1.5e-7,"\\u0000\\n"]',
  '{"":{"":{}}}',
];

test.each(VALUES)("%s is laid out as the language does it", (text) => {
  const { text: out, whole } = laidOut(text, 10_000);
  expect(whole).toBe(true);
  const value: unknown = JSON.parse(text);
  expect(JSON.parse(out)).toEqual(value);
  if (!/e-7|\\u0000/.test(text)) expect(out).toBe(JSON.stringify(value, null, 2));
});

test("numbers keep all their digits", () => {
  expect(laidOut('{"id":12345678901234567890.10}', 100).text).toContain("12345678901234567890.10");
});

test("60,000 levels are laid out at once, and cut", () => {
  const deep = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
  const began = performance.now();
  const { text, whole } = laidOut(deep, 65_536);
  expect(whole).toBe(false);
  expect(text.length).toBeLessThan(66_000);
  expect(performance.now() - began).toBeLessThan(5_000);
});

test("what is deeper than 1,000 levels is no JSON here, valid or not, and brackets in texts do not count", () => {
  const nested = (levels: number): string =>
    `${'{"a":['.repeat(levels / 2)}${"]}".repeat(levels / 2)}`;
  expect(isJson(nested(1_000))).toBe(true);
  for (const levels of [1_002, 60_000]) expect(isJson(nested(levels))).toBe(false);
  expect(isJson(JSON.stringify(`"${"[".repeat(60_000)}`))).toBe(true);
  expect(isJson("[],".repeat(5_000))).toBe(false);
  expect(isJson(`[${"[],".repeat(5_000)}[]]`)).toBe(true);
});

test("one long string is cut as well", () => {
  const { text } = laidOut(JSON.stringify("x".repeat(1_000_000)), 65_536);
  expect(text.length).toBeLessThan(140_000);
});

test("what is no JSON is not said to be", () => {
  for (const text of ["", "{", "hello", "[1,]", "{'a':1}"]) expect(isJson(text)).toBe(false);
});
