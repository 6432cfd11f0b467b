/** A channel and those who hear it by patterns: one order, one copy, and nothing before it knows them. */
import { afterEach, expect, test, vi } from "vitest";
import { LEASE_TERMS } from "../../src/objects/calls/lease-terms.ts";
import type { PatternInterest } from "../../src/objects/calls/pattern-interest.ts";
import { nextTurn } from "../support/platform.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { one, scene, settled } from "./life-scene.ts";
import { interest, publish } from "./pattern-interest.ts";

const { leaseMs } = LEASE_TERMS;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("who the index names has every message that is published after it, and none before", () =>
  scene(async (room) => {
    room.publish("1");
    room.index = async () => [interest("g1")];
    await publish(room, "2", "3");
    expect(await room.told("g1")).toEqual(["2", "3"]);
    // It has no registration of its own, and needs no row.
    expect([...room.sql.exec("SELECT * FROM gateways")]).toEqual([]);
  }));

test("a busy channel asks once per lease, near its end, and writes and calls nothing more", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1" });
    await publish(room, "0");
    await settled();
    const { alarms } = room;
    const began = room.clock.time;
    const [written, calls] = [room.sql.written, room.delivered.length];
    const count = 1_000;
    const time = new VirtualTime();
    const publishing = async (): Promise<void> => {
      for (let i = 0; i < count; i++) {
        room.clock.time = began + i * 300;
        await publish(room, "x");
        await nextTurn();
      }
    };
    await time.until(publishing());
    expect(room.sql.written - written).toBe(count);
    expect(room.delivered.length - calls).toBe(count);
    expect(room.alarms).toBe(alarms);
    const leases = Math.ceil((count * 300) / (leaseMs * (5 / 6)));
    expect(room.leases.length).toBeLessThanOrEqual(leases);
  }));

test("within one lease a thousand publishes ask once", () =>
  scene(async (room) => {
    for (let i = 0; i < 1_000; i++) await publish(room, "x");
    expect(room.leases).toHaveLength(1);
    // A quiet channel asks nobody; the next message asks anew, and waits for it.
    room.clock.time += 10 * leaseMs;
    await settled();
    expect(room.leases).toHaveLength(1);
    expect(room.life.ready()).toBeInstanceOf(Promise);
    await publish(room, "x");
    expect(room.leases).toHaveLength(2);
  }));

test("near its end a lease is renewed while messages go on", () =>
  scene(async (room) => {
    await publish(room, "1");
    room.clock.time += leaseMs - 1;
    const answer = Promise.withResolvers<readonly PatternInterest[]>();
    room.index = () => answer.promise;
    expect(room.life.ready()).toBeUndefined();
    expect(room.life.ready()).toBeUndefined();
    expect(room.leases).toHaveLength(2);
    room.clock.time += 1;
    const waiting = room.life.ready();
    expect(waiting).toBeInstanceOf(Promise);
    answer.resolve([interest("g1")]);
    await waiting;
    await publish(room, "2");
    expect(await room.told("g1")).toEqual(["2"]);
    expect(room.leases).toHaveLength(2);
    // Counted from the question, not from the answer.
    room.clock.time += leaseMs - 1;
    expect(room.life.ready()).toBeInstanceOf(Promise);
  }));

test("publishes that wait keep their order", () =>
  scene(async (room) => {
    const answer = Promise.withResolvers<readonly PatternInterest[]>();
    room.index = () => answer.promise;
    const texts = Array.from({ length: 20 }, (_, i) => `${i + 1}`);
    const offsets = texts.map(async (text) => await publish(room, text));
    answer.resolve([interest("g1")]);
    expect((await Promise.all(offsets)).flat()).toEqual(texts.map(Number));
    expect(await room.told("g1")).toEqual(texts);
    expect(room.leases).toHaveLength(1);
  }));

test("without an answer of the index nothing is taken, and the next one asks again", () =>
  scene(async (room) => {
    room.index = async () => {
      throw Object.assign(new Error("busy"), { overloaded: true });
    };
    await expect(publish(room, "1")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(room.life.position.offset).toBe(0);
    room.index = async () => [interest("g1")];
    await publish(room, "2");
    expect(await room.told("g1")).toEqual(["1"]);
  }));

test("a gateway that registers itself as well gets one copy, and each way ends by itself", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1")];
    room.register("g1", { registration: "r1" });
    await publish(room, "1");
    expect(await room.told("g1")).toEqual(["1"]);
    room.register("g1", { ended: "r1" });
    await publish(room, "2");
    await settled();
    expect(room.delivered.map(({ registration }) => registration)).toEqual([""]);
    expect(await room.told("g1")).toEqual(["2"]);
    room.register("g1", { registration: "r2" });
    room.index = async () => [];
    room.clock.time += leaseMs;
    await publish(room, "3");
    expect(await room.told("g1")).toEqual(["3"]);
    room.register("g1", { ended: "r2" });
    await publish(room, "4");
    expect(await room.told("g1")).toEqual([]);
  }));

test("who is pushed hears what comes next; an answer to an older question does not undo it", () =>
  scene(async (room) => {
    await publish(room, "1");
    room.life.addInterest(interest("g1"));
    await publish(room, "2");
    expect(await room.told("g1")).toEqual(["2"]);
    // g2 comes while the question is on its way, g1 has left in between.
    room.clock.time += leaseMs;
    const answer = Promise.withResolvers<readonly PatternInterest[]>();
    room.index = () => answer.promise;
    const third = publish(room, "3");
    room.life.addInterest(interest("g2", 7));
    answer.resolve([interest("g3")]);
    await third;
    expect(await room.told("g1")).toEqual([]);
    expect(await room.told("g2")).toEqual(["3"]);
    expect(await room.told("g3")).toEqual(["3"]);
    // The next answer knows of it: where it does not name it, it is gone.
    room.clock.time += leaseMs;
    room.index = async () => [interest("g3")];
    await publish(room, "4");
    expect(await room.told("g2")).toEqual([]);
    expect(await room.told("g3")).toEqual(["4"]);
  }));

test("gone counts only for the version that the call found, and is told to the index", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1", 3)];
    const held = Promise.withResolvers<{ gone: boolean }>();
    room.answer = () => held.promise;
    await publish(room, "1");
    room.answer = async () => ({ gone: false });
    room.life.addInterest(interest("g1", 5));
    // A push that comes late takes nothing back.
    room.life.addInterest(interest("g1", 4));
    held.resolve({ gone: true });
    await settled();
    expect(await room.told("g1")).toEqual(["1", "1"]);
    room.answer = async () => ({ gone: true });
    await publish(room, "2");
    await settled();
    room.answer = async () => ({ gone: false });
    await publish(room, "3");
    expect(await room.told("g1")).toEqual(["2"]);
    room.clock.time += leaseMs;
    room.index = async () => [];
    await publish(room, "4");
    expect(room.leases.at(-1)).toEqual([interest("g1", 5)]);
    room.clock.time += leaseMs;
    await publish(room, "5");
    expect(room.leases.at(-1)).toEqual([]);
  }));

test("gone ends the registration of a gateway that hears the channel by neither", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1", 3)];
    room.register("g1", { registration: "r1", joined: [one("a")] });
    room.answer = async () => ({ gone: true });
    await publish(room, "1");
    await settled();
    room.answer = async () => ({ gone: false });
    await publish(room, "2");
    expect(await room.told("g1")).toEqual(["1"]);
    expect([...room.sql.exec("SELECT * FROM gateways")]).toEqual([]);
    expect(room.alarmAt).toBe(room.clock.time + room.rules.presenceGraceMs);
  }));

for (const transient of [false, true]) {
  const kind = transient ? "a transient channel" : "a channel";
  const rules = transient ? { transient, historySize: 0 } : {};

  test(`${kind} owes who hears it by a pattern like any other, over its own end`, () =>
    scene(async (room) => {
      room.index = async () => [interest("g1", 3, true)];
      room.answer = async () => {
        throw new Error("no gateway");
      };
      await publish(room, "1");
      await settled();
      expect([...room.sql.exec("SELECT name, registration FROM gateways")]).toEqual([
        { name: "g1", registration: "" },
      ]);
      room.delivered.length = 0;
      room.reopen();
      room.answer = async () => ({ gone: false });
      await room.alarm();
      await settled();
      const [delivery] = room.delivered;
      expect(delivery).toMatchObject({ gateway: "g1", registration: "", presenceLost: true });
      expect(delivery?.epoch).toBe(transient ? "epoch2" : "epoch1");
      expect(await room.told("g1")).toEqual(transient ? ["lost"] : ["1", "lost"]);
      // Nothing is owed any more: no row, and the next life asks the index.
      expect([...room.sql.exec("SELECT * FROM gateways")]).toEqual([]);
      room.reopen();
      await publish(room, "2");
      expect(await room.told("g1")).toEqual([transient ? "1" : "2"]);
    }, rules));
}

test("what is owed stays owed when the gateway's own registration ends, also in a later life", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1" });
    room.index = async () => [interest("g1", 3)];
    room.answer = async () => {
      throw new Error("no gateway");
    };
    await publish(room, "1");
    await settled();
    room.reopen();
    room.register("g1", { ended: "r1" });
    room.delivered.length = 0;
    room.answer = async () => ({ gone: false });
    await room.alarm();
    expect(await room.told("g1")).toEqual(["1"]);
    // A gateway that is owed something and is heard to have a pattern is noted with it as well.
    room.register("g2", { registration: "q1" });
    room.answer = async () => {
      throw new Error("no gateway");
    };
    room.index = async () => [];
    await publish(room, "2");
    await settled();
    room.life.addInterest(interest("g2", 9));
    room.reopen();
    room.register("g2", { ended: "q1" });
    room.delivered.length = 0;
    room.answer = async () => ({ gone: false });
    await room.alarm();
    expect(await room.told("g2")).toEqual(["2"]);
  }));

test("who has unsubscribed by the next answer is owed nothing any more", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1", 3)];
    room.answer = async () => {
      throw new Error("no gateway");
    };
    await publish(room, "1");
    await settled();
    room.clock.time += leaseMs;
    room.index = async () => [];
    await publish(room, "2");
    await settled();
    expect([...room.sql.exec("SELECT * FROM gateways")]).toEqual([]);
    expect(await room.alarm()).toBe(false);
    expect(room.alarmAt).toBeGreaterThan(room.clock.time + 60_000);
  }));

test("a repeated publish of an earlier life is offered to who hears it by a pattern", () =>
  scene(async (room) => {
    room.append("k", "1");
    room.reopen();
    room.index = async () => [interest("g1")];
    await room.life.ready();
    room.append("k", "1");
    room.life.flush();
    expect(await room.told("g1")).toEqual(["1"]);
  }));

test("patterns alone do not keep a channel's log, what they are owed does", () =>
  scene(
    async (room) => {
      room.index = async () => [interest("g1")];
      await publish(room, "1");
      await settled();
      expect(await room.alarm()).toBe(true);
      room.answer = async () => {
        throw new Error("no gateway");
      };
      await publish(room, "2");
      await settled();
      room.clock.time += 60_000;
      expect(await room.alarm()).toBe(false);
      room.answer = async () => ({ gone: false });
      expect(await room.alarm()).toBe(true);
    },
    { positionTtlMs: 60_000 },
  ));
