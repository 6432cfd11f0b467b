/** Who comes to a channel and goes, told to those who follow it by patterns. */
import { afterEach, expect, test, vi } from "vitest";
import { LEASE_TERMS } from "../../src/objects/calls/lease-terms.ts";
import { ASK_LATER_MS } from "../../src/objects/channel/lease.ts";
import { delay } from "../support/platform.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { one, scene } from "./life-scene.ts";
import { interest, publish } from "./pattern-interest.ts";

const { leaseMs } = LEASE_TERMS;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("joins and leaves reach who follows by a pattern, in a channel that nobody has published to", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1", 1, true), interest("g2")];
    room.register("g3", { registration: "q1", joined: [one("a")] });
    // The subscribe did not wait for the index.
    expect(room.delivered).toEqual([]);
    room.register("g3", { joined: [one("b")], left: [{ sessionId: "a", clean: true }] });
    await room.asked(1);
    expect(await room.told("g1")).toEqual(["+a", "+b", "-a"]);
    expect(await room.told("g2")).toEqual([]);
    expect(await room.told("g3")).toEqual([]);
    expect(room.leases).toHaveLength(1);
    room.register("g3", { joined: [one("c")] });
    expect(await room.told("g1")).toEqual(["+c"]);
    expect(room.leases).toHaveLength(1);
    expect(room.life.ready()).toBeUndefined();
  }));

test("a member's join is told once to a gateway that follows both ways, and to whoever follows in any", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1", 1, true)];
    room.register("g1", { registration: "r1" });
    await publish(room, "1");
    expect(await room.told("g1")).toEqual(["1"]);
    room.register("g2", { registration: "q1", joined: [one("a")] });
    expect(await room.told("g1")).toEqual(["+a"]);
    room.register("g1", { registration: "r2", presence: true });
    room.register("g2", { joined: [one("b")] });
    expect(await room.told("g1")).toEqual(["+b"]);
    room.clock.time += leaseMs;
    room.register("g2", { joined: [one("c")] });
    expect(await room.told("g1")).toEqual(["+c"]);
    room.register("g1", { ended: "r2" });
    room.register("g2", { joined: [one("d")] });
    expect(await room.told("g1")).toEqual(["+d"]);
  }));

test("a gateway says itself that it follows by a pattern, when somebody comes there", () =>
  scene(async (room) => {
    room.index = async () => [interest("g1", 3, true), interest("g2", 4, true)];
    const { alarms } = room;
    // Before anything is known: their own members, and the others'.
    const pattern = { gateway: "g1", version: 3n, presence: true };
    room.register("g1", { registration: "r1", presence: true, joined: [one("a")], pattern });
    const other = { gateway: "g2", version: 4n, presence: true };
    room.register("g2", { registration: "q1", presence: true, joined: [one("b")], pattern: other });
    room.register("g3", { joined: [one("c")] });
    expect(await room.told("g1")).toEqual(["+a", "+b", "+c"]);
    expect(await room.told("g2")).toEqual(["+a", "+b", "+c"]);
    expect(room.alarms).toBe(alarms + 1);
  }));

test("a subscribe does not fail with the index; who follows is told when it answers again", () =>
  scene(async (room) => {
    room.index = async () => {
      throw Object.assign(new Error("busy"), { overloaded: true });
    };
    room.register("g2", { registration: "q1", joined: [one("a")] });
    await room.asked(1);
    room.index = async () => [interest("g1", 1, true)];
    room.register("g2", { joined: [one("b")] });
    await room.asked(2);
    expect(await room.told("g1")).toEqual(["+a", "+b"]);
  }));

test("where a session comes to many channels none of them asks before the last one is called", () =>
  scene(async (room) => {
    const time = new VirtualTime();
    const asksAfter = async (waiting: number, ms: number): Promise<void> => {
      room.clock.time += leaseMs;
      const asked = room.leases.length;
      room.register("g1", { registration: "r1", joined: [one(`session-${waiting}`)], waiting });
      await delay(ms - 1);
      expect(room.leases).toHaveLength(asked);
      await delay(2);
      expect(room.leases).toHaveLength(asked + 1);
    };
    const all = async (): Promise<void> => {
      await asksAfter(0, ASK_LATER_MS);
      await asksAfter(40, ASK_LATER_MS + 1_000);
      await asksAfter(1_000, ASK_LATER_MS + 5_000);
    };
    await time.until(all());
  }));

test("a channel without presence asks for no lease when somebody comes", () =>
  scene(
    async (room) => {
      room.register("g1", { registration: "r1", joined: [one("a")], presence: true });
      await delay(2 * ASK_LATER_MS);
      expect(room.leases).toEqual([]);
    },
    { presence: false },
  ));
