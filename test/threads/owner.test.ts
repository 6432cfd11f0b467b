/** Which thread has an object. */
import { expect, test } from "vitest";
import { ChannelOwners, ownerOf, ownersMemory } from "../../src/threads/calls/owner.ts";

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

function ownersOf(threads: number): ChannelOwners[] {
  const memory = ownersMemory(threads);
  return Array.from({ length: threads }, (_, index) => new ChannelOwners(memory, threads, index));
}

test("a channel is kept by the thread that wants it first, and all say so from then on", () => {
  const owners = ownersOf(3);
  expect(owners.map((one) => one.known("chat.room"))).toEqual([undefined, undefined, undefined]);
  expect(owners[2]?.of("chat.room")).toBe(2);
  expect(owners.map((one) => one.of("chat.room"))).toEqual([2, 2, 2]);
  expect(owners.map((one) => one.known("chat.room"))).toEqual([2, 2, 2]);
});

test.each([2, 4, 8])(
  "of 10,000 channels that are wanted by one of %i threads each has at most 1.1 times its share",
  (threads) => {
    const [first] = ownersOf(threads);
    const counts = Array.from({ length: threads }, () => 0);
    for (const name of NAMES) {
      const owner = first?.of(name) ?? 0;
      counts[owner] = (counts[owner] ?? 0) + 1;
    }
    expect(Math.max(...counts)).toBeLessThanOrEqual((1.1 * NAMES.length) / threads);
  },
);

test("of 10,000 channels that four threads want in turn nearly all are kept where they are wanted", () => {
  const owners = ownersOf(4);
  const own = NAMES.filter((name, i) => owners[i % 4]?.of(name) === i % 4);
  expect(own.length).toBeGreaterThan(0.98 * NAMES.length);
});
