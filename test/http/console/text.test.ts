/** Hostile text: nothing of it is unseen, and nothing of it is too long. */
import { expect, test } from "vitest";
import { cut, visible, visibleLines } from "../../../src/http/console/text.ts";

test.each([
  ["a\u202Egpj.exe", "a⟦U+202E⟧gpj.exe"],
  ["\u2066in\u2069", "⟦U+2066⟧in⟦U+2069⟧"],
  ["a\0b\u001B[31m\u007F\u009B", "a⟦U+0000⟧b⟦U+001B⟧[31m⟦U+007F⟧⟦U+009B⟧"],
  ["zero\u200Bwidth\u200Djoin\uFEFF", "zero⟦U+200B⟧width⟦U+200D⟧join⟦U+FEFF⟧"],
  ["\uD800 and \uDC00", "⟦U+D800⟧ and ⟦U+DC00⟧"],
  ["tag\u{E0041}", "tag⟦U+E0041⟧"],
  ["\u2028\u2029\u00AD\u061C\u3164", "⟦U+2028⟧⟦U+2029⟧⟦U+00AD⟧⟦U+061C⟧⟦U+3164⟧"],
  ["line\nand\ttab", "line⟦U+000A⟧and⟦U+0009⟧tab"],
])("what cannot be seen in %j is spelled out", (text, shown) => {
  expect(visible(text)).toBe(shown);
});

test.each([
  "Ünïcödé",
  "שלום",
  "日本語",
  "\u{1F469}\u{200D}\u{1F680}",
  "👩🏽\u200D🔬",
  "🏳\uFE0F\u200D🌈",
])("%s is what it is", (text) => {
  expect(visible(text)).toBe(text);
  expect(visibleLines(text)).toBe(text);
});

test("ends of lines and tabs stay in what has several lines", () => {
  expect(visibleLines("a\r\nb\n\tc\rd\u202E")).toBe("a\nb\n\tc⟦U+000D⟧d⟦U+202E⟧");
});

test("a text is cut between two characters, and what is left out is counted", () => {
  expect(cut("abc", 3)).toEqual({ text: "abc", left: 0 });
  expect(cut("abcd", 3)).toEqual({ text: "abc", left: 1 });
  expect(cut("ääää", 5)).toEqual({ text: "ää", left: 4 });
  expect(cut("a😀b", 4)).toEqual({ text: "a", left: 5 });
  const { text, left } = cut("x".repeat(1_000_000));
  expect([text.length, left]).toEqual([65_536, 1_000_000 - 65_536]);
});
