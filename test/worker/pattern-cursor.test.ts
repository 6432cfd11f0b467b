/** How far a gateway hears the channels that its patterns bring: nothing twice, nothing skipped in silence. */
import { afterEach, expect, test, vi } from "vitest";
import { HEARD_LATELY_MS } from "../../src/objects/gateway/heard-channels.ts";
import { changes, ROOM } from "./broker-scene.ts";
import { enter, go, hearing, quiet } from "./pattern-sessions.ts";

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
