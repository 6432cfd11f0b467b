/** History as the broker of one process keeps it: pages, bounds, and what is said of what is gone. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { HistoryPage } from "../../../src/engine/ports/broker.ts";
import { EntryBodySchema } from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../../src/protocol/limits.ts";
import { publishes, stage } from "./stage.ts";

const at = (offset: number, epoch = "epoch1") => ({ epoch, offset });

function offsets({ entries }: HistoryPage): number[] {
  return entries.map(({ offset }) => Number(offset));
}

test("a page begins behind since, or with the oldest, and ends at the limit", async () => {
  const { broker } = stage();
  await publishes(broker, "a", 5);
  const all = await broker.history("a", { limit: -1 });
  expect(all).toMatchObject({ position: at(5), first: 1, reason: undefined, more: false });
  expect(offsets(all)).toEqual([1, 2, 3, 4, 5]);
  const two = await broker.history("a", { since: at(1), limit: 2 });
  expect([offsets(two), two.more]).toEqual([[2, 3], true]);
  const rest = await broker.history("a", { since: at(3), limit: 2 });
  expect([offsets(rest), rest.more]).toEqual([[4, 5], false]);
  const none = await broker.history("a", { since: at(5), limit: 2 });
  expect([offsets(none), none.more]).toEqual([[], false]);
  const beyond = await broker.history("a", { since: at(6), limit: 2 });
  expect([offsets(beyond), beyond.more]).toEqual([[], false]);
});

test("in reverse a page begins before since, or with the newest", async () => {
  const { broker } = stage();
  await publishes(broker, "a", 5);
  const newest = await broker.history("a", { limit: 2, reverse: true });
  expect([offsets(newest), newest.more]).toEqual([[5, 4], true]);
  const before = await broker.history("a", { since: at(4), limit: 9, reverse: true });
  expect([offsets(before), before.more]).toEqual([[3, 2, 1], false]);
  const behind = await broker.history("a", { since: at(6), limit: 1, reverse: true });
  expect([offsets(behind), behind.more]).toEqual([[5], true]);
  const first = await broker.history("a", { since: at(1), limit: 1, reverse: true });
  expect([offsets(first), first.more]).toEqual([[], false]);
});

test("a limit of 0 asks for the position only", async () => {
  const { broker } = stage();
  expect(await broker.history("a", { limit: 0 })).toEqual({
    position: at(0),
    first: 1,
    reason: undefined,
    entries: [],
    more: false,
  });
  await publishes(broker, "a", 2);
  const page = await broker.history("a", { limit: 0 });
  expect([page.position, offsets(page), page.more]).toEqual([at(2), [], true]);
});

test("position and entries of a channel that is being published to are of one moment", async () => {
  const { broker } = stage();
  await publishes(broker, "a", 1);
  const reading = broker.history("a", { limit: -1 });
  await publishes(broker, "a", 1);
  const page = await reading;
  expect([page.position.offset, offsets(page)]).toEqual([1, [1]]);
});

test.each([false, true])(
  "pages are bounded by entries, and more leads to the rest (reverse %s)",
  async (reverse) => {
    const total = 2 * MAX_BATCH_ENTRIES + 3;
    const { broker } = stage({ "*": { historySize: 10_000 } });
    await publishes(broker, "a", total);
    const read: number[] = [];
    const sizes: number[] = [];
    for (let since: ReturnType<typeof at> | undefined; ; ) {
      const page = await broker.history("a", { since, limit: -1, reverse });
      sizes.push(page.entries.length);
      read.push(...offsets(page));
      if (!page.more) break;
      since = at(read.at(-1) ?? 0);
    }
    expect(sizes).toEqual([MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES, 3]);
    const ascending = Array.from({ length: total }, (_, index) => index + 1);
    expect(read).toEqual(reverse ? ascending.reverse() : ascending);
  },
);

test("pages are bounded by bytes, and one entry always fits", async () => {
  const { broker } = stage();
  const large = create(EntryBodySchema, { event: new Uint8Array(MAX_BATCH_BYTES / 2 - 100) });
  for (const key of ["1", "2", "3"]) await broker.publish("a", { key, body: large });
  const page = await broker.history("a", { limit: -1 });
  expect([offsets(page), page.more]).toEqual([[1, 2], true]);
  const one = await broker.history("a", { limit: -1, maxBytes: 1 });
  expect([offsets(one), one.more]).toEqual([[1], true]);
  const last = await broker.history("a", { limit: -1, maxBytes: 1, reverse: true });
  expect([offsets(last), last.more]).toEqual([[3], true]);
});

test.each([false, true])(
  "nothing is behind or before a position of another epoch (reverse %s)",
  async (reverse) => {
    const { broker } = stage();
    await publishes(broker, "a", 3);
    const page = await broker.history("a", { since: at(1, "another"), limit: 9, reverse });
    expect(page).toEqual({
      position: at(3),
      first: 1,
      reason: undefined,
      entries: [],
      more: false,
    });
  },
);

test("what was published past the size is head_trimmed, what has grown too old is expired", async () => {
  const { broker, clock } = stage({ "*": { historySize: 3, historyTtlMs: 1_000 } });
  await publishes(broker, "a", 5);
  const trimmed = await broker.history("a", { since: at(0), limit: -1 });
  expect(trimmed).toMatchObject({ first: 3, reason: "head_trimmed", more: false });
  expect(offsets(trimmed)).toEqual([3, 4, 5]);
  clock.time += 999;
  await publishes(broker, "a", 1);
  expect(offsets(await broker.history("a", { limit: -1 }))).toEqual([4, 5, 6]);
  clock.time += 1;
  const expired = await broker.history("a", { limit: -1 });
  expect(expired).toMatchObject({ first: 6, reason: "expired" });
  expect(offsets(expired)).toEqual([6]);
  broker.sweep();
  expect(offsets(await broker.history("a", { limit: -1, reverse: true }))).toEqual([6]);
});

test("removed history is gone for readers, and not for what is delivered or repeated", async () => {
  const { broker, told, turn } = stage();
  await broker.removeHistory("nothing");
  await broker.publish("a", { key: "k", body: create(EntryBodySchema) });
  await publishes(broker, "a", 1);
  await broker.removeHistory("a");
  turn();
  expect(told).toEqual(["a epoch1 1,2"]);
  expect(await broker.history("a", { since: at(0), limit: -1 })).toMatchObject({
    position: at(2),
    first: 3,
    reason: "head_trimmed",
    entries: [],
  });
  const again = await broker.publish("a", { key: "k", body: create(EntryBodySchema) });
  expect(again).toEqual({ position: at(1), duplicate: true });
  await publishes(broker, "a", 1);
  expect(offsets(await broker.history("a", { limit: -1 }))).toEqual([3]);
});

test("an entry is read as it was published, with its time", async () => {
  const { broker } = stage();
  const body = create(EntryBodySchema, {
    event: Uint8Array.of(1, 2, 3),
    publisher: { clientId: "c", userId: "u", sessionId: "s" },
    metadata: { trace: "\u00e4" },
  });
  await broker.publish("a", { key: "k", body });
  const [entry] = (await broker.history("a", { limit: 1 })).entries;
  expect(entry).toMatchObject({ offset: 1n, time: 1_000n });
  expect(entry?.body).toEqual(body);
});
