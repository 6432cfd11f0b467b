/** What text takes on the wire, measured without a copy of it. */
import { expect, test } from "vitest";
import { frameLength, utf8Length } from "../../../src/client/wire/sizes.ts";

test.each([0, 1, 5_000, 16_383, 16_384, 16_385, 40_000, 300_000])(
  "%i units of any text are as many bytes as an encoder makes of them",
  (units) => {
    // A pair, and what takes three bytes, lie across every place where a buffer could end.
    for (const piece of ["a", "ä", "€", "\u{1f600}", "a\u{1f600}", "\ud800", "€\udc00x"]) {
      const text = piece.repeat(Math.ceil(units / piece.length)).slice(0, units);
      const bytes = new TextEncoder().encode(text).length;
      expect(utf8Length(text), `${JSON.stringify(piece)} ${units}`).toBe(bytes);
      expect(frameLength(text)).toBe(bytes);
    }
  },
);

test("bytes are as long as they are", () => {
  expect(frameLength(new Uint8Array(7))).toBe(7);
});
