/** One alarm for everything, and an object that deletes itself when nothing can ask for its past any more. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { OWED_ALARM_MS } from "../../src/objects/channel/fan-out.ts";
import { one, scene, settled } from "./life-scene.ts";
import { Client, freshChannel } from "./socket.ts";

const TTL_MS = 60_000;

test("the earliest need is stored, and a later one never takes its place", () =>
  scene(
    async (room) => {
      expect(room.alarmAt).toBe(room.clock.time + TTL_MS);
      room.register("g1", { registration: "r1", joined: [one("a"), one("b")] });
      room.answer = async () => {
        throw new Error("no gateway");
      };
      room.publish("1");
      await settled();
      const owed = room.clock.time + OWED_ALARM_MS;
      expect(room.alarmAt).toBe(owed);
      room.clock.time += 1_000;
      room.register("g1", { left: [{ sessionId: "a", clean: false }] });
      const grace = room.clock.time + room.rules.presenceGraceMs;
      expect(room.alarmAt).toBe(grace);
      room.publish("2");
      await settled();
      room.clock.time += 1_000;
      room.register("g1", { left: [{ sessionId: "b", clean: false }] });
      room.reopen();
      room.publish("3");
      await settled();
      expect(room.alarmAt).toBe(grace);
      // When it comes, each need asks anew, and again the earliest is stored.
      await room.alarm();
      expect(room.life.presence(9).total).toBe(1);
      expect(room.alarmAt).toBe(grace + 1_000);
      await room.alarm();
      expect(room.life.presence(9).total).toBe(0);
      expect(room.alarmAt).toBe(grace + 1_000 + OWED_ALARM_MS);
      room.answer = async () => ({ gone: false });
      await room.alarm();
      // Somebody listens: nothing needs an alarm.
      expect(room.alarmAt).toBeUndefined();
    },
    { positionTtlMs: TTL_MS },
  ));

test("owed deliveries store one alarm in ten seconds", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1" });
    room.answer = async () => {
      throw new Error("no gateway");
    };
    const { alarms } = room;
    for (let i = 0; i < 50; i++) {
      room.publish("x");
      await settled();
      room.clock.time += 190;
    }
    expect(room.alarms - alarms).toBe(1);
  }));

for (const transient of [false, true]) {
  const kind = transient ? "a transient channel" : "a channel";
  const rules = { positionTtlMs: TTL_MS, ...(transient ? { transient, historySize: 0 } : {}) };

  test(`${kind} forgets everything when the position ttl is over`, () =>
    scene(async (room) => {
      expect(room.alarmAt).toBe(room.clock.time + TTL_MS);
      expect(await room.alarm()).toBe(true);
    }, rules));

  test(`${kind} lives while somebody listens, and for the ttl after the last one went`, () =>
    scene(async (room) => {
      room.register("g1", { registration: "r1", joined: [one("a")] });
      room.register("g2", { registration: "q1" });
      expect(await room.alarm()).toBe(false);
      expect(room.alarmAt).toBeUndefined();
      room.clock.time += 10 * TTL_MS;
      room.register("g2", { ended: "q1" });
      expect(room.alarmAt).toBeUndefined();
      room.register("g1", { ended: "r1" });
      const gone = room.clock.time;
      room.reopen();
      // The grace of who was lost with the gateway comes first.
      expect(room.alarmAt).toBe(gone + room.rules.presenceGraceMs);
      expect(await room.alarm()).toBe(false);
      expect(room.alarmAt).toBe(gone + TTL_MS);
      expect(await room.alarm()).toBe(true);
    }, rules));

  test(`${kind} that is published to puts its end off, and sets no alarm for it`, () =>
    scene(async (room) => {
      const { alarms } = room;
      room.clock.time += TTL_MS - 1;
      room.publish("x");
      const { time } = room.clock;
      expect(room.alarms).toBe(alarms);
      expect(await room.alarm()).toBe(false);
      expect(room.alarmAt).toBe(time + TTL_MS);
      expect(await room.alarm()).toBe(true);
    }, rules));

  test(`${kind} that is registered with again in time lives on`, () =>
    scene(async (room) => {
      room.register("g1", { registration: "r1" });
      room.register("g1", { ended: "r1" });
      room.reopen();
      room.register("g1", { registration: "r2" });
      expect(await room.alarm()).toBe(false);
      room.register("g1", { ended: "r2" });
      expect(room.alarmAt).toBe(room.clock.time + TTL_MS);
    }, rules));
}

test("a channel that begins with somebody who listens sets an alarm when the last one has gone", async () => {
  const channel = freshChannel();
  const client = await Client.connect();
  await client.subscribe({ channel, ephemeral: true });
  const object = exports.ChannelDurableObject.getByName(channel);
  const alarm = () => runInDurableObject(object, (_, state) => state.storage.getAlarm());
  expect(await alarm()).toBeNull();
  await client.unsubscribe(channel);
  await vi.waitUntil(async () => (await alarm()) !== null, { timeout: 15_000 });
  // One that is only published to has its end seen to from the start.
  const other = freshChannel();
  await client.publish(other, "1");
  const published = exports.ChannelDurableObject.getByName(other);
  expect(
    await runInDurableObject(published, (_, state) => state.storage.getAlarm()),
  ).toBeGreaterThan(Date.now());
});

test("the object deletes itself, and the same instance begins anew with another epoch", async () => {
  const channel = freshChannel();
  const object = exports.ChannelDurableObject.getByName(channel);
  const publisher = await Client.connect();
  const publish = async () => {
    const envelope = { case: "publish", value: { id: "e", source: "/s", type: "t" } } as const;
    const reply = await publisher.request({ channel, envelope });
    if (reply.envelope.case !== "publishAck") throw new Error(`${reply.envelope.case}`);
    return reply.envelope.value;
  };
  const first = await publish();
  expect(first).toMatchObject({ offset: 1n, duplicate: false });
  expect(await publish()).toMatchObject({ offset: 1n, duplicate: true, epoch: first.epoch });
  // The last publish is a day old, and nobody has listened since.
  await runInDurableObject(object, (_, { storage }) => {
    storage.sql.exec("UPDATE quiet SET since = since - 100000000");
    storage.sql.exec(`UPDATE log SET "time" = "time" - 100000000`);
  });
  // Too early for the instance, which knows of the publish: the alarm is set for the day.
  expect(await runDurableObjectAlarm(object)).toBe(true);
  await runInDurableObject(object, async (_, { storage }) => {
    expect(await storage.getAlarm()).not.toBeNull();
    expect([...storage.sql.exec("SELECT * FROM log")]).toHaveLength(1);
  });
  await evictDurableObject(object);
  expect(await runDurableObjectAlarm(object)).toBe(true);
  await runInDurableObject(object, async (_, { storage }) => {
    expect(await storage.getAlarm()).toBeNull();
    const tables = [...storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'")];
    expect(tables.filter(({ name }) => !`${name}`.startsWith("_cf"))).toEqual([]);
  });
  // Nobody has evicted it since: the same event is another one now.
  const again = await publish();
  expect(again).toMatchObject({ offset: 1n, duplicate: false });
  expect(again.epoch).not.toBe(first.epoch);
  await runInDurableObject(object, async (_, { storage }) => {
    expect(await storage.getAlarm()).not.toBeNull();
  });
});
