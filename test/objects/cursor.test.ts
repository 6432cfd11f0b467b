/** What a gateway makes of deliveries: nothing twice, nothing skipped in silence, one log after the other (C10, C11). */
import { expect, test } from "vitest";
import { nextTurn } from "../support/platform.ts";
import { BrokerScene, changes, ROOM } from "./broker-scene.ts";

/** A gateway that is registered at an offset of the log. */
async function registered(head: number): Promise<BrokerScene> {
  const scene = new BrokerScene();
  scene.head = head;
  scene.log = Array.from({ length: head }, (_, i) => i + 1);
  await scene.broker.subscribe(ROOM);
  return scene;
}

test("what goes on where the last one ended is handed over in the same step", async () => {
  const scene = await registered(2);
  const delivered = scene.deliver(2, [3, 4]);
  expect(scene.heard()).toEqual(["e1:3", "e1:4"]);
  expect(scene.broker.position(ROOM)).toEqual({ epoch: "e1", offset: 4 });
  await delivered;
  await scene.deliver(2, [3, 4, 5]);
  await scene.deliver(2, [3]);
  expect(scene.heard()).toEqual(["e1:5"]);
  expect(scene.calls).toEqual(["register"]);
});

test("a hole is read back before what lies behind it, and deliveries wait in line", async () => {
  const scene = await registered(2);
  scene.log = [1, 2, 3, 4, 5, 6, 7];
  const first = scene.deliver(5, [6], changes(["+a", 10]));
  const second = scene.deliver(6, [7], changes(["-a", 11]));
  expect(scene.heard()).toEqual([]);
  expect(await Promise.all([first, second])).toEqual([false, false]);
  expect(scene.heard()).toEqual([
    ...["e1:3", "e1:4", "e1:5", "e1:6"],
    "+a e1:10",
    "e1:7",
    "-a e1:11",
  ]);
  expect(scene.calls).toEqual(["register", "read"]);
});

test("deliveries of one moment need no read where one closes the hole before the other", async () => {
  const scene = await registered(2);
  scene.log = [7, 8];
  const late = scene.deliver(4, [5, 6], changes(["+a", 10]));
  const early = scene.deliver(2, [3, 4]);
  expect(scene.heard()).toEqual(["e1:3", "e1:4"]);
  await Promise.all([late, early]);
  expect(scene.heard()).toEqual(["e1:5", "e1:6", "+a e1:10"]);
  expect(scene.calls).toEqual(["register"]);
});

test("what comes while a hole is read closes it, also where the log does not keep it any more", async () => {
  for (const log of [
    [7, 8],
    [4, 5, 6, 7, 8],
  ]) {
    const scene = await registered(2);
    scene.log = log;
    const read = Promise.withResolvers<void>();
    scene.before = (method) => (method === "read" ? read.promise : undefined);
    const late = scene.deliver(5, [6]);
    await nextTurn();
    const early = scene.deliver(2, [3, 4]);
    expect(scene.heard()).toEqual(["e1:3", "e1:4"]);
    const last = scene.deliver(4, [5]);
    read.resolve();
    await Promise.all([late, early, last]);
    expect(scene.heard()).toEqual(["e1:5", "e1:6"]);
    expect(scene.calls).toEqual(["register", "read"]);
  }
});

test("what is read is handed over once where a part of it has come meanwhile", async () => {
  const scene = await registered(2);
  scene.log = [4, 5, 6];
  const read = Promise.withResolvers<void>();
  scene.before = (method) => (method === "read" ? read.promise : undefined);
  const late = scene.deliver(5, [6]);
  await nextTurn();
  const early = scene.deliver(2, [3, 4]);
  read.resolve();
  await Promise.all([late, early]);
  expect(scene.heard()).toEqual(["e1:3", "e1:4", "e1:5", "e1:6"]);
});

test("where all that was read has come meanwhile, what follows it is read as well", async () => {
  const scene = await registered(2);
  // One batch does not reach up to the run.
  scene.log = [3, 4];
  const read = Promise.withResolvers<void>();
  scene.before = (method) => {
    if (method !== "read") return undefined;
    scene.before = () => {
      scene.log = [5, 6, 7];
      return undefined;
    };
    return read.promise;
  };
  const late = scene.deliver(6, [7]);
  await nextTurn();
  const early = scene.deliver(2, [3, 4]);
  read.resolve();
  await Promise.all([late, early]);
  expect(scene.heard()).toEqual(["e1:3", "e1:4", "e1:5", "e1:6", "e1:7"]);
});

test("a run that begins later than its predecessor says is behind as well", async () => {
  const scene = await registered(2);
  scene.log = [1, 2, 3, 4, 5];
  await scene.deliver(2, [5]);
  expect(scene.heard()).toEqual(["e1:3", "e1:4", "e1:5"]);
});

test("what was trimmed is told once, before what is there", async () => {
  const scene = await registered(2);
  scene.log = [5, 6, 7];
  await scene.deliver(6, [7]);
  expect(scene.heard()).toEqual(["gap head_trimmed e1:2 e1:4", "e1:5", "e1:6", "e1:7"]);
  scene.log = [11];
  await scene.deliver(10, [11]);
  expect(scene.heard()).toEqual(["gap head_trimmed e1:7 e1:10", "e1:11"]);
});

test("a channel that keeps nothing has a hole where it was not heard", async () => {
  const scene = await registered(2);
  scene.log = [];
  await scene.deliver(2, [9]);
  expect(scene.heard()).toEqual(["gap unavailable e1:2 e1:8", "e1:9"]);
});

test("a delivery whose hole cannot be read stays owed; after some of them it is a gap", async () => {
  const scene = await registered(2);
  scene.before = (method) => {
    if (method === "read") throw Object.assign(new Error("busy"), { overloaded: true });
  };
  for (let i = 0; i < 2; i++) {
    await expect(scene.deliver(4, [5])).rejects.toMatchObject({ code: "UNAVAILABLE" });
  }
  expect(scene.heard()).toEqual([]);
  await scene.deliver(4, [5]);
  expect(scene.heard()).toEqual(["gap unavailable e1:2 e1:4", "e1:5"]);
});

test("another epoch is told before its first entry, and nothing of the old one comes after", async () => {
  const scene = await registered(2);
  await scene.deliver(2, [3], changes(["+a", 50]));
  scene.epoch = "e2";
  const delivered = scene.deliver(0, [1], changes(["+b", 7]));
  expect(scene.heard()).toEqual([
    ...["e1:3", "+a e1:50"],
    ...["gap epoch_changed e1:3 e2:0", "e2:1", "+b e2:7"],
  ]);
  await delivered;
  // A straggler of the log before: the channel knows which one holds.
  await scene.deliver(3, [4], { epoch: "e1", ...changes(["+c", 60]) });
  expect(scene.heard()).toEqual([]);
  await scene.deliver(1, [2]);
  expect(scene.heard()).toEqual(["e2:2"]);
});

test("a straggler that was taken for a new log does not hide the true one", async () => {
  const scene = await registered(2);
  await scene.deliver(0, [1], { epoch: "e0" });
  expect(scene.heard()).toEqual(["gap epoch_changed e1:2 e0:0", "e0:1"]);
  await scene.deliver(2, [3]);
  expect(scene.heard()).toEqual(["gap epoch_changed e0:1 e1:2", "e1:3"]);
});

test("a run of an older registration and another epoch is only taken where the channel says so", async () => {
  const scene = await registered(2);
  const old = { registration: "old" };
  await scene.deliver(5, [6], { epoch: "e0", ...old });
  expect(scene.heard()).toEqual([]);
  expect(scene.calls).toEqual(["register", "history"]);
  scene.epoch = "e2";
  await scene.deliver(0, [1], old);
  expect(scene.heard()).toEqual(["gap epoch_changed e1:2 e2:0", "e2:1"]);
  // In the epoch that is known, the registration does not matter.
  await scene.deliver(1, [2], old);
  expect(scene.heard()).toEqual(["e2:2"]);
});

test("a registration that finds another epoch tells of it, and what it holds is still owed", async () => {
  const scene = await registered(2);
  Object.assign(scene, { epoch: "e2", head: 4, log: [1, 2, 3, 4] });
  expect((await scene.broker.subscribe(ROOM)).position).toEqual({ epoch: "e2", offset: 4 });
  expect(scene.heard()).toEqual(["gap epoch_changed e1:2 e2:0"]);
  await scene.deliver(4, [5]);
  expect(scene.heard()).toEqual(["e2:1", "e2:2", "e2:3", "e2:4", "e2:5"]);
});

test("a hole that turns out to lie in another epoch ends the old one", async () => {
  const scene = await registered(2);
  Object.assign(scene, { epoch: "e2", log: [1] });
  await scene.deliver(4, [5], { epoch: "e1" });
  expect(scene.heard()).toEqual(["gap epoch_changed e1:2 e2:0"]);
  await scene.deliver(1, [2]);
  expect(scene.heard()).toEqual(["e2:1", "e2:2"]);
});

test("a gateway that forgot takes the channel's word for where it was", async () => {
  const scene = await registered(2);
  scene.restart();
  await scene.deliver(5, [6]);
  expect(scene.heard()).toEqual(["e1:6"]);
});

test("a gateway that remembers neither repeats nor skips", async () => {
  const scene = await registered(2);
  await scene.deliver(2, [3, 4], changes(["+a", 9]));
  const seen = scene.broker.snapshot(ROOM);
  expect(seen).toEqual({ channel: ROOM, epoch: "e1", offset: 4n, generation: 9n });
  scene.heard();
  scene.log = [1, 2, 3, 4, 5, 6];
  scene.restart();
  const record = { $typeName: "messageloop.internal.v1.SeenRecord" } as const;
  const older = { channel: ROOM, epoch: "e1", offset: 3n, generation: 8n };
  scene.broker.restore({ ...record, ...older });
  scene.broker.restore({ ...record, channel: ROOM, epoch: "e1", offset: 4n, generation: 9n });
  expect(scene.broker.position(ROOM)).toEqual({ epoch: "e1", offset: 4 });
  await scene.deliver(2, [3, 4], changes(["+a", 9]));
  expect(scene.heard()).toEqual([]);
  await scene.deliver(5, [6], changes(["-a", 10]));
  expect(scene.heard()).toEqual(["e1:5", "e1:6", "-a e1:10"]);
});

test("what is remembered of a channel that nobody wants is forgotten by the next sweep", async () => {
  const scene = new BrokerScene();
  scene.wanted = false;
  const record = { $typeName: "messageloop.internal.v1.SeenRecord" } as const;
  scene.broker.restore({ ...record, channel: ROOM, epoch: "e1", offset: 1n, generation: 0n });
  await scene.broker.sweep();
  expect(scene.broker.position(ROOM)).toBeUndefined();
  expect(scene.calls).toEqual([]);
});

test("what is remembered of a channel that is not registered any more does not count", async () => {
  const scene = new BrokerScene();
  const record = { $typeName: "messageloop.internal.v1.SeenRecord" } as const;
  scene.broker.restore({ ...record, channel: ROOM, epoch: "e1", offset: 1n, generation: 9n });
  Object.assign(scene, { head: 5, log: [1, 2, 3, 4, 5, 6] });
  await scene.broker.subscribe(ROOM);
  expect(scene.broker.position(ROOM)).toEqual({ epoch: "e1", offset: 5 });
  await scene.deliver(5, [6], changes(["+a", 8]));
  expect(scene.heard()).toEqual(["e1:6", "+a e1:8"]);
});

test("presence changes come once each, in order", async () => {
  const scene = await registered(0);
  await scene.deliver(0, [], changes(["+a", 5], ["+b", 6]));
  await scene.deliver(0, [], changes(["+a", 5], ["+b", 6], ["-a", 8]));
  await scene.deliver(0, [], changes(["+b", 6]));
  expect(scene.heard()).toEqual(["+a e1:5", "+b e1:6", "-a e1:8"]);
});

test("where changes were lost the members are asked for, and what they cover is not told again", async () => {
  const scene = await registered(0);
  Object.assign(scene, { members: ["a", "c"], generation: 20 });
  await scene.deliver(0, [1], { presenceLost: true });
  expect(scene.heard()).toEqual(["e1:1", "members a,c e1:20"]);
  await scene.deliver(1, [2], changes(["-b", 19], ["-c", 21]));
  expect(scene.heard()).toEqual(["e1:2", "-c e1:21"]);
  // Without an answer the delivery stays owed.
  scene.before = (method) => {
    if (method === "presence") throw Object.assign(new Error("busy"), { overloaded: true });
  };
  await expect(scene.deliver(2, [], { presenceLost: true })).rejects.toThrow();
  scene.before = () => {};
  await scene.deliver(2, [], { presenceLost: true });
  expect(scene.heard()).toEqual(["members a,c e1:20"]);
});

test("what is read for those who have left meanwhile is handed to nobody", async () => {
  const scene = await registered(2);
  scene.log = [3, 4, 5];
  const delivered = scene.deliver(4, [5]);
  await nextTurn();
  scene.wanted = false;
  scene.broker.unsubscribe(ROOM);
  scene.wanted = true;
  const again = scene.broker.subscribe(ROOM);
  await Promise.all([delivered, again]);
  expect(scene.heard()).toEqual([]);
});

test("without a subscriber a delivery is answered with gone", async () => {
  const scene = await registered(2);
  scene.wanted = false;
  expect(await scene.deliver(2, [3])).toBe(true);
  expect(scene.heard()).toEqual([]);
});

test("history and presence are asked for as they are wanted", async () => {
  const scene = await registered(3);
  scene.members = ["a"];
  const page = await scene.broker.history(ROOM, { limit: 2 });
  expect(page).toMatchObject({
    position: { epoch: "e1", offset: 3 },
    first: 1,
    reason: undefined,
    more: false,
  });
  expect(page.entries.map(({ offset }) => offset)).toEqual([1n, 2n]);
  expect((await scene.broker.history(ROOM, { limit: -1 })).entries).toHaveLength(3);
  expect(await scene.broker.presence(ROOM, 10)).toMatchObject({ epoch: "e1", total: 1 });
  await scene.broker.removeHistory(ROOM);
  expect(scene.calls.at(-1)).toBe("removeHistory");
});
