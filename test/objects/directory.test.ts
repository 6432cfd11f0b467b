/** Users' objects and the counters of regions, told by gateways and channels, in plain Node. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { compareNames } from "../../src/channels/name-order.ts";
import type { ChannelPage, Directory } from "../../src/engine/ports/directory.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { send } from "../engine/scene.ts";
import { seed, seededRandom, steps } from "../support/random.ts";
import { Cluster, REGIONS } from "./cluster.ts";
import type { Client } from "./gateway.ts";

const EVENT = { id: "e", source: "/server", type: "t", specVersion: "1.0" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
/** How long a call may take before its failure is final, in milliseconds. */
const PATIENCE_MS = 6_000;

function keeping(rules = {}): Cluster {
  return new Cluster(rules, true);
}

function directoryOf(cluster: Cluster, gateway = "a"): Directory {
  const { directory } = cluster.gateway(gateway).engine.broker;
  if (directory === undefined) throw new Error("there is no directory");
  return directory;
}

/** Ids of a user's sessions, as a gateway finds them. */
async function found(cluster: Cluster, user: string, gateway = "a"): Promise<string[]> {
  const sessions = await cluster.time.until(directoryOf(cluster, gateway).sessions(user));
  return sessions.map(({ sessionId }) => sessionId).sort();
}

async function page(
  cluster: Cluster,
  { pattern = "**", after = "", limit = 100 } = {},
): Promise<ChannelPage> {
  return await cluster.time.until(directoryOf(cluster).channels({ pattern, after, limit }));
}

async function names(cluster: Cluster, pattern = "**"): Promise<string[]> {
  return (await page(cluster, { pattern })).channels.map(({ channel }) => channel);
}

function callsOf(cluster: Cluster, method: RegExp): string[] {
  return cluster.calls.filter((call) => method.test(call));
}

test("a user with three devices on three gateways is found on all of them, from anywhere", async () => {
  const cluster = keeping();
  for (const gateway of ["a", "b", "z"]) await cluster.gateway(gateway).client("", "ann");
  await cluster.gateway("b").client("", "bob");
  for (const gateway of ["a", "b", "z", "elsewhere"]) {
    expect(await found(cluster, "ann", gateway)).toEqual(["a.1", "b.1", "z.1"]);
    expect(await found(cluster, "bob", gateway)).toEqual(["b.2"]);
    expect(await found(cluster, "nobody", gateway)).toEqual([]);
  }
  expect(cluster.warnings).toEqual([]);
});

test("who is connected can be found at once, and who has gone leaves nothing behind", async () => {
  const cluster = keeping();
  const client = await cluster.gateway("a").client("", "ann");
  expect(await found(cluster, "ann", "b")).toEqual([client.session.id]);
  expect(cluster.gateway("a").userRegistrations.size).toBe(1);
  client.session.end(true);
  await cluster.time.pass(100);
  expect(await found(cluster, "ann", "b")).toEqual([]);
  expect(cluster.userDisk("ann").rows.size).toBe(0);
  expect(cluster.gateway("a").userRegistrations.size).toBe(0);
});

test("what changes in one turn travels in one call for each user", async () => {
  const cluster = keeping();
  const { time } = cluster;
  const gateway = cluster.gateway("a");
  const connect = (user: string): Promise<void> =>
    gateway.stranger().send({ envelope: { case: "connect", value: { token: user } } });
  await time.until(Promise.all(["ann", "ann", "ann", "bob"].map(connect)));
  expect(callsOf(cluster, /update/)).toEqual(["ann update", "bob update"]);
  cluster.calls.length = 0;
  for (const session of gateway.engine.sessions()) session.end(true);
  await time.pass(100);
  expect(callsOf(cluster, /update/)).toEqual(["ann update", "bob update"]);
  expect(await found(cluster, "ann")).toEqual([]);
});

test("who goes while it is being told of is not found", async () => {
  const cluster = keeping();
  const client = cluster.gateway("a").stranger();
  const connecting = client.send({ envelope: { case: "connect", value: { token: "ann" } } });
  await cluster.time.pass(0);
  client.session.end(true);
  await connecting;
  await cluster.time.pass(100);
  expect(await found(cluster, "ann")).toEqual([]);
  expect(cluster.gateway("a").userRegistrations.size).toBe(0);
});

test("a call whose answer is lost is repeated, and a late one brings nobody back", async () => {
  const cluster = keeping();
  let fails = 2;
  cluster.fate = (_, method) => {
    if (method !== "update" || fails === 0) return "carried";
    fails -= 1;
    return "unanswered";
  };
  const client = await cluster.gateway("a").client("", "ann");
  expect(await found(cluster, "ann")).toEqual([client.session.id]);
  expect(callsOf(cluster, /update/)).toHaveLength(3);
});

test("a client connects although the directory does not answer, and is found when it does again", async () => {
  const cluster = keeping();
  cluster.fate = (_, method) => (method === "update" ? "hanging" : "carried");
  const client = await cluster.gateway("a").client("", "ann");
  expect(client.session.connected).toBe(true);
  expect(cluster.warnings).toContainEqual(expect.stringContaining("cannot be found by its user"));
  cluster.fate = () => "carried";
  await cluster.time.until(cluster.gateway("a").broker.sweep());
  expect(await found(cluster, "ann")).toEqual([client.session.id]);
});

test("a gateway that was reset takes back what its sessions had, when it starts or when the user comes back", async () => {
  const cluster = keeping();
  const gateway = cluster.gateway("a");
  for (const user of ["ann", "ann", "bob"]) await gateway.client("", user);
  gateway.reset();
  await cluster.time.pass(1);
  const back = await gateway.client("", "ann");
  expect(await found(cluster, "ann")).toEqual([back.session.id]);
  expect(await found(cluster, "bob")).toEqual(["a.3"]);
  await cluster.time.until(gateway.broker.sweep());
  expect(await found(cluster, "bob")).toEqual([]);
  expect(await found(cluster, "ann")).toEqual([back.session.id]);
  expect([...gateway.userRegistrations.all()].map(([user]) => user)).toEqual(["ann"]);
});

test("sessions that slept with their gateway are not told of again", async () => {
  const cluster = keeping();
  const gateway = cluster.gateway("a");
  const client = await gateway.client("", "ann");
  const record = client.session.record();
  gateway.reset();
  gateway.engine.restore(client.transport, record);
  cluster.calls.length = 0;
  await cluster.time.until(gateway.broker.sweep());
  expect(callsOf(cluster, /update/)).toEqual([]);
  expect(await found(cluster, "ann")).toEqual([client.session.id]);
  await gateway.client("", "ann");
  expect(await found(cluster, "ann")).toEqual(["a.1", "a.2"]);
  gateway.engine.session("a.1")?.end(true);
  await cluster.time.pass(100);
  expect(await found(cluster, "ann")).toEqual(["a.2"]);
});

test("sessions that their gateway does not know are forgotten by whoever finds that out", async () => {
  const cluster = keeping();
  const gateway = cluster.gateway("a");
  await gateway.client("", "ann");
  const kept = await gateway.client("", "ann");
  directoryOf(cluster, "b").forget("ann", ["a.1", "never"]);
  await cluster.time.pass(100);
  expect(await found(cluster, "ann")).toEqual([kept.session.id]);
});

test("a user with three devices on three gateways is reached on all of them, and nobody sleeps on with a session that is gone", async () => {
  const cluster = keeping();
  const { time } = cluster;
  const devices: Client[] = [];
  for (const gateway of ["a", "b", "z"]) {
    devices.push(await cluster.gateway(gateway).client("", "ann"));
  }
  const other = await cluster.gateway("b").client("", "bob");
  const { engine } = cluster.gateway("c");
  // Its gateway was reset, and has not told yet.
  cluster.gateway("z").reset();
  cluster.calls.length = 0;
  const ids = devices.map(({ session }) => session.id);
  const outcome = await time.until(engine.publishToUser("ann", create(CloudEventSchema, EVENT)));
  expect([...outcome.reached].sort()).toEqual(ids.slice(0, 2));
  expect(cluster.calls.toSorted()).toEqual(["a call", "ann sessions", "b call", "z call"]);
  await time.pass(100);
  expect(await found(cluster, "ann")).toEqual(ids.slice(0, 2));
  for (const client of devices.slice(0, 2)) expect(client.told()).toEqual([" /0 undefined"]);
  expect(await time.until(engine.disconnectUser("ann", 4001, "bye"))).toBe(2);
  expect(devices.slice(0, 2).map(({ session }) => session.ended)).toEqual([true, true]);
  expect(other.session.ended).toBe(false);
  await time.pass(100);
  expect(await time.until(engine.disconnectUser("ann", 4001, "bye"))).toBe(0);
  expect(await found(cluster, "ann")).toEqual([]);
});

test("who is still being connected is not forgotten by a publish that comes too early for it", async () => {
  const cluster = keeping();
  const { time } = cluster;
  cluster.fate = (object) => (object === "room" ? "hanging" : "carried");
  const client = cluster.gateway("a").stranger();
  const capabilities = ["recovery"];
  const value = { token: "ann", capabilities, subscriptions: [{ channel: "room" }] };
  const connecting = send(client.session, { envelope: { case: "connect", value } });
  await time.pass(100);
  const { engine } = cluster.gateway("b");
  const event = create(CloudEventSchema, EVENT);
  expect(client.session.connected).toBe(false);
  expect((await time.until(engine.publishToUser("ann", event))).reached).toEqual([]);
  await time.pass(10_000);
  await connecting;
  expect(client.session.connected).toBe(true);
  expect((await time.until(engine.publishToUser("ann", event))).reached).toEqual([
    client.session.id,
  ]);
});

test("where the directory is kept no more, nobody is told of and what was kept is taken back", async () => {
  const cluster = keeping();
  const gateway = cluster.gateway("a");
  await gateway.client("", "ann");
  cluster.keepsDirectory = false;
  gateway.reset();
  cluster.calls.length = 0;
  await cluster.time.until(gateway.broker.sweep());
  expect(cluster.calls).toEqual(["ann update"]);
  expect(cluster.userDisk("ann").rows.size).toBe(0);
  expect(gateway.userRegistrations.size).toBe(0);
  await gateway.client("", "ann");
  await cluster.time.until(gateway.broker.sweep());
  expect(cluster.calls).toEqual(["ann update"]);
});

test("without a directory a connect, a subscription and a publish make the calls that they made before", async () => {
  const cluster = new Cluster();
  const client = await cluster.gateway("a").client("ann");
  await client.subscribe("room");
  await client.publish("room", "m1");
  client.session.end(true);
  await cluster.time.pass(DAY_MS);
  const objects = new Set(cluster.calls);
  expect([...objects].filter((call) => /update|report|list|sessions/.test(call))).toEqual([]);
  expect(cluster.gateway("a").engine.broker.directory).toBeUndefined();
});

test("whatever fails, the directory knows in the end who is there", async () => {
  const random = seededRandom(seed());
  const cluster = keeping();
  const users = ["ann", "bob", "cay"];
  const gateways = ["a", "b", "z"];
  cluster.fate = (_, method) => {
    if (method !== "update" || random.chance(0.8)) return "carried";
    return random.pick(["lost", "unanswered", "hanging"]);
  };
  /** What nobody waits for: it may be of a life that ends in the middle. */
  const begun: Promise<void>[] = [];
  let clients: Client[] = [];
  for (let step = 0; step < steps(300); step++) {
    const name = random.pick(gateways);
    const choice = random.next();
    if (choice < 0.45) {
      const client = cluster.gateway(name).stranger();
      clients.push(client);
      const connect = { token: random.pick(users) };
      begun.push(client.session.receive(JSON.stringify({ id: "1", connect })));
    } else if (choice < 0.8) {
      clients.splice(random.int(clients.length), 1)[0]?.session.end(true);
    } else if (choice < 0.85) {
      cluster.gateway(name).reset();
      clients = clients.filter(({ session }) => !session.id.startsWith(`${name}.`));
    } else if (choice < 0.9) cluster.user(random.pick(users)).reset();
    else if (choice < 0.95) begun.push(cluster.gateway(name).broker.sweep());
    await cluster.time.pass(random.chance(0.2) ? PATIENCE_MS : random.int(50));
  }
  cluster.fate = () => "carried";
  await cluster.time.pass(PATIENCE_MS);
  for (const name of gateways) await cluster.time.until(cluster.gateway(name).broker.sweep());
  const there = clients.map(({ session }) => session).filter(({ connected }) => connected);
  expect(there.length).toBeGreaterThan(0);
  for (const user of users) {
    const ids = there.filter(({ userId }) => userId === user).map(({ id }) => id);
    expect(await found(cluster, user)).toEqual(ids.sort());
  }
});

test("channels that were published to or have subscribers are listed by name, from all regions, while all of them sleep", async () => {
  const cluster = keeping();
  const ann = await cluster.gateway("a").client("ann", "ann");
  const zoe = await cluster.gateway("z").client("zoe", "zoe");
  await ann.subscribe("b.room");
  await zoe.subscribe("b.room");
  await zoe.subscribe("a.room");
  await zoe.publish("c.log", "m1");
  await cluster.time.pass(10_000);
  for (const channel of ["a.room", "b.room", "c.log"]) cluster.channel(channel).reset();
  cluster.calls.length = 0;
  const { channels, next, asOf } = await page(cluster);
  expect(channels).toEqual([
    { channel: "a.room", members: 1 },
    { channel: "b.room", members: 2 },
    { channel: "c.log", members: 0 },
  ]);
  expect(next).toBeUndefined();
  expect(cluster.time.now() - asOf).toBeLessThanOrEqual(10_100);
  expect(cluster.calls).toEqual(REGIONS.map((region) => `${region} list`));
  expect(await names(cluster, "*.room")).toEqual(["a.room", "b.room"]);
  expect(await names(cluster, "c.**")).toEqual(["c.log"]);
  expect(await names(cluster, "b.room")).toEqual(["b.room"]);
  expect(await names(cluster, "b")).toEqual([]);
});

test("pages follow each other by the bytes of the names, and name every channel once", async () => {
  const cluster = keeping();
  const writers = [
    await cluster.gateway("a").client("", "ann"),
    await cluster.gateway("z").client("", "zoe"),
  ];
  const written = Array.from({ length: 25 }, (_, i) => `n${i}`).concat(
    "\u{1f600}",
    "\uff5e",
    "é",
    "n.",
    "n-",
  );
  const channels = written.map((name) => `${name}x`);
  for (const [i, channel] of channels.entries()) await writers[i % 2]?.publish(channel, "m1");
  await cluster.time.pass(1_000);
  for (const limit of [1, 7, 30, 100]) {
    const listed: string[] = [];
    let after: string | undefined = "";
    while (after !== undefined) {
      const { channels: some, next } = await page(cluster, { limit, after });
      expect(some.length).toBeLessThanOrEqual(limit);
      listed.push(...some.map(({ channel }) => channel));
      after = next;
    }
    const bytes = channels.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(listed).toEqual(bytes);
    expect(channels.toSorted(compareNames)).toEqual(bytes);
  }
});

test("a channel that is busy for an hour reports three times, and one that sleeps between its publishes no more", async () => {
  for (const sleeps of [false, true]) {
    const cluster = keeping();
    const client = await cluster.gateway("a").client("", "ann");
    cluster.calls.length = 0;
    for (let second = 0; second < 3_600; second += 20) {
      await client.publish("busy", `m${second}`);
      await cluster.time.pass(20_000);
      if (sleeps) cluster.channel("busy").reset();
    }
    expect(callsOf(cluster, /report/).length).toBeLessThanOrEqual(3);
    expect(await names(cluster)).toEqual(["busy"]);
  }
});

test("members that come and go are told once in ten seconds at most, and rightly in the end", async () => {
  const cluster = keeping();
  const gateway = cluster.gateway("a");
  await (await gateway.client("stays", "stays")).subscribe("room");
  await cluster.time.pass(10_000);
  cluster.calls.length = 0;
  const clients: Client[] = [];
  for (let i = 0; i < 20; i++) {
    const client = await gateway.client(`c${i}`, `u${i}`);
    clients.push(client);
    await client.subscribe("room");
    await cluster.time.pass(1_000);
  }
  expect(callsOf(cluster, /report/).length).toBeLessThanOrEqual(3);
  for (const client of clients.slice(5)) client.session.end(true);
  await cluster.time.pass(20_000);
  expect((await page(cluster)).channels).toEqual([{ channel: "room", members: 6 }]);
  expect(callsOf(cluster, /report/).length).toBeLessThanOrEqual(5);
});

test("a channel that nobody wants any more is listed for its position ttl, and hardly longer", async () => {
  const ttl = 60 * 60_000;
  const cluster = keeping({ positionTtlMs: ttl });
  const client = await cluster.gateway("a").client("", "ann");
  await client.subscribe("left");
  await client.publish("published", "m1");
  await cluster.time.pass(DAY_MS);
  expect(await names(cluster)).toEqual(["left"]);
  await client.unsubscribe("left");
  await cluster.time.pass(ttl - 1_000);
  expect(await names(cluster)).toEqual(["left"]);
  await cluster.time.pass(ttl / 32);
  expect(await names(cluster)).toEqual([]);
  await cluster.time.pass(DAY_MS);
  expect(cluster.statsDisk(REGIONS[0]).empty).toBe(true);
  expect(cluster.stats(REGIONS[0]).alarmAt).toBeNull();
});

test("a channel whose last report was lost with its life is listed no more when it is forgotten", async () => {
  const cluster = keeping({ positionTtlMs: 60 * 60_000 });
  const client = await cluster.gateway("a").client("", "ann");
  await client.subscribe("room");
  await cluster.time.pass(20_000);
  cluster.fate = (_, method) => (method === "report" ? "lost" : "carried");
  await client.unsubscribe("room");
  await cluster.time.pass(10_000);
  cluster.channel("room").reset();
  cluster.fate = () => "carried";
  expect(await names(cluster)).toEqual(["room"]);
  await cluster.time.pass(2 * 60 * 60_000);
  expect(await names(cluster)).toEqual([]);
});

test("counters that do not answer hold up no publish, and hear of the channel when they do again", async () => {
  const cluster = keeping();
  cluster.fate = (_, method) => (method === "report" ? "hanging" : "carried");
  const client = await cluster.gateway("a").client("", "ann");
  const before = cluster.time.now();
  await client.publish("room", "m1");
  expect(client.told()).toEqual(["ack 1"]);
  expect(cluster.time.now() - before).toBeLessThan(1_000);
  await cluster.time.pass(7_000);
  cluster.fate = () => "carried";
  await cluster.time.pass(60_000);
  expect(await names(cluster)).toEqual(["room"]);
});

test("however long counters were away, the next change is told within minutes", async () => {
  const cluster = keeping();
  const gateway = cluster.gateway("a");
  await (await gateway.client("stays", "stays")).subscribe("room");
  await cluster.time.pass(20_000);
  cluster.fate = (_, method) => (method === "report" ? "lost" : "carried");
  for (let minute = 0; minute < 120; minute++) {
    await (await gateway.client(`c${minute}`, "ann")).subscribe("room");
    await cluster.time.pass(60_000);
  }
  cluster.fate = () => "carried";
  await (await gateway.client("last", "ann")).subscribe("room");
  await cluster.time.pass(200_000);
  expect((await page(cluster)).channels).toEqual([{ channel: "room", members: 122 }]);
});

test("a question that finds little looks at so many names and goes on with the next page", async () => {
  const cluster = keeping();
  const disk = cluster.statsDisk(REGIONS[1]);
  for (let i = 0; i < 4_500; i++)
    disk.save({ channel: `n${10_000 + i}.a`, members: 0, until: undefined });
  disk.save({ channel: "z.b", members: 2, until: undefined });
  const listed: string[] = [];
  let pages = 0;
  let after: string | undefined = "";
  while (after !== undefined) {
    const { channels, next } = await page(cluster, { pattern: "*.b", after });
    listed.push(...channels.map(({ channel }) => channel));
    pages += 1;
    after = next;
  }
  expect(listed).toEqual(["z.b"]);
  expect(pages).toBe(3);
});
