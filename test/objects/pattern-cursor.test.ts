/** How far a gateway hears the channels that its patterns bring: nothing twice, nothing skipped in silence. */
import { afterEach, expect, test, vi } from "vitest";
import { HEARD_LATELY_MS } from "../../src/objects/gateway/heard-channels.ts";
import { changes, ROOM } from "./broker-scene.ts";
import { enter, go, hearing, opened, quiet } from "./pattern-sessions.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("a channel that a pattern brings is taken from where the channel says, and goes on from there", async () => {
  const scene = await hearing();
  expect(await scene.deliver(4, [5], changes(["+a", 9]))).toBe(false);
  await scene.deliver(4, [5, 6], changes(["+a", 9]));
  expect(scene.heard()).toEqual(["e1:5", "+a e1:9", "e1:6"]);
  expect([...(scene.broker.recentChannels() ?? [])]).toEqual([ROOM]);
  // A hole is read from the log.
  scene.log = [7, 8];
  await scene.deliver(7, [8]);
  expect(scene.heard()).toEqual(["e1:7", "e1:8"]);
  scene.epoch = "e2";
  scene.head = 1;
  await scene.deliver(0, [1]);
  expect(scene.heard()).toEqual(["gap epoch_changed e1:8 e2:0", "e2:1"]);
});

test("a subscribe to a channel that a pattern brings forgets nothing of what is on the way", async () => {
  const scene = await hearing();
  await scene.deliver(0, [1]);
  scene.wanted = true;
  Object.assign(scene, { head: 3, log: [1, 2, 3] });
  expect((await scene.broker.subscribe(ROOM)).position.offset).toBe(3);
  expect([...scene.broker.recentChannels()]).toEqual([]);
  // Whoever has the pattern is still owed the second and third.
  await scene.deliver(1, [2, 3]);
  expect(scene.heard()).toEqual(["e1:1", "e1:2", "e1:3"]);
  // Nor does the end of the subscription.
  scene.wanted = false;
  scene.broker.unsubscribe(ROOM);
  await quiet(scene);
  expect([...scene.broker.recentChannels()]).toEqual([ROOM]);
  scene.log = [4, 5];
  await scene.deliver(4, [5]);
  expect(scene.heard()).toEqual(["e1:4", "e1:5"]);
  expect(scene.broker.position(ROOM)).toEqual({ epoch: "e1", offset: 5 });
});

test("a first subscribe where a pattern has brought nothing yet takes what the next delivery says", async () => {
  const scene = await hearing();
  scene.wanted = true;
  Object.assign(scene, { head: 3, log: [1, 2, 3] });
  await scene.broker.subscribe(ROOM);
  // Sent before the channel knew of the subscribe.
  await scene.deliver(1, [2, 3]);
  expect(scene.heard()).toEqual(["e1:2", "e1:3"]);
});

test("what comes after a head that somebody was told of is missed by nobody, whatever comes next", async () => {
  const direct = await hearing();
  direct.wanted = true;
  Object.assign(direct, { head: 3, log: [1, 2, 3] });
  await direct.broker.subscribe(ROOM);
  direct.wanted = false;
  direct.broker.unsubscribe(ROOM);
  direct.log = [1, 2, 3, 4, 5, 6];
  // Four and five were taken by a life of the channel that ended before it delivered them.
  await direct.deliver(5, [6]);
  expect(direct.heard()).toEqual(["e1:4", "e1:5", "e1:6"]);
  // By a pattern alone whoever recovers reads to the head.
  const reader = await hearing();
  Object.assign(reader, { head: 3, log: [1, 2, 3] });
  await reader.broker.history(ROOM, { limit: 10 });
  reader.log = [1, 2, 3, 4, 5];
  await reader.deliver(4, [5]);
  expect(reader.heard()).toEqual(["e1:4", "e1:5"]);
  expect(reader.broker.position(ROOM)).toEqual({ epoch: "e1", offset: 5 });
});

test("a head that was asked for before somebody came is nothing to who came since", async () => {
  const scene = await hearing();
  Object.assign(scene, { head: 3, log: [1, 2, 3] });
  scene.before = async () => {
    scene.before = () => {};
    // While the answer of three is on its way four and five are taken, it leaves, and another one comes.
    go(scene, ROOM);
    scene.patterns.time = () => 9_000;
    await enter(scene, ROOM);
  };
  await scene.broker.history(ROOM, { limit: 10 });
  Object.assign(scene, { head: 6, log: [1, 2, 3, 4, 5, 6] });
  await scene.deliver(5, [6]);
  expect(scene.heard()).toEqual(["e1:6"]);
});

test("a log that takes the place of one whose head somebody was told of is told of too", async () => {
  const direct = await hearing();
  direct.wanted = true;
  Object.assign(direct, { head: 3, log: [1, 2, 3] });
  await direct.broker.subscribe(ROOM);
  Object.assign(direct, { epoch: "e2", head: 1, log: [1] });
  await direct.deliver(0, [1]);
  expect(direct.heard()).toEqual(["gap epoch_changed e1:3 e2:0", "e2:1"]);
  // Who hears it by a pattern alone has no registration, and asks the channel which log is there.
  const reader = await hearing();
  Object.assign(reader, { head: 3, log: [1, 2, 3] });
  await reader.broker.history(ROOM, { limit: 10 });
  await reader.deliver(0, [1], { epoch: "e0" });
  expect(reader.heard()).toEqual([]);
  Object.assign(reader, { epoch: "e2", head: 1, log: [1] });
  await reader.deliver(0, [1]);
  expect(reader.heard()).toEqual(["gap epoch_changed e1:3 e2:0", "e2:1"]);
});

test("what the last life of a channel took since a pattern is heard, and may not have delivered, is read", async () => {
  const now = Date.now();
  const clock = vi.spyOn(Date, "now").mockReturnValue(now);
  const lacking = async (times: Readonly<Record<number, number>>): Promise<string[]> => {
    clock.mockReturnValue(now);
    const scene = opened();
    scene.hears = true;
    scene.patterns.time = () => now;
    await enter(scene, ROOM);
    const offsets = Object.keys(times).map(Number);
    const last = Math.max(...offsets);
    Object.assign(scene, { log: [...offsets, last + 1], times });
    clock.mockReturnValue(now + 30_000);
    const undeliveredTime = BigInt(times[last] ?? 0);
    await scene.deliver(last, [last + 1], { undeliveredTime });
    return scene.heard();
  };
  const [before, after] = [now - 1_000, now + 10_000];
  expect(await lacking({ 1: before, 2: after, 3: after })).toEqual(["e1:2", "e1:3", "e1:4"]);
  expect(await lacking({ 1: after })).toEqual(["e1:1", "e1:2"]);
  // What came before anybody listened is nobody's.
  expect(await lacking({ 1: before, 2: before })).toEqual(["e1:3"]);
  // What cannot be had is told.
  expect(await lacking({ 7: after, 8: after })).toEqual([
    "gap head_trimmed e1:0 e1:6",
    ...["e1:7", "e1:8", "e1:9"],
  ]);
});

test("of what came before a life of the gateway nothing is read: it may have been delivered", async () => {
  const now = Date.now();
  const clock = vi.spyOn(Date, "now").mockReturnValue(now);
  const scene = await hearing();
  await scene.deliver(0, [1]);
  Object.assign(scene, { log: [1, 2, 3], times: { 1: now + 1_000, 2: now + 30_000 } });
  clock.mockReturnValue(now + 20_000);
  scene.restart();
  await scene.broker.sweep();
  await scene.deliver(2, [3], { undeliveredTime: BigInt(now + 30_000) });
  expect(scene.heard()).toEqual(["e1:1", "e1:2", "e1:3"]);
});

test("what is older than what is remembered was delivered before, and does not come again", async () => {
  const now = Date.now();
  const clock = vi.spyOn(Date, "now").mockReturnValue(now);
  const scene = await hearing();
  Object.assign(scene, {
    log: [1, 2, 3],
    times: { 1: now + 1_000, 2: now + 1_000, 3: now + 90_000 },
  });
  await scene.deliver(0, [1, 2]);
  clock.mockReturnValue(now + 2_000 + HEARD_LATELY_MS);
  await scene.broker.sweep();
  expect(scene.broker.position(ROOM)).toBeUndefined();
  await scene.deliver(2, [3], { undeliveredTime: BigInt(now + 1_000) });
  expect(scene.heard()).toEqual(["e1:1", "e1:2", "e1:3"]);
  expect(scene.calls).not.toContain("read");
});

test("a channel is told of the patterns that bring it, with what else is told", async () => {
  const scene = await hearing();
  await enter(scene, "*", true);
  await enter(scene, "other.*");
  scene.wanted = true;
  await scene.broker.subscribe(ROOM);
  const version = scene.patterns.rows.get("*")?.version;
  expect(scene.last.pattern).toMatchObject({
    gateway: "g1",
    version: BigInt(version ?? 0),
    presence: true,
  });
  go(scene, "*");
  await scene.broker.subscribe(ROOM);
  expect(scene.last.pattern).toMatchObject({ presence: false });
  go(scene, ROOM);
  await scene.broker.subscribe(ROOM);
  expect(scene.last.pattern).toBeUndefined();
});

test("what comes after the last pattern has gone is another story", async () => {
  const scene = await hearing();
  await scene.deliver(4, [5]);
  scene.hears = false;
  go(scene, ROOM);
  expect(scene.broker.position(ROOM)).toBeUndefined();
  expect(await scene.deliver(5, [6])).toBe(true);
  scene.hears = true;
  await enter(scene, ROOM);
  await scene.deliver(7, [8]);
  expect(scene.heard()).toEqual(["e1:5", "e1:8"]);
});

test("channels of patterns are forgotten when they were quiet for long enough, and not before", async () => {
  const scene = await hearing();
  let now = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => now);
  await scene.deliver(4, [5]);
  now += HEARD_LATELY_MS - 1;
  await scene.broker.sweep();
  await scene.deliver(4, [5]);
  expect(scene.broker.position(ROOM)?.offset).toBe(5);
  now += HEARD_LATELY_MS;
  await scene.broker.sweep();
  expect(scene.broker.position(ROOM)).toBeUndefined();
  expect([...scene.broker.recentChannels()]).toEqual([]);
  await scene.deliver(8, [9]);
  expect(scene.heard()).toEqual(["e1:5", "e1:9"]);
  // A delivery of another channel is enough.
  now += HEARD_LATELY_MS;
  await scene.deliver(0, [1], { channel: "other" });
  expect(scene.broker.position(ROOM)).toBeUndefined();
});

test("what a session remembers of a channel of its pattern keeps a repeated delivery from it", async () => {
  const scene = await hearing();
  await scene.deliver(4, [5]);
  const seen = scene.broker.snapshot(ROOM);
  scene.heard();
  scene.restart();
  const record = { $typeName: "messageloop.internal.v1.SeenRecord", generation: 0n } as const;
  scene.broker.restore({
    ...record,
    channel: ROOM,
    epoch: "e1",
    offset: BigInt(seen?.offset ?? 0),
  });
  await scene.broker.sweep();
  await scene.deliver(4, [5, 6]);
  expect(scene.heard()).toEqual(["e1:6"]);
  expect([...scene.broker.recentChannels()]).toEqual([ROOM]);
});
