/** A pattern index: who hears which channel, whom it tells of newcomers, and what it still knows of channels. */
import { afterEach, expect, test, vi } from "vitest";
import { matches } from "../../src/channels/patterns.ts";
import { indexesOf, indexOf } from "../../src/objects/calls/lease-terms.ts";
import { LEASES_KEPT_MS } from "../../src/objects/pattern-index/life.ts";
import { delay, nextTurn } from "../support/platform.ts";
import { seed, seededRandom } from "../support/random.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { type IndexScene, indexScene, LEASE_MS, MARGIN_MS } from "./index-scene.ts";

const SPAN_MS = LEASE_MS + MARGIN_MS;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Whether a promise has been settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let i = 0; i < 5; i++) await nextTurn();
  return settled;
}

/** Lets time pass for an index that waits; it looks at the clock again within a second. */
async function pass(scene: IndexScene, ms: number): Promise<void> {
  scene.clock.time += ms;
  await new Promise((resolve) => setTimeout(resolve, 60));
}

test("the first word decides which index knows a channel, and a wildcard there means all", () => {
  expect(indexesOf("chat.*.typing")).toEqual([indexOf("chat.7.typing")]);
  expect(indexesOf("chat.**")).toEqual([indexOf("chat")]);
  expect(indexesOf("chat")).toEqual([indexOf("chat.7")]);
  for (const pattern of ["*.typing", "**", "*"]) {
    expect(new Set(indexesOf(pattern)).size).toBe(64);
    expect(indexesOf(pattern)).toContain(indexOf("chat.7"));
  }
  // For good: what is registered at one index is not looked for at another.
  expect(["chat", "user", "a", "", "日本"].map(indexOf)).toEqual([
    "index-60",
    "index-2",
    "index-52",
    "index-60",
    "index-29",
  ]);
  const used = new Set(Array.from({ length: 1_000 }, (_, i) => indexOf(`room${i}`)));
  expect(used.size).toBe(64);
});

test("a channel learns of every gateway once: the newest version, and presence if any wants it", () =>
  indexScene(async (scene) => {
    await scene.subscribe("g1", "chat.*");
    await scene.subscribe("g1", "**", { presence: true });
    await scene.subscribe("g1", "chat.7.**");
    await scene.subscribe("g2", "*.7");
    await scene.subscribe("g3", "news.*");
    expect(scene.lease("chat.7")).toEqual(["g1@3+", "g2@4"]);
    expect(scene.lease("chat.8")).toEqual(["g1@2+"]);
    scene.reopen();
    expect(scene.lease("chat.7")).toEqual(["g1@3+", "g2@4"]);
    expect(scene.told).toEqual([]);
  }));

test("a newcomer is pushed to the channels with a live lease that its pattern is for, and to no others", () =>
  indexScene(async (scene) => {
    for (const channel of ["chat.old", "chat.1", "chat.1.x", "news.1"]) {
      scene.lease(channel);
      if (channel === "chat.old") scene.clock.time += SPAN_MS;
    }
    const before = scene.clock.time;
    expect(await scene.subscribe("g1", "chat.*", { presence: true })).toBe(before);
    expect(scene.told).toEqual(["chat.1 g1@1+"]);
    // An index that was reset knows its leases.
    scene.reopen();
    await scene.subscribe("g2", "chat.**");
    expect(scene.told.slice(1).sort()).toEqual(["chat.1 g2@2", "chat.1.x g2@2"]);
  }));

test("a subscribe waits for each channel until it confirms or its lease has run out", () =>
  indexScene(async (scene) => {
    const confirm = Promise.withResolvers<void>();
    scene.hear = async (channel) => {
      if (channel === "a.slow") await confirm.promise;
      if (channel === "a.dead") throw new Error("reset");
    };
    scene.lease("a.dead");
    scene.clock.time += 10_000;
    scene.lease("a.slow");
    scene.lease("a.good");
    const subscribed = scene.subscribe("g1", "a.*");
    expect(await isSettled(subscribed)).toBe(false);
    confirm.resolve();
    await pass(scene, SPAN_MS - 10_001);
    // The channel's own lease may have been over for the margin: not a moment sooner.
    expect(await isSettled(subscribed)).toBe(false);
    // What it is granted meanwhile knows the pattern, and is no reason to wait longer.
    expect(scene.lease("a.dead")).toEqual(["g1@1"]);
    await pass(scene, 1);
    await pass(scene, 0);
    expect(await subscribed).toBe(scene.clock.time);
    expect(scene.told.filter((text) => text.startsWith("a.good"))).toHaveLength(1);
    expect(scene.told.filter((text) => text.startsWith("a.dead")).length).toBeGreaterThan(1);
  }));

test("channels that hang hold up no other, and thousands are told a few at a time", () =>
  indexScene(async (scene) => {
    let [open, most] = [0, 0];
    const told = new Set<string>();
    scene.hear = async (channel) => {
      if (Number(channel.slice(2)) % 200 === 0) await new Promise(() => {});
      open += 1;
      most = Math.max(most, open);
      await nextTurn();
      open -= 1;
      told.add(channel);
    };
    for (let i = 0; i < 2_000; i++) scene.lease(`a.${i}`);
    const time = new VirtualTime();
    const subscribed = scene.subscribe("g1", "a.*");
    await time.until(delay(10_000));
    expect(told.size).toBe(1_990);
    expect(most).toBeGreaterThan(16);
    expect(most).toBeLessThanOrEqual(32);
    expect(await time.until(isSettled(subscribed))).toBe(false);
    scene.clock.time += SPAN_MS;
    await time.until(subscribed);
  }));

test("a call that comes late does not undo a later one, and waits for the channels all the same", () =>
  indexScene(async (scene) => {
    scene.lease("a.1");
    await scene.subscribe("g1", "a.*", { version: 7, presence: true });
    await scene.subscribe("g1", "a.*", { version: 6 });
    expect(scene.told).toEqual(["a.1 g1@7+", "a.1 g1@7+"]);
    expect(scene.lease("a.1")).toEqual(["g1@7+"]);
    scene.index.unsubscribe("g1", 6, "a.*");
    expect(scene.lease("a.1")).toEqual(["g1@7+"]);
    scene.index.unsubscribe("g1", 7, "a.**");
    scene.index.unsubscribe("g2", 7, "a.*");
    expect(scene.lease("a.1")).toEqual(["g1@7+"]);
    scene.index.unsubscribe("g1", 7, "a.*");
    expect(scene.lease("a.1")).toEqual([]);
    scene.reopen();
    expect(scene.lease("a.1")).toEqual([]);
  }));

test("a repeated subscribe writes nothing, a lease one row, and both set one alarm a day", () =>
  indexScene(async (scene) => {
    await scene.subscribe("g1", "a.*", { version: 1 });
    scene.lease("a.0");
    const { alarms } = scene;
    let { written } = scene.sql;
    await scene.subscribe("g1", "a.*", { version: 1 });
    expect(scene.sql.written - written).toBe(0);
    for (let i = 0; i < 20; i++) {
      written = scene.sql.written;
      scene.lease(`a.${i % 10}`);
      expect(scene.sql.written - written).toBe(1);
      scene.clock.time += 50_000;
    }
    expect(scene.alarms).toBe(alarms);
    await scene.subscribe("g1", "a.*", { version: 2 });
    expect(scene.sql.written - written).toBe(2);
  }));

test("what a gateway that does not hear a channel had registered for it is dropped, and nothing newer", () =>
  indexScene(async (scene) => {
    await scene.subscribe("g1", "a.*", { version: 3 });
    await scene.subscribe("g1", "a.**", { version: 4 });
    await scene.subscribe("g1", "a.b.*", { version: 2 });
    await scene.subscribe("g1", "*.1", { version: 9 });
    await scene.subscribe("g2", "a.*", { version: 1 });
    const gone = { gateway: "g1", version: 4, presence: false };
    expect(scene.lease("a.1", [gone])).toEqual(["g1@9", "g2@1"]);
    scene.reopen();
    expect(scene.lease("a.2")).toEqual(["g2@1"]);
    expect(scene.lease("a.b.c")).toEqual(["g1@2"]);
  }));

test("active channels are those that a lease may have let publish since then", () =>
  indexScene(async (scene) => {
    scene.lease("a.before");
    scene.clock.time += 1;
    scene.lease("a.during");
    scene.lease("a.b.c");
    scene.lease("b.1");
    scene.clock.time += SPAN_MS;
    const since = await scene.subscribe("g1", "a.*");
    scene.clock.time += 10_000;
    scene.lease("a.after");
    const names = (pattern: string, limit = 10) => scene.index.active(pattern, since, limit);
    expect(names("a.*")).toEqual({ channels: ["a.after", "a.during"], gap: undefined });
    expect(names("**").channels).toHaveLength(4);
    expect(names("*.1").channels).toEqual(["b.1"]);
    expect(names("a.b.c").channels).toEqual(["a.b.c"]);
    expect(names("a.*", 2).gap).toBeUndefined();
    expect(names("a.*", 1)).toMatchObject({ channels: [expect.any(String)], gap: "limit" });
    expect(names("a.*", 0)).toEqual({ channels: [], gap: "limit" });
  }));

test("of more active channels than are asked for, those of the latest leases are named", () =>
  indexScene(async (scene) => {
    const since = scene.clock.time;
    for (const channel of ["a.3", "a.1", "a.4", "a.2"]) {
      scene.clock.time += 1;
      scene.lease(channel);
    }
    scene.clock.time += 1;
    scene.lease("a.1");
    const named = { channels: ["a.1", "a.2", "a.4"], gap: "limit" };
    expect(scene.index.active("a.*", since, 3)).toEqual(named);
  }));

test("active channels lie in the range of the table that is looked at", () =>
  indexScene(async (scene) => {
    const random = seededRandom(seed());
    const words = ["a", "a-", "a/", "b", "*x", "é", "A"];
    const name = (last: string[]): string =>
      Array.from({ length: 1 + random.int(3) }, () => random.pick([...words, ...last])).join(".");
    const channels = new Set(Array.from({ length: 200 }, () => name([])));
    for (const channel of channels) scene.lease(channel);
    for (let i = 0; i < 200; i++) {
      const pattern = `${name(["*"])}${random.pick(["", ".**"])}`;
      const expected = [...channels].filter((channel) => matches(pattern, channel)).sort();
      const { channels: found } = scene.index.active(pattern, scene.clock.time, 1_000);
      expect([...found].sort(), pattern).toEqual(expected);
    }
  }));

test("channels are known for a day after their last lease; who was away for longer is told so", () =>
  indexScene(async (scene) => {
    scene.lease("a.1");
    const since = await scene.subscribe("g1", "a.*");
    scene.clock.time += LEASES_KEPT_MS - SPAN_MS;
    expect(scene.index.active("a.*", since, 9)).toEqual({ channels: ["a.1"], gap: undefined });
    scene.clock.time += 1;
    expect(scene.index.active("a.*", since, 9).gap).toBe("expired");
    scene.lease("a.2");
    expect(scene.alarm()).toBe(false);
    expect(scene.index.active("a.*", since, 9).channels).toEqual(["a.2", "a.1"]);
    expect(scene.alarm()).toBe(false);
    expect(scene.index.active("a.*", since, 9).channels).toEqual(["a.2"]);
  }));

test("an index that nobody needs may forget everything; one with a pattern or a channel may not", () =>
  indexScene(async (scene) => {
    scene.lease("a.1");
    await scene.subscribe("g1", "a.*", { version: 1 });
    scene.clock.time += 2 * LEASES_KEPT_MS;
    expect(scene.alarm()).toBe(false);
    expect(scene.alarmAt).toBeUndefined();
    scene.reopen();
    scene.index.unsubscribe("g1", 1, "a.*");
    expect(scene.alarm()).toBe(true);
  }));

test("an index on a machine whose clock is behind takes no time back", () =>
  indexScene(async (scene) => {
    scene.lease("a.1");
    const { time } = scene.clock;
    scene.clock.time -= 30_000;
    scene.reopen();
    expect(await scene.subscribe("g1", "a.*")).toBe(time);
    expect(scene.told).toEqual(["a.1 g1@1"]);
  }));
