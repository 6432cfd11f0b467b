/** Which thread has an object. */
import { expect, test } from "vitest";
import { ownerOf } from "../../src/threads/calls/owner.ts";

const NAMES = Array.from({ length: 10_000 }, (_, i) => `chat.room.${i}`);

test.each([2, 3, 4, 8])(
  "of 10,000 names each of %i threads has at most 1.1 times its share",
  (threads) => {
    const counts = Array.from({ length: threads }, () => 0);
    for (const name of NAMES)
      counts[ownerOf(name, threads)] = (counts[ownerOf(name, threads)] ?? 0) + 1;
    expect(Math.max(...counts)).toBeLessThanOrEqual((1.1 * NAMES.length) / threads);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  },
);

test("one more thread takes its share and moves nothing else", () => {
  const moved = NAMES.filter((name) => ownerOf(name, 4) !== ownerOf(name, 5));
  expect(moved.every((name) => ownerOf(name, 5) === 4)).toBe(true);
  expect(moved.length).toBeLessThan((1.2 * NAMES.length) / 5);
});
