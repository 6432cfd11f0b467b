/** What a channel's object does in one step: registrations, who is present, and what it tells whom. */
import { expect, test } from "vitest";
import { one, scene, settled } from "./life-scene.ts";

test("a registration is answered with the head, and gets what comes after it", () =>
  scene(async (room) => {
    room.publish("1", "2");
    const { position, generation } = room.register("g1", { registration: "r1" });
    expect(position).toEqual({ epoch: "epoch1", offset: 2 });
    expect(generation).toBe(0);
    room.publish("3");
    expect(await room.told("g1")).toEqual(["3"]);
    expect(room.delivered).toEqual([]);
  }));

test("a request that comes late is ignored and answered with what holds now", () =>
  scene(async (room) => {
    room.register("g1", { sequence: 7n, registration: "r2", joined: [one("a")] });
    room.publish("1");
    const late = { sequence: 6n, registration: "r1", left: [{ sessionId: "a", clean: true }] };
    expect(room.register("g1", late).position.offset).toBe(1);
    expect(room.life.presence(9).total).toBe(1);
    room.publish("2");
    await settled();
    expect(room.delivered.map(({ registration }) => registration)).toEqual(["r2", "r2"]);
    // Another gateway counts for itself, and the same request may be repeated.
    room.register("g2", { sequence: 1n, registration: "q", joined: [one("b")] });
    room.register("g1", { sequence: 7n, registration: "r2", joined: [one("a")] });
    expect(room.life.presence(9).total).toBe(2);
  }));

test("only the current registration can be ended", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1" });
    room.register("g1", { registration: "r2" });
    room.register("g1", { ended: "r1" });
    room.publish("1");
    expect(await room.told("g1")).toEqual(["1"]);
    room.register("g1", { ended: "r2" });
    room.publish("2");
    expect(await room.told("g1")).toEqual([]);
  }));

test("who joins and leaves is told to the gateways that follow, after the registration they began with", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true, joined: [one("a")] });
    room.register("g2", { registration: "q1" });
    const { generation } = room.register("g2", { joined: [one("b"), one("c")] });
    expect(generation).toBe(room.life.presence(9).generation);
    room.register("g1", { left: [{ sessionId: "a", clean: true }] });
    expect(await room.told("g1")).toEqual(["+b", "+c", "-a"]);
    expect(await room.told("g2")).toEqual([]);
    // From the registration on that says so.
    room.register("g2", { registration: "q2", presence: true, joined: [one("d")] });
    room.register("g1", { joined: [one("e")] });
    expect(await room.told("g2")).toEqual(["+e"]);
  }));

test("a member that changes sessions in one step neither leaves nor joins", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true, joined: [one("a", "ali")] });
    room.register("g1", { joined: [one("b", "ali")], left: [{ sessionId: "a", clean: true }] });
    expect(await room.told("g1")).toEqual([]);
    expect(room.life.presence(9).total).toBe(1);
  }));

test("a gateway that names everybody has lost those it does not name", () =>
  scene(async (room) => {
    room.register("g1", { registration: "r1", presence: true });
    room.register("g2", { registration: "q1", joined: [one("a"), one("b"), one("c")] });
    room.register("g2", {
      complete: true,
      joined: [one("b"), one("d")],
      left: [{ sessionId: "c", clean: true }],
    });
    expect(await room.told("g1")).toEqual(["+a", "+b", "+c", "+d", "-c"]);
    expect(room.alarmAt).toBe(room.clock.time + room.rules.presenceGraceMs);
    expect(await room.alarm()).toBe(false);
    expect(await room.told("g1")).toEqual(["-a"]);
  }));

for (const how of ["ends its registration", "answers gone"]) {
  test(`the sessions of a gateway that ${how} leave when the grace is over`, () =>
    scene(async (room) => {
      room.register("g1", { registration: "r1", presence: true });
      room.register("g2", { registration: "q1", joined: [one("a"), one("b")] });
      expect(await room.told("g1")).toEqual(["+a", "+b"]);
      if (how === "answers gone") {
        room.answer = async (gateway) => ({ gone: gateway === "g2" });
        room.publish("1");
        await settled();
      } else room.register("g2", { ended: "q1", left: [{ sessionId: "a", clean: true }] });
      expect(room.alarmAt).toBe(room.clock.time + room.rules.presenceGraceMs);
      // One comes back through another gateway.
      room.register("g1", { joined: [one("b")] });
      room.reopen();
      await room.alarm();
      const told = await room.told("g1");
      expect(told.filter((text) => text !== "1")).toEqual(["-a"]);
    }));
}

test("presence costs nothing where it is switched off", () =>
  scene(
    async (room) => {
      room.register("g1", { registration: "r1", presence: true });
      const before = room.sql.written;
      room.register("g1", { joined: [one("a")], complete: true });
      expect(room.sql.written).toBe(before);
      expect(await room.told("g1")).toEqual([]);
      expect(room.life.presence(9)).toEqual({ members: [], total: 0, generation: 0 });
    },
    { presence: false },
  ));

test("a publish to one gateway is one row and one call, and sets no alarm; a transient one writes nothing", async () => {
  for (const transient of [false, true]) {
    await scene(
      async (room) => {
        room.register("g1", { registration: "r1", presence: true, joined: [one("a")] });
        await room.told("g1");
        room.publish("first");
        const { alarms } = room;
        await settled();
        for (let i = 0; i < 20; i++) {
          const [written, calls] = [room.sql.written, room.delivered.length];
          room.publish("x");
          await settled();
          expect(room.sql.written - written).toBe(transient ? 0 : 1);
          expect(room.delivered.length - calls).toBe(1);
        }
        expect(room.alarms).toBe(alarms);
      },
      transient ? { transient, historySize: 0 } : {},
    );
  }
});

test("a wake reads a handful of rows, and presence only when something asks for it", () =>
  scene(async (room) => {
    const joined = Array.from({ length: 100 }, (_, i) => one(`s${i}`));
    room.register("g1", { registration: "r1", joined });
    for (let i = 0; i < 100; i++) room.publish(`${i}`);
    await settled();
    const before = room.sql.read;
    room.reopen();
    expect(room.life.position.offset).toBe(100);
    // Two of the rows are the table's columns.
    expect(room.sql.read - before).toBeLessThan(15);
    room.life.read(98, 100);
    expect(room.sql.read - before).toBeLessThan(20);
    expect(room.life.presence(1).total).toBe(100);
    expect(room.sql.read - before).toBeGreaterThanOrEqual(100);
  }));

test("history is bounded, and a position of another epoch gets none", () =>
  scene(async (room) => {
    for (let i = 1; i <= 600; i++) room.append(`k${i}`, "x");
    const { position, first, reason, entries, more } = room.history({ limit: 10_000 });
    expect(position).toEqual({ epoch: "epoch1", offset: 600 });
    expect([first, reason]).toEqual([345, "head_trimmed"]);
    expect([entries.length, more]).toEqual([256, false]);
    expect(room.history({ limit: 3, reverse: true }).entries).toHaveLength(3);
    expect(room.history({ limit: 9, bytes: 6 }).entries).toHaveLength(2);
    expect(room.history({ limit: 0 })).toMatchObject({ entries: [], more: true });
    const since = { epoch: "epoch1", offset: 598n };
    expect(room.history({ limit: 9, since }).entries).toHaveLength(2);
    const foreign = { epoch: "other", offset: 1n };
    expect(room.history({ limit: 9, since: foreign })).toMatchObject({ entries: [], more: false });
    const none = { epoch: "", offset: 599n };
    expect(room.history({ limit: 999, since: none }).entries).toHaveLength(256);
    room.life.removeHistory();
    expect(room.history({ limit: 9 })).toMatchObject({ first: 601, entries: [], more: false });
  }));

test("a page is never more than one batch", () =>
  scene(async (room) => {
    const text = "x".repeat(100_000);
    for (let i = 1; i <= 20; i++) room.append(`k${i}`, text);
    const page = room.history({ limit: 100 });
    expect(page.entries).toHaveLength(10);
    expect(page.more).toBe(true);
    expect(room.life.read(0, 100)).toHaveLength(10);
  }));

test("gateways from before there was presence stay registered", () =>
  scene(async (room) => {
    for (const row of [..."ab"]) {
      room.sql.exec("DROP TABLE IF EXISTS gateways");
      room.sql.exec(
        "CREATE TABLE gateways (name TEXT PRIMARY KEY, registration TEXT NOT NULL, confirmed INTEGER) WITHOUT ROWID",
      );
      room.sql.exec("INSERT INTO gateways (name, registration) VALUES (?, 'r')", row);
      room.reopen();
      room.reopen();
      room.publish("x");
      expect(await room.told(row)).toHaveLength(1);
    }
  }));
