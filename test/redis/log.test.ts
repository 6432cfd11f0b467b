/** The log in Redis, through the broker of two nodes: the cases of the broker of one process. */
import { create } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HistoryPage } from "../../src/engine/ports/broker.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../src/protocol/limits.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { bodyOf, type Node, type NodeOptions, newPrefix, openNode } from "./nodes.ts";
import { oneRedis, type Redis, redisCluster } from "./servers.ts";

/** One channel on each master of a cluster: the cases take turns. */
const CHANNELS = ["a", "b", "c"] as const;

async function publishes(node: Node, channel: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => node.publish(channel, `${i + 1}`)));
}

function offsets({ entries }: HistoryPage): number[] {
  return entries.map(({ offset }) => Number(offset));
}

describe.concurrent.each([
  { name: "one Redis", start: oneRedis },
  { name: "a cluster of three masters", start: redisCluster },
])("on $name", ({ start }) => {
  describe("in turn", { concurrent: false }, () => suite(start));
});

function suite(start: () => Promise<Redis>): void {
  let redis: Redis;
  let channel: string;
  let cases = 0;
  const open: Node[] = [];

  beforeAll(async () => {
    redis = await start();
  });

  afterAll(async () => {
    await redis.stop();
  });

  beforeEach(() => {
    channel = CHANNELS[cases % CHANNELS.length] ?? "a";
    cases += 1;
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((node) => node.close()));
  });

  /** Two nodes with names of their own in the one Redis. */
  async function two(options: Partial<NodeOptions> = {}): Promise<[Node, Node]> {
    const shared = { address: redis.address, prefix: newPrefix(), ...options };
    const nodes = await Promise.all([openNode(shared), openNode(shared)]);
    open.push(...nodes);
    return nodes as [Node, Node];
  }

  test("what one node publishes reaches both, in order, once", async () => {
    const [one, other] = await two();
    const registered = await one.broker.subscribe(channel);
    expect(registered).toMatchObject({ position: { offset: 0 }, generation: 0 });
    expect(await other.broker.subscribe(channel)).toEqual(registered);
    const { epoch } = registered.position;
    expect(epoch).toMatch(/^[0-9A-Za-z]{12}$/);
    const results = await Promise.all(["x", "y", "z"].map((text) => one.publish(channel, text)));
    expect(results.map(({ position }) => position)).toEqual(
      [1, 2, 3].map((offset) => ({ epoch, offset })),
    );
    await other.publish(channel, "w");
    await eventually(() => one.told.length === 4 && other.told.length === 4);
    expect(one.lines()).toEqual(["1 x", "2 y", "3 z", "4 w"]);
    expect(other.told).toEqual(one.told);
    expect(one.broker.position(channel)).toEqual({ epoch, offset: 4 });
  });

  test("a key that is repeated, by whichever node, is answered with the first position", async () => {
    const [one, other] = await two();
    await one.broker.subscribe(channel);
    const first = await one.publish(channel, "x", "k");
    expect(first.duplicate).toBe(false);
    expect(await other.publish(channel, "y", "k")).toEqual({ ...first, duplicate: true });
    const [again, fresh] = await Promise.all([
      other.publish(channel, "y", "k"),
      other.publish(channel, "z", "l"),
    ]);
    expect(again).toEqual({ ...first, duplicate: true });
    expect(fresh.position.offset).toBe(2);
    await eventually(() => one.told.length === 2);
    expect(one.lines()).toEqual(["1 x", "2 z"]);
  });

  test("a key is known for the window's time and size, whichever ends first", async () => {
    const rules = { timed: { dedupWindowMs: 2_500 }, sized: { dedupSize: 2 } };
    const [one] = await two({ rules });
    const began = Date.now();
    await one.publish("timed", "x", "k");
    expect((await one.publish("timed", "x", "k")).duplicate).toBe(true);
    await eventually(async () => !(await one.publish("timed", "x", "k")).duplicate);
    expect(Date.now() - began).toBeGreaterThanOrEqual(2_499);
    await one.publish("sized", "x", "k");
    await one.publish("sized", "y");
    expect((await one.publish("sized", "x", "k")).duplicate).toBe(true);
    await one.publish("sized", "z");
    expect(await one.publish("sized", "x", "k")).toMatchObject({
      position: { offset: 4 },
      duplicate: false,
    });
  });

  test("what dedup has forgotten takes no memory", async () => {
    const prefix = newPrefix();
    const [one] = await two({ prefix, rules: { [channel]: { dedupSize: 8, historySize: 4 } } });
    await publishes(one, channel, 600);
    await publishes(one, channel, 20);
    expect(await redis.command("HLEN", `${prefix}{${channel}}:dedup`)).toBe(8);
    expect(await redis.command("LLEN", `${prefix}{${channel}}:order`)).toBe(8);
    // Whole nodes of the stream go away, of a hundred entries at most.
    expect(await redis.command("XLEN", `${prefix}{${channel}}:log`)).toBeLessThan(4 + 100);
  });

  test("keys that are repeated around their window leave nothing behind", async () => {
    const prefix = newPrefix();
    const [one] = await two({ prefix, rules: { [channel]: { dedupSize: 3 } } });
    for (let round = 0; round < 20; round++) {
      for (const key of ["k", "l", "m", "n", "o"]) await one.publish(channel, key, key);
    }
    expect(await redis.command("HLEN", `${prefix}{${channel}}:dedup`)).toBe(3);
  });

  test("nothing is seen of a channel that the node is not registered with", async () => {
    const [one] = await two();
    await publishes(one, channel, 1);
    expect(one.broker.position(channel)).toBeUndefined();
    const { position } = await one.broker.subscribe(channel);
    expect(one.broker.position(channel)).toEqual(position);
    one.broker.unsubscribe(channel);
    expect(one.broker.position(channel)).toBeUndefined();
    expect(one.broker.size).toBe(0);
  });

  test("who has left hears nothing, and who comes back begins at the head", async () => {
    const [one, other] = await two();
    await one.broker.subscribe(channel);
    await other.broker.subscribe(channel);
    await other.publish(channel, "x");
    await eventually(() => one.told.length === 1);
    one.broker.unsubscribe(channel);
    await other.publish(channel, "y");
    await eventually(() => other.told.length === 2);
    expect((await one.broker.subscribe(channel)).position.offset).toBe(2);
    await other.publish(channel, "z");
    await eventually(() => one.told.length === 2);
    expect(one.lines()).toEqual(["1 x", "3 z"]);
  });

  test("epoch and head are the same for all nodes, and outlive the entries", async () => {
    const [one, other] = await two({
      rules: { [channel]: { historyTtlMs: 1_000, positionTtlMs: 60_000 } },
    });
    await publishes(one, channel, 3);
    const { position } = await one.broker.history(channel, { limit: 0 });
    await eventually(async () => (await other.broker.history(channel, { limit: -1 })).first === 4);
    expect(await other.broker.history(channel, { limit: -1 })).toEqual({
      position,
      first: 4,
      reason: "expired",
      entries: [],
      more: false,
    });
    expect((await other.broker.subscribe(channel)).position).toEqual(position);
  });

  test("a channel is kept for the position ttl, all its keys alike", async () => {
    const prefix = newPrefix();
    const rules = { [channel]: { historyTtlMs: 1_000, positionTtlMs: 40_000 } };
    const [one] = await two({ rules, prefix, refreshMs: 1_000 });
    const began = Date.now();
    await publishes(one, channel, 3);
    const keys = (await redis.command("KEYS", `${prefix}{${channel}}*`)) as string[];
    expect(keys.length).toBeGreaterThanOrEqual(4);
    for (const key of keys) {
      const left = Number(await redis.command("PTTL", key));
      // What has passed on a slow machine has passed.
      expect(left).toBeGreaterThan(40_000 - 1_000 - (Date.now() - began));
      expect(left).toBeLessThanOrEqual(45_000);
    }
  });

  test("a channel is kept alive while somebody is subscribed, and forgotten some time after", async () => {
    const prefix = newPrefix();
    // Long enough that what truly passes meanwhile does not matter.
    const rules = { [channel]: { historyTtlMs: 60_000, positionTtlMs: 60_000 } };
    const [one] = await two({ rules, prefix, refreshMs: 500 });
    const { position } = await one.broker.subscribe(channel);
    const meta = `${prefix}{${channel}}:meta`;
    const left = async () => Number(await redis.command("PTTL", meta));
    /** Takes time away from all keys of the channel, as if it had passed. */
    const passes = async (ms: number): Promise<void> => {
      for (const key of (await redis.command("KEYS", `${prefix}{${channel}}*`)) as string[]) {
        const rest = Number(await redis.command("PTTL", key));
        await redis.command("PEXPIRE", key, `${Math.max(rest - ms, 0)}`);
      }
    };
    // It would be gone after this time, were it not refreshed.
    const half = Math.ceil((await left()) / 2);
    for (let i = 0; i < 3; i++) {
      await passes(half);
      // A refresh just before leaves a little more than half.
      await eventually(left, (ms) => ms > 1.5 * half);
    }
    expect((await one.broker.history(channel, { limit: 0 })).position).toEqual(position);
    one.broker.unsubscribe(channel);
    await passes(half);
    // Refreshes would have come meanwhile.
    await sleep(1_200);
    expect(await left()).toBeLessThan(half);
    await passes(half);
    expect(await left()).toBe(-2);
    const later = await one.broker.subscribe(channel);
    expect(later.position.epoch).not.toBe(position.epoch);
  });

  test("a transient channel delivers and keeps nothing", async () => {
    const transient = { historySize: 0, positionTtlMs: 0, recovery: false, transient: true };
    const prefix = newPrefix();
    const [one, other] = await two({ rules: { live: transient }, prefix });
    const { position } = await one.broker.subscribe("live");
    await publishes(other, "live", 2);
    await eventually(() => one.told.length === 2);
    expect(one.lines()).toEqual(["1 1", "2 2"]);
    expect(await one.broker.history("live", { limit: -1 })).toEqual({
      position: { epoch: position.epoch, offset: 2 },
      first: 3,
      reason: "head_trimmed",
      entries: [],
      more: false,
    });
    expect(await redis.command("EXISTS", `${prefix}{live}:log`)).toBe(0);
    const first = await one.publish("live", "x", "k");
    expect(await other.publish("live", "x", "k")).toEqual({ ...first, duplicate: true });
  });

  test("a page begins behind since, or with the oldest, and ends at the limit", async () => {
    const [one] = await two();
    await publishes(one, channel, 5);
    const all = await one.broker.history(channel, { limit: -1 });
    expect(all).toMatchObject({ first: 1, reason: undefined, more: false });
    expect(all.position.offset).toBe(5);
    const { epoch } = all.position;
    expect(offsets(all)).toEqual([1, 2, 3, 4, 5]);
    const behind = (offset: number, limit: number) =>
      one.broker.history(channel, { since: { epoch, offset }, limit });
    const cases: [number, number, number[], boolean][] = [
      [1, 2, [2, 3], true],
      [3, 2, [4, 5], false],
      [5, 2, [], false],
      [6, 2, [], false],
    ];
    for (const [since, limit, expected, more] of cases) {
      const page = await behind(since, limit);
      expect([offsets(page), page.more]).toEqual([expected, more]);
    }
  });

  test("in reverse a page begins before since, or with the newest", async () => {
    const [one] = await two();
    await publishes(one, channel, 5);
    const newest = await one.broker.history(channel, { limit: 2, reverse: true });
    expect([offsets(newest), newest.more]).toEqual([[5, 4], true]);
    const { epoch } = newest.position;
    const cases: [number, number, number[], boolean][] = [
      [4, 9, [3, 2, 1], false],
      [6, 1, [5], true],
      [1, 1, [], false],
    ];
    for (const [offset, limit, expected, more] of cases) {
      const since = { epoch, offset };
      const page = await one.broker.history(channel, { since, limit, reverse: true });
      expect([offsets(page), page.more]).toEqual([expected, more]);
    }
  });

  test("a limit of 0 asks for the position only", async () => {
    const [one] = await two();
    const empty = await one.broker.history(channel, { limit: 0 });
    expect(empty).toMatchObject({ first: 1, reason: undefined, entries: [], more: false });
    expect(empty.position.offset).toBe(0);
    await publishes(one, channel, 2);
    const page = await one.broker.history(channel, { limit: 0 });
    expect([page.position.offset, offsets(page), page.more]).toEqual([2, [], true]);
  });

  test.each([false, true])(
    "pages are bounded by entries, and more leads to the rest (reverse %s)",
    async (reverse) => {
      const total = 2 * MAX_BATCH_ENTRIES + 3;
      const [one] = await two({ rules: { [channel]: { historySize: 10_000 } } });
      await publishes(one, channel, total);
      const read: number[] = [];
      const sizes: number[] = [];
      for (let since: HistoryPage["position"] | undefined; ; ) {
        const page = await one.broker.history(channel, { since, limit: -1, reverse });
        sizes.push(page.entries.length);
        read.push(...offsets(page));
        if (!page.more) break;
        since = { epoch: page.position.epoch, offset: read.at(-1) ?? 0 };
      }
      expect(sizes).toEqual([MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES, 3]);
      const ascending = Array.from({ length: total }, (_, index) => index + 1);
      expect(read).toEqual(reverse ? ascending.reverse() : ascending);
    },
  );

  test("pages are bounded by bytes, and one entry always fits", async () => {
    const [one] = await two();
    const body = create(EntryBodySchema, { event: new Uint8Array(MAX_BATCH_BYTES / 2 - 100) });
    for (const key of ["1", "2", "3"]) await one.broker.publish(channel, { key, body });
    const page = await one.broker.history(channel, { limit: -1 });
    expect([offsets(page), page.more]).toEqual([[1, 2], true]);
    const single = await one.broker.history(channel, { limit: -1, maxBytes: 1 });
    expect([offsets(single), single.more]).toEqual([[1], true]);
    const last = await one.broker.history(channel, { limit: -1, maxBytes: 1, reverse: true });
    expect([offsets(last), last.more]).toEqual([[3], true]);
  });

  test.each([false, true])(
    "nothing is behind or before a position of another epoch (reverse %s)",
    async (reverse) => {
      const [one] = await two();
      await publishes(one, channel, 3);
      const since = { epoch: "another", offset: 1 };
      const page = await one.broker.history(channel, { since, limit: 9, reverse });
      expect(page).toMatchObject({ first: 1, reason: undefined, entries: [], more: false });
      expect(page.position.offset).toBe(3);
    },
  );

  test("what was published past the size is head_trimmed, what has grown too old is expired", async () => {
    const ttl = 4_000;
    const [one] = await two({ rules: { [channel]: { historySize: 3, historyTtlMs: ttl } } });
    await publishes(one, channel, 5);
    const trimmed = await one.broker.history(channel, { limit: -1 });
    expect(trimmed).toMatchObject({ first: 3, reason: "head_trimmed", more: false });
    expect(offsets(trimmed)).toEqual([3, 4, 5]);
    const oldest = Number(trimmed.entries[0]?.time);
    await eventually(() => Date.now() > oldest + ttl / 2);
    await publishes(one, channel, 1);
    expect(offsets(await one.broker.history(channel, { limit: -1 }))).toEqual([4, 5, 6]);
    await eventually(() => Date.now() > oldest + ttl + 50);
    const expired = await one.broker.history(channel, { limit: -1 });
    expect(expired).toMatchObject({ first: 6, reason: "expired" });
    expect(offsets(expired)).toEqual([6]);
    expect(offsets(await one.broker.history(channel, { limit: -1, reverse: true }))).toEqual([6]);
  });

  test("removed history is gone for readers, and repeated keys are still known", async () => {
    const [one, other] = await two();
    await one.broker.removeHistory("nothing");
    await one.broker.subscribe(channel);
    const first = await other.publish(channel, "x", "k");
    await publishes(other, channel, 1);
    await other.broker.removeHistory(channel);
    await eventually(() => one.told.length === 2);
    const page = await one.broker.history(channel, { limit: -1 });
    expect(page).toMatchObject({ first: 3, reason: "head_trimmed", entries: [] });
    expect(page.position.offset).toBe(2);
    expect(await one.publish(channel, "x", "k")).toEqual({ ...first, duplicate: true });
    await publishes(one, channel, 1);
    expect(offsets(await one.broker.history(channel, { limit: -1 }))).toEqual([3]);
  });

  test("an entry is delivered and read as it was published, byte for byte", async () => {
    const [one, other] = await two();
    const event = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
    const body = create(EntryBodySchema, {
      event,
      publisher: { clientId: "c", userId: "u", sessionId: "s" },
      metadata: { trace: "\u00e4" },
    });
    const before = Date.now();
    await one.broker.publish("\u00e4 {b}%", { key: "k", body });
    const [entry] = (await other.broker.history("\u00e4 {b}%", { limit: 1 })).entries;
    expect(entry?.offset).toBe(1n);
    expect(Math.abs(Number(entry?.time) - before)).toBeLessThan(5_000);
    expect(entry?.body?.event).toEqual(Buffer.from(event));
    expect(entry?.body).toMatchObject({ publisher: body.publisher, metadata: body.metadata });
  });

  test("names with braces and percents are channels of their own", async () => {
    const [one] = await two();
    const names = ["{a}", "a", "{a", "a}", "%7ba%7d", "{}", "{}b"];
    for (const name of names) await one.broker.subscribe(name);
    for (const name of names) await one.publish(name, name);
    await eventually(() => one.told.length === names.length);
    for (const name of names) expect(one.lines(name)).toEqual([`1 ${name}`]);
  });

  test("two deployments with different prefixes do not hear each other", async () => {
    const [one] = await two();
    const [other] = await two();
    await one.broker.subscribe(channel);
    await other.broker.subscribe(channel);
    await one.publish(channel, "one", "k");
    await other.publish(channel, "other", "k");
    await eventually(() => one.told.length === 1 && other.told.length === 1);
    expect([one.lines(), other.lines()]).toEqual([["1 one"], ["1 other"]]);
    await one.broker.removeHistory(channel);
    expect(offsets(await other.broker.history(channel, { limit: -1 }))).toEqual([1]);
  });

  test("a full queue takes no more", async () => {
    const [one] = await two();
    const large = "x".repeat(60_000);
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, () =>
        one.broker.publish(channel, { key: crypto.randomUUID(), body: bodyOf(large) }),
      ),
    );
    const refused = results.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ reason: { code: "RATE_LIMITED" } });
    const page = await one.broker.history(channel, { limit: 0 });
    expect(page.position.offset).toBe(100 - refused.length);
  });

  test("all servers had channels of these cases", async () => {
    for (const server of redis.servers) {
      const channels = (await server.command("KEYS", "*}:meta")) as string[];
      expect(channels.length).toBeGreaterThan(0);
    }
  });
}
