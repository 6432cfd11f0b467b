/** Each way of counting a length in UTF-8 agrees with an encoder. */
import { expect, test } from "vitest";
import { utf8Length } from "../../src/protocol/lean/utf8-length.ts";
import { frameLength } from "../../src/protocol/utf8.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

/** Of one, two, three and four bytes, and halves of pairs that are no text. */
const PIECES = ["a", "\u0000", "\u007f", "\u0080", "ä", "\u07ff", "\u0800", "€", "\uffff", "😀"];
const HALVES = ["\ud800", "\udbff", "\udc00", "\udfff"];

function anyText(random: SeededRandom): string {
  const pieces = random.next() < 0.5 ? PIECES : [...PIECES, ...HALVES];
  const count = Math.floor(random.next() * 48);
  return Array.from({ length: count }, () => random.pick(pieces)).join("");
}

test("a text of any length and with anything in it is as long as its encoder says", () => {
  eachStep(5_000, (random) => {
    const text = anyText(random);
    const { length } = new TextEncoder().encode(text);
    expect(utf8Length(text), JSON.stringify(text)).toBe(length);
    expect(frameLength(text), JSON.stringify(text)).toBe(length);
  });
});
