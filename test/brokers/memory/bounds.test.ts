/** What the memory broker keeps is bounded: channels, bytes of messages, and the time that one look takes. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Sweeper } from "../../../src/brokers/memory/sweeper.ts";
import { ChannelLog } from "../../../src/channels/log.ts";
import { MemoryLogStore, ROW_BYTES } from "../../../src/channels/memory-store.ts";
import { DEFAULT_CHANNEL_RULES } from "../../../src/channels/rules.ts";
import { EntryBodySchema } from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { body, publishes, session, stage } from "./stage.ts";

const FULL = expect.objectContaining({
  code: "RATE_LIMITED",
  metadata: { retry_after_ms: expect.any(Number) },
});

test("there are so many channels; those that are there go on", async () => {
  const { broker } = stage({}, { maxChannels: 2 });
  await publishes(broker, "a", 1);
  await broker.subscribe("b");
  for (const begins of [
    () => broker.publish("c", { key: "k", body }),
    () => broker.subscribe("c"),
    () => broker.join("c", session("s")),
  ]) {
    await expect(begins()).rejects.toEqual(FULL);
  }
  await publishes(broker, "a", 1);
  await broker.subscribe("a");
  expect([broker.size, broker.knows("a"), broker.knows("c")]).toEqual([2, true, false]);
});

test("to ask for a channel begins none, and the answer holds when it begins", async () => {
  const { broker } = stage();
  const { position, entries, more } = await broker.history("a", { limit: -1 });
  expect([position.offset, entries, more]).toEqual([0, [], false]);
  expect(await broker.presence("a", 9)).toMatchObject({ epoch: position.epoch, total: 0 });
  expect(broker.size).toBe(0);
  expect((await broker.subscribe("a")).position).toEqual(position);
  expect(await broker.publish("a", { key: "k", body })).toMatchObject({
    position: { epoch: position.epoch, offset: 1 },
  });
});

test("however many are asked for, the broker stays small", async () => {
  const { broker } = stage();
  const first = await broker.history("first", { limit: 1 });
  for (let i = 0; i < 5_000; i++) await broker.history(`c.${i}`, { limit: 1 });
  expect(broker.size).toBe(0);
  // So long ago that it is not remembered: the position says nothing any more, which its owner is told.
  expect((await broker.subscribe("first")).position.epoch).not.toBe(first.position.epoch);
});

const KB = create(EntryBodySchema, { event: new Uint8Array(1_000) });

test("of too many bytes the oldest go, of those channels that were published to the longest time ago", async () => {
  const { broker } = stage({}, { maxRetainedBytes: 20_000 });
  const publish = async (channel: string, count: number) => {
    for (let i = 0; i < count; i++)
      await broker.publish(channel, { key: crypto.randomUUID(), body: KB });
  };
  const held = async (channel: string) => {
    const { first, reason, position, entries } = await broker.history(channel, { limit: -1 });
    expect(entries.map(({ offset }) => Number(offset))).toEqual(
      Array.from({ length: position.offset - first + 1 }, (_, index) => first + index),
    );
    return `${first}-${position.offset} ${reason}`;
  };
  await publish("a", 5);
  await publish("b", 5);
  await publish("c", 5);
  expect([await held("a"), await held("b"), await held("c")]).toEqual([
    "1-5 undefined",
    "1-5 undefined",
    "1-5 undefined",
  ]);
  await publish("a", 2);
  // The channel b is the one that was published to the longest time ago.
  expect([await held("a"), await held("b"), await held("c")]).toEqual([
    "1-7 undefined",
    "3-5 head_trimmed",
    "1-5 undefined",
  ]);
  await publish("d", 9);
  expect([await held("a"), await held("b"), await held("c"), await held("d")]).toEqual([
    "2-7 head_trimmed",
    "6-5 head_trimmed",
    "6-5 head_trimmed",
    "1-9 undefined",
  ]);
  await publish("d", 30);
  expect(await held("d")).toMatch(/^\d+-39 head_trimmed$/);
  // What has given all is asked again once it has something.
  await publish("b", 3);
  expect([await held("a"), await held("b")]).toEqual(["8-7 head_trimmed", "6-8 head_trimmed"]);
  expect(broker.retainedBytes).toBeLessThanOrEqual(20_000);
  expect(broker.retainedBytes).toBeGreaterThan(18_000);
});

test("what is retained is counted down wherever it goes", async () => {
  const { broker, clock, pass, turn } = stage({
    "short.**": { historySize: 2 },
    "**": { historyTtlMs: 60_000, positionTtlMs: 120_000, presence: false },
  });
  const one = ROW_BYTES + body.event.length + 2;
  await publishes(broker, "short.a", 5);
  expect(broker.retainedBytes).toBe(2 * one);
  await publishes(broker, "a", 5);
  expect(broker.retainedBytes).toBe(7 * one);
  await broker.removeHistory("short.a");
  expect(broker.retainedBytes).toBe(5 * one);
  pass(61_000);
  expect(broker.retainedBytes).toBe(0);
  await publishes(broker, "a", 3);
  turn();
  clock.time += 200_000;
  pass(2_000);
  expect([broker.retainedBytes, broker.size]).toEqual([0, 1]);
  // The first channel has the rules of another pattern, which keep it for a day.
  expect(broker.knows("short.a")).toBe(true);
});

test("a channel that has fallen silent keeps no keys that nobody compares any more", () => {
  const clock = { time: 1_000, now: () => clock.time };
  const store = new MemoryLogStore();
  const rules = { ...DEFAULT_CHANNEL_RULES, historyTtlMs: 10_000, dedupWindowMs: 60_000 };
  const log = new ChannelLog(store, clock, { epoch: () => "e" }, rules);
  for (let i = 1; i <= 3_000; i++) log.append(`${i}`, new Uint8Array(9));
  clock.time += 20_000;
  log.trim();
  expect([...store.keys()].length).toBe(3_000);
  expect([log.retained(), log.append("1", new Uint8Array(9)).duplicate]).toEqual([
    { first: 3_001, reason: "expired" },
    true,
  ]);
  clock.time += 60_000;
  // Some at a time, so that no look takes long.
  for (const left of [2_000, 1_000, 0]) {
    log.trim();
    expect([...store.keys()].length).toBe(left);
  }
  expect(log.retained()).toEqual({ first: 3_001, reason: "expired" });
  expect(log.append("1", new Uint8Array(9))).toMatchObject({ offset: 3_001, duplicate: false });
  expect(log.page({ limit: 9 }).rows.map(({ offset }) => offset)).toEqual([3_001]);
});

test("a sweep looks at so many in turn, on a timer that rests when there is nothing to look at", () => {
  const things = new Map(Array.from({ length: 2_500 }, (_, index) => [`${index}`, index]));
  const looked: number[] = [];
  const dropped = new Set<number>();
  const timers: { readonly ms: number; readonly callback: () => void }[] = [];
  const sweeper = new Sweeper<number>({
    things,
    timers: {
      after: (ms, callback) => {
        expect(timers).toEqual([]);
        timers.push({ ms, callback });
        return () => {};
      },
    },
    look: (thing) => {
      looked.push(thing);
      return dropped.has(thing) && things.delete(`${thing}`);
    },
  });
  const tick = (): number | undefined => {
    timers.pop()?.callback();
    return timers[0]?.ms;
  };
  sweeper.start();
  sweeper.start();
  expect([tick(), tick(), tick()]).toEqual([1_000, 1_000, 1_000]);
  expect(looked).toEqual(Array.from({ length: 3_000 }, (_, index) => index % 2_500));
  for (let i = 0; i < 2_500; i++) dropped.add(i);
  // With much to drop the next look comes soon.
  expect([tick(), tick()]).toEqual([10, 10]);
  expect([things.size, tick(), things.size]).toEqual([500, undefined, 0]);
  things.set("new", 7);
  sweeper.start();
  dropped.clear();
  expect(tick()).toBe(1_000);
  for (let i = 0; i < 200_000; i++) things.set(`${i}`, i);
  expect(tick()).toBe(150);
  looked.length = 0;
  expect([tick(), looked.length]).toEqual([150, 1_000]);
});
