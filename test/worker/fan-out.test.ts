/** What a channel owes its gateways: kept while a call fails, noted for the next life, and told when lost. */
import { expect, test } from "vitest";
import { OWED_ALARM_MS } from "../../src/objects/channel/fan-out.ts";
import { type LifeScene, one, scene, settled } from "./life-scene.ts";

const TRANSIENT = { transient: true, historySize: 0 };

/** Makes deliveries to a gateway hang until the returned function ends them. */
function hold(room: LifeScene, gateway: string): (outcome: "taken" | "failed") => Promise<void> {
  const before = room.answer;
  let end: ((outcome: "taken" | "failed") => void) | undefined;
  const ended = new Promise<"taken" | "failed">((resolve) => {
    end = resolve;
  });
  room.answer = async (name) => {
    if (name !== gateway) return await before(name);
    if ((await ended) === "failed") throw new Error("no gateway");
    return { gone: false };
  };
  return async (outcome) => {
    room.answer = before;
    end?.(outcome);
    await settled();
  };
}

test("entries and presence wait for the call in flight and leave with the next one", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true });
    room.register("g2", { registration: "q1" });
    const end = hold(room, "g1");
    room.publish("1");
    room.register("g2", { joined: [one("a")] });
    room.publish("2");
    room.register("g2", { joined: [one("b")] });
    expect(await room.told("g1")).toEqual(["1"]);
    expect(room.alarmAt).toBe(room.clock.time + OWED_ALARM_MS);
    await end("taken");
    expect(room.delivered.filter(({ gateway }) => gateway === "g1")).toHaveLength(1);
    expect(await room.told("g1")).toEqual(["2", "+a", "+b"]);
  }));

test("a call may carry presence alone, and says where the log is", () =>
  scene(async (room) => {
    room.publish("1", "2");
    room.register("g1", { registration: "r1", presence: true });
    room.register("g2", { joined: [one("a")] });
    await settled();
    expect(room.delivered).toHaveLength(1);
    expect(room.delivered[0]).toMatchObject({ epoch: "epoch1", prev: 2n, entries: [] });
  }));

test("what a failed call carried goes again, in order, with what came meanwhile", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true });
    const end = hold(room, "g1");
    room.register("g2", { joined: [one("a")] });
    room.publish("1");
    room.register("g2", { left: [{ sessionId: "a", clean: true }] });
    // The index has answered who hears by patterns.
    await settled();
    await end("failed");
    expect(await room.told("g1")).toEqual(["+a"]);
    room.publish("2");
    expect(await room.told("g1")).toEqual(["1", "2", "+a", "-a"]);
  }));

test("a fresh life delivers what was owed from the log, and says that presence may be lost", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true });
    room.register("g2", { registration: "q1" });
    room.publish("1");
    await settled();
    const end = hold(room, "g1");
    room.register("g2", { joined: [one("a")] });
    await end("failed");
    room.publish("2");
    room.delivered.length = 0;
    // The alarm of the owed delivery is what wakes the next life.
    room.reopen();
    await room.alarm();
    expect(await room.told("g1")).toEqual(["2", "lost"]);
    expect(await room.told("g2")).toEqual([]);
    // It has been told: the life after that has nothing to say.
    room.reopen();
    room.publish("3");
    expect(await room.told("g1")).toEqual(["3"]);
  }));

test("too many presence changes are dropped, and the gateway is told to ask", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true });
    const end = hold(room, "g1");
    const join = (from: number, until: number): void => {
      const joined = Array.from({ length: until - from }, (_, i) => one(`s${from + i}`));
      room.register("g2", { joined });
    };
    join(0, 1);
    join(1, 1_002);
    join(1_002, 1_005);
    await end("taken");
    expect(await room.told("g1")).toEqual(["+s0", "lost"]);
    join(1_005, 1_006);
    expect(await room.told("g1")).toEqual(["+s1005"]);
  }));

test("a repeated publish of an earlier life is offered again, and nothing in flight is forgotten", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true });
    room.append("k", "1");
    room.reopen();
    const end = hold(room, "g1");
    room.register("g2", { joined: [one("a")] });
    room.append("k", "1");
    room.life.flush();
    await end("taken");
    // The call in flight may fail unheard, so that what it carried goes again as well.
    expect(await room.told("g1")).toEqual(["+a", "1", "+a"]);
  }));

test("a gateway that is owed too much is served from the log", () =>
  scene(
    async (room) => {
      room.register("g1", { registration: "r1" });
      const end = hold(room, "g1");
      const text = "x".repeat(300_000);
      for (let i = 1; i <= 20; i++) room.publish(text);
      expect(await room.told("g1")).toEqual(["1"]);
      await end("taken");
      const told = await room.told("g1");
      expect(told).toEqual(Array.from({ length: 19 }, (_, i) => `${i + 2}`));
    },
    { historySize: 30 },
  ));

test("a transient channel has only memory: its gateway meets the hole", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1" });
    const end = hold(room, "g1");
    const text = "x".repeat(300_000);
    for (let i = 1; i <= 20; i++) room.publish(text);
    expect(await room.told("g1")).toEqual(["1"]);
    expect(room.life.read(0, 100)).toEqual([]);
    await end("taken");
    const [first] = room.delivered;
    expect(Number(first?.prev)).toBe(1);
    const told = await room.told("g1");
    expect(Number(told[0])).toBeGreaterThan(2);
    expect(told.at(-1)).toBe("20");
  }, TRANSIENT));

test("a log that dropped what a gateway is owed goes on with what it has", () =>
  scene(
    async (room) => {
      room.register("g1", { registration: "r1" });
      const end = hold(room, "g1");
      room.publish("1");
      await end("failed");
      room.delivered.length = 0;
      for (let i = 2; i <= 2_000; i++) room.append(`k${i}`);
      room.reopen();
      room.life.flush();
      const told = await room.told("g1");
      expect(told[0]).toBe("1901");
      expect(told.at(-1)).toBe("2000");
    },
    { historySize: 10, dedupSize: 100 },
  ));

test("a transient channel begins a new log with each life, and tells those it may owe something", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1" });
    room.register("g2", { registration: "q1" });
    room.publish("confirmed");
    await settled();
    const end = hold(room, "g1");
    room.publish("1", "2");
    await settled();
    room.publish("3");
    await end("failed");
    await room.told("g2");
    room.delivered.length = 0;
    room.reopen();
    expect(room.life.position).toEqual({ epoch: "epoch2", offset: 0 });
    await room.alarm();
    await settled();
    expect(room.delivered).toHaveLength(1);
    expect(room.delivered[0]).toMatchObject({
      gateway: "g1",
      epoch: "epoch2",
      prev: 0n,
      entries: [],
    });
    room.publish("again");
    expect(await room.told("g1")).toEqual(["1"]);
    expect(await room.told("g2")).toEqual(["1"]);
  }, TRANSIENT));
