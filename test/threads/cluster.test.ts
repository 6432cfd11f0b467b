/** Threads of one process: what one of them takes is heard on all, and what is lost with one of them is told. */
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import type { PublishResult } from "../../src/engine/ports/broker.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { eventBytes } from "../../src/protocol/plain-protobuf/event.ts";
import { eventually } from "../support/eventually.ts";
import { ThreadCluster } from "./cluster.ts";

test("what is published on one thread is heard on all, whichever has the channel", async () => {
  const cluster = new ThreadCluster({ threads: 3 });
  for (const owner of [0, 1, 2]) {
    const room = cluster.name(owner);
    const clients = await Promise.all(cluster.places.map((place) => place.client()));
    for (const client of clients) await client.subscribe(room);
    for (const [i, client] of clients.entries()) await client.publish(room, `m${i}`);
    for (const client of clients) {
      expect(await client.hears(3)).toEqual(["1 m0", "2 m1", "3 m2"]);
    }
  }
  expect(cluster.warnings).toEqual([]);
});

test("a pattern hears the channels of all threads, each message once", async () => {
  const cluster = new ThreadCluster();
  const [one, two] = [await cluster.at(0).client(), await cluster.at(1).client()];
  await one.subscribe("room.*");
  await one.subscribe(cluster.name(0));
  await two.publish(cluster.name(0), "of 0");
  await two.publish(cluster.name(1), "of 1");
  await two.publish(cluster.name(1), "more of 1");
  expect((await one.hears(3)).sort()).toEqual(["1 of 0", "1 of 1", "2 more of 1"]);
  expect(cluster.warnings).toEqual([]);
});

test("members of a channel are known across threads, and those of a thread that ends go", async () => {
  const cluster = new ThreadCluster({ rules: { presence: true, presenceGraceMs: 50 } });
  const room = cluster.name(0);
  const one = await cluster.at(0).client("ada");
  const two = await cluster.at(1).client("bob");
  await one.subscribe(room);
  await two.subscribe(room);
  expect(await one.hears(1)).toEqual(["join bob"]);
  cluster.kill(1);
  expect(await one.hears(1)).toEqual(["leave bob"]);
  const { members } = await cluster.at(0).engine.presenceOf(room);
  expect(members.map(({ clientId }) => clientId)).toEqual(["ada"]);
});

test("a channel whose thread has ended begins a new epoch, says so, and goes on", async () => {
  const cluster = new ThreadCluster();
  const room = cluster.name(1);
  const one = await cluster.at(0).client();
  await one.subscribe(room);
  await one.publish(room, "before");
  expect(await one.hears(1)).toEqual(["1 before"]);
  cluster.kill(1);
  const publishing = one.publish(room, "meanwhile");
  cluster.replace(1);
  await publishing;
  const two = await cluster.at(1).client();
  await two.publish(room, "after");
  expect(await one.hears(3)).toEqual(["gap epoch_changed", "1 meanwhile", "2 after"]);
});

test("a publish whose thread has ended is taken as soon as another one has its place", async () => {
  const cluster = new ThreadCluster();
  const room = cluster.name(1);
  const one = await cluster.at(0).client();
  await one.subscribe(room);
  cluster.kill(1);
  const publishing = one.publish(room, "meanwhile");
  // By then a call that is made again and again has long pauses.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const replaced = performance.now();
  cluster.replace(1);
  await publishing;
  expect(performance.now() - replaced).toBeLessThan(150);
  expect(await one.hears(2)).toEqual(["gap epoch_changed", "1 meanwhile"]);
});

test("a channel that is heard by a pattern alone says that its epoch is a new one, though nothing more is published", async () => {
  const cluster = new ThreadCluster();
  const room = cluster.name(1);
  const one = await cluster.at(0).client();
  await one.subscribe("room.*");
  await one.publish(room, "before");
  expect(await one.hears(1)).toEqual(["1 before"]);
  cluster.kill(1);
  cluster.replace(1);
  expect(await one.hears(1)).toEqual(["gap epoch_changed"]);
});

test("a pattern that is registered when its index has ended hears channels that had a lease of it", async () => {
  // Of a word whose index is on the one thread and a channel on the other.
  const cluster = new ThreadCluster();
  for (let attempt = 0; attempt < 6; attempt++) {
    const word = `word${attempt}`;
    const rooms = [cluster.name(0, word), cluster.name(1, word)];
    const writer = await cluster.at(0).client();
    await writer.publish(rooms[0] as string, "before");
    cluster.kill(1);
    cluster.replace(1);
    const reader = await cluster.at(1).client();
    await reader.subscribe(`${word}.*`);
    for (const room of rooms) await writer.publish(room, "after");
    const heard = await reader.hears(2);
    expect(heard.map((line) => line.split(" ")[1])).toEqual(["after", "after"]);
  }
});

test("a client whose thread has ended recovers on another one", async () => {
  const cluster = new ThreadCluster();
  const room = cluster.name(0);
  const lost = await cluster.at(1).client();
  await lost.subscribe(room);
  const writer = await cluster.at(0).client();
  await writer.publish(room, "one");
  expect(await lost.hears(1)).toEqual(["1 one"]);
  const { position } = await cluster.at(0).engine.history(room, { limit: 0 });
  cluster.kill(1);
  await writer.publish(room, "two");
  const back = await cluster.at(0).client();
  const since = { epoch: position.epoch, offset: BigInt(position.offset) };
  await back.subscribe(room, { recover: true, since });
  expect(await back.hears(2)).toEqual(["replay 2 two", "recovered"]);
});

test("a pattern cannot be recovered over the end of a thread without a gap", async () => {
  const cluster = new ThreadCluster();
  const word = "chat";
  const reader = await cluster.at(0).client();
  const result = await cluster.at(0).node.broker.subscribePattern(`${word}.*`);
  await reader.subscribe(`${word}.*`);
  await new Promise((resolve) => setTimeout(resolve, 5));
  cluster.kill(1);
  cluster.replace(1);
  const active = await cluster.at(0).node.broker.activeChannels("chat.*", result.position, 10);
  expect(active.gap).toBe("unavailable");
});

test("users are found across threads, and those of a thread that ends are not", async () => {
  const cluster = new ThreadCluster({ keepsDirectory: true });
  const one = await cluster.at(0).client("", "ada");
  const two = await cluster.at(1).client("", "ada");
  const { directory } = cluster.at(0).engine.broker;
  const ids = async () =>
    (await directory?.sessions("ada"))?.map(({ sessionId }) => sessionId).sort();
  expect(await ids()).toEqual([one.session.id, two.session.id].sort());
  cluster.kill(1);
  cluster.replace(1);
  await eventually(ids, (found) => found?.length === 1);
  expect(await ids()).toEqual([one.session.id]);
});

test("channels of all threads are listed in one page", async () => {
  const cluster = new ThreadCluster({ keepsDirectory: true });
  const one = await cluster.at(0).client("", "ada");
  const rooms = [cluster.name(0), cluster.name(1)].sort();
  for (const room of rooms) await one.subscribe(room);
  const { directory } = cluster.at(1).engine.broker;
  const query = { pattern: "room.*", after: "", limit: 10 };
  const listed = async () =>
    (await directory?.channels(query))?.channels.map(({ channel }) => channel);
  await eventually(listed, (names) => names?.length === 2);
  expect(await listed()).toEqual(rooms);
});

test("one channel more than there may be is refused with its code", async () => {
  const cluster = new ThreadCluster({ maxChannels: 2 });
  const one = await cluster.at(0).client();
  for (const name of ["a", "b", "c"]) await one.publish(cluster.name(1, name), "x");
  const told = one.told();
  expect(told.slice(0, 2)).toEqual(["ack 1", "ack 1"]);
  expect(told[2]).toBe("error RATE_LIMITED");
});

test("of more than may be kept the oldest goes, and a request for it gets a gap", async () => {
  const cluster = new ThreadCluster({ maxRetainedBytes: 20_000 });
  const one = await cluster.at(0).client();
  const rooms = [cluster.name(1, "a"), cluster.name(1, "b")] as const;
  for (const room of rooms) {
    for (let i = 0; i < 10; i++) await one.publish(room, "x".repeat(1_000));
  }
  const { channels } = cluster.at(1).node.objects;
  expect(channels.retainedBytes).toBeLessThanOrEqual(20_000);
  const first = await cluster.at(0).engine.history(rooms[0], { limit: 100 });
  const second = await cluster.at(0).engine.history(rooms[1], { limit: 100 });
  expect(first.entries.length).toBeLessThan(10);
  expect(second.entries).toHaveLength(10);
});

test("a channel that nobody wants is forgotten with its position", async () => {
  const rules = { historyTtlMs: 20, positionTtlMs: 50, dedupWindowMs: 20 };
  const cluster = new ThreadCluster({ rules });
  const one = await cluster.at(0).client();
  await one.publish(cluster.name(1), "x");
  const { channels } = cluster.at(1).node.objects;
  expect(channels.size).toBe(1);
  await eventually(
    async () => channels.size,
    (size) => size === 0,
  );
  expect(channels.retainedBytes).toBe(0);
});

test("a publish to a channel of its own thread is no call, and one to another thread's is", async () => {
  const cluster = new ThreadCluster();
  const [near, far] = [cluster.name(0, "near"), cluster.name(1, "far")];
  const client = await cluster.at(0).client();
  await client.subscribe(near);
  await client.subscribe(far);
  // A channel's first message has it ask its pattern index.
  for (const channel of [near, far]) await client.publish(channel, "first");
  await client.hears(2);
  const calls = cluster.places.map(({ node }) => vi.spyOn(node.objects, "serve"));
  for (const channel of [near, far]) await client.publish(channel, "second");
  expect(await client.hears(2)).toEqual(["2 second", "2 second"]);
  const published = calls.map(({ mock }) =>
    mock.calls.filter(([, method]) => method === "publish").map(([, , name]) => name),
  );
  expect(published).toEqual([[], [far]]);
});

test("publishes of one thread keep their order, whether the channel is ready or not", async () => {
  const cluster = new ThreadCluster();
  const room = cluster.name(0);
  const clients = await Promise.all(cluster.places.map((place) => place.client()));
  const broker = cluster.at(0).node.broker;
  for (const client of clients) await client.subscribe(room);
  const published: Promise<PublishResult>[] = [];
  const publish = (): void => {
    const { length } = published;
    const event = create(CloudEventSchema, { id: `${length}`, source: "/s", type: "t" });
    const data = { case: "textData", value: `m${length}` } as const;
    const body = create(EntryBodySchema, { event: eventBytes({ ...event, data }) });
    published.push(broker.publish(room, { key: `${length}`, body }));
  };
  // The first of them wait for the index, and others come in the same turn, in later ones, and when it has answered.
  for (let turn = 0; turn < 20; turn++) {
    for (let i = 0; i < 3; i++) publish();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const results = await Promise.all(published);
  expect(results.map(({ position }) => position.offset)).toEqual(results.map((_, i) => i + 1));
  const expected = results.map((_, i) => `${i + 1} m${i}`);
  for (const client of clients) expect(await client.hears(expected.length)).toEqual(expected);
  expect(cluster.warnings).toEqual([]);
});
