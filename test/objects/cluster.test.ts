/** Gateways, channels and pattern indexes against each other in plain Node, over stores in memory. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test, vi } from "vitest";
import { delay } from "../../src/engine/ports/timers.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { seed, seededRandom, steps } from "../support/random.ts";
import { Cluster } from "./cluster.ts";
import type { Client } from "./gateway.ts";

const ROOM = "room";
/** A delivery that is owed is made by the alarm at the latest then, in milliseconds. */
const OWED_MS = 12_000;

afterEach(() => {
  vi.restoreAllMocks();
});

function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`);
}

/** What a subscriber hears of texts that lie at their own offsets. */
function live(from: number, to: number, epoch = "e1", channel = ROOM): string[] {
  return texts(from, to).map((text, i) => `${channel} ${epoch}/${from + i} ${text}`);
}

test("what is published on one gateway is heard there with the answer, and on others in one call each", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  const two = await cluster.gateway("b").client();
  await one.subscribe(ROOM);
  await two.subscribe(ROOM);
  expect(one.told()).toEqual(["ack room e1/0"]);
  cluster.calls.length = 0;
  await one.publish(ROOM, ...texts(1, 20));
  await cluster.time.pass(100);
  expect(one.heard()).toEqual(live(1, 20));
  expect(two.told()).toEqual(["ack room e1/0", ...live(1, 20)]);
  const calls = cluster.calls.filter((call) => /publish|deliver/.test(call));
  expect(calls).toEqual(["room publish", "b deliver"]);
  expect(cluster.warnings).toEqual([]);
});

test("a flood leaves in batches of at most 512, one call at a time, and nothing is alarmed when all is quiet", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  const two = await cluster.gateway("b").client();
  await two.subscribe(ROOM);
  two.told();
  cluster.calls.length = 0;
  await one.publish(ROOM, ...texts(1, 1_300));
  await cluster.time.pass(100);
  expect(two.heard()).toEqual(live(1, 1_300));
  const publishes = cluster.calls.filter((call) => call === "room publish").length;
  expect(publishes).toBeGreaterThanOrEqual(3);
  expect(publishes).toBeLessThan(20);
  expect(cluster.most).toBe(1);
  expect(cluster.disk(ROOM).rows.get("b")?.confirmed).toBeUndefined();
});

test("a publish whose answer is lost is repeated, and is in the log once", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  await one.subscribe(ROOM);
  one.told();
  let lost = 2;
  cluster.fate = (_, method) => {
    if (method !== "publish" || lost === 0) return "carried";
    lost -= 1;
    return "unanswered";
  };
  cluster.calls.length = 0;
  await one.publish(ROOM, "m1");
  await one.publish(ROOM, "m2");
  await cluster.time.pass(100);
  // What the lost answer brought comes with the next one.
  const calls = cluster.calls.filter((call) => !call.endsWith("lease"));
  expect(calls).toEqual(Array.from({ length: 4 }, () => "room publish"));
  expect(one.told().sort()).toEqual(["ack 1", "ack 2", ...live(1, 2)]);
});

test("a gateway that gives up a publish hears what the lost answers brought", async () => {
  for (const fails of ["publish alone", "all calls", "all, and the channel is reset"] as const) {
    const cluster = new Cluster();
    const one = await cluster.gateway("a").client();
    const two = await cluster.gateway("a").client();
    await two.subscribe(ROOM);
    await two.publish(ROOM, "m1");
    await cluster.time.pass(100);
    expect(two.heard()).toEqual(live(1, 1));
    cluster.fate = (object, method) =>
      object === ROOM && (method === "publish" || fails !== "publish alone")
        ? "unanswered"
        : "carried";
    await one.publish(ROOM, "m2");
    expect(one.told(), fails).toEqual(["error UNAVAILABLE"]);
    await cluster.time.pass(6_000);
    if (fails === "all, and the channel is reset") cluster.channel(ROOM).reset();
    cluster.fate = () => "carried";
    await cluster.time.until(cluster.gateway("a").broker.sweep());
    await cluster.time.pass(100);
    expect(two.heard(), fails).toEqual(live(2, 2));
  }
});

test("what an earlier life of a gateway has published comes to the sessions of the next one, and nothing twice", async () => {
  for (const isRepeated of [false, true]) {
    const cluster = new Cluster();
    const one = await cluster.gateway("a").client();
    await one.subscribe(ROOM);
    await one.publish(ROOM, "m1");
    await cluster.time.pass(100);
    const { object } = cluster.channel(ROOM);
    const publish = object.publish.bind(object);
    const late: Uint8Array[] = [];
    object.publish = (request) => {
      late.push(request);
      return isRepeated ? publish(request) : new Promise(() => {});
    };
    one.publish(ROOM, "m2").catch(() => {});
    await cluster.time.pass(10);
    object.publish = publish;
    cluster.gateway("a").reset();
    const two = await cluster.gateway("a").client();
    await two.subscribe(ROOM);
    two.told();
    cluster.calls.length = 0;
    await publish(late[0] ?? new Uint8Array());
    await cluster.time.pass(100);
    expect(two.heard()).toEqual(isRepeated ? [] : live(2, 2));
    expect(cluster.calls.filter((call) => call === "a deliver")).toEqual(
      isRepeated ? [] : ["a deliver"],
    );
  }
});

test("an answer that comes too late brings what it has", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  await one.subscribe(ROOM);
  await one.publish(ROOM, "m1");
  await cluster.time.pass(100);
  one.told();
  const channel = cluster.channel(ROOM).object;
  const publish = channel.publish.bind(channel);
  channel.publish = async (request) => {
    const answer = await publish(request);
    await delay(cluster.time, 5_500);
    return answer;
  };
  cluster.calls.length = 0;
  await one.publish(ROOM, "m2");
  expect(one.told()).toEqual(["error UNAVAILABLE"]);
  cluster.fate = () => "lost";
  await cluster.time.pass(1_000);
  expect(one.told()).toEqual(live(2, 2));
});

test("more than an answer can bring comes by calls, and is heard once and in order", async () => {
  const cluster = new Cluster();
  const near = await cluster.gateway("a").client();
  const far = await cluster.gateway("b").client("far");
  await near.subscribe(ROOM);
  await far.subscribe(ROOM);
  for (const one of [near, far]) one.told();
  // What lies there from another gateway, whose delivery hangs, and what comes with it.
  cluster.fate = (object) => (object === "a" ? "hanging" : "carried");
  await far.publish(ROOM, "m1");
  await cluster.time.pass(100);
  cluster.fate = () => "carried";
  await near.publish(ROOM, "m2");
  await cluster.time.pass(100);
  expect(near.heard()).toEqual(live(1, 2));
  await far.publish(ROOM, ...texts(3, 600));
  await near.publish(ROOM, "m601");
  await cluster.time.pass(OWED_MS);
  expect(near.heard()).toEqual(live(3, 601));
  expect(far.heard()).toEqual(live(1, 601));
  expect(cluster.warnings.filter((warning) => warning.includes("hole"))).toEqual([]);
});

test("a delivery that is lost is made again, one whose answer is lost is heard once", async () => {
  for (const fate of ["lost", "unanswered"] as const) {
    const cluster = new Cluster();
    const one = await cluster.gateway("a").client();
    const two = await cluster.gateway("b").client();
    await two.subscribe(ROOM);
    two.told();
    let failing = true;
    cluster.fate = (object) => (object === "b" && failing ? fate : "carried");
    await one.publish(ROOM, "m1");
    await cluster.time.pass(100);
    expect(two.heard()).toEqual(fate === "lost" ? [] : live(1, 1));
    await one.publish(ROOM, "m2", "m3");
    failing = false;
    await cluster.time.pass(OWED_MS);
    expect(two.heard()).toEqual(fate === "lost" ? live(1, 3) : live(2, 3));
    // Nothing is owed any more.
    expect(cluster.disk(ROOM).rows.get("b")?.confirmed).toBeUndefined();
  }
});

test("what is owed when a channel is reset comes by its alarm, out of the log", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  const two = await cluster.gateway("b").client();
  await two.subscribe(ROOM);
  await one.publish(ROOM, "m1");
  await cluster.time.pass(100);
  two.told();
  cluster.fate = (object) => (object === "b" ? "hanging" : "carried");
  await one.publish(ROOM, "m2");
  await one.publish(ROOM, "m3");
  // Acknowledged, and in no gateway: only the log and the gateway's row have it.
  expect(cluster.disk(ROOM).rows.get("b")).toMatchObject({ confirmed: 1 });
  cluster.channel(ROOM).reset();
  cluster.fate = () => "carried";
  await cluster.time.pass(1_000);
  expect(two.heard()).toEqual([]);
  await cluster.time.pass(OWED_MS);
  expect(two.heard()).toEqual(live(2, 3));
  expect(cluster.disk(ROOM).rows.get("b")).toMatchObject({ confirmed: undefined });
});

test("a gateway that knows less than its channel thinks reads the hole back", async () => {
  const cluster = new Cluster();
  const gateway = cluster.gateway("b");
  const one = await cluster.gateway("a").client();
  const two = await gateway.client();
  await two.subscribe(ROOM);
  await one.publish(ROOM, "m1");
  await cluster.time.pass(100);
  two.told();
  // It takes deliveries and loses them, as a gateway that is reset after its answer does.
  const deliver = gateway.broker.deliver;
  gateway.broker.deliver = () => new Uint8Array();
  await one.publish(ROOM, "m2");
  await one.publish(ROOM, "m3");
  await cluster.time.pass(100);
  gateway.broker.deliver = deliver;
  cluster.calls.length = 0;
  await one.publish(ROOM, "m4");
  await cluster.time.pass(100);
  expect(two.heard()).toEqual(live(2, 4));
  expect(cluster.calls.filter((call) => call === "room read")).toHaveLength(1);
});

test("a gateway that lost its sockets is registered no more after its sweep, and its members leave", async () => {
  const cluster = new Cluster();
  const gateway = cluster.gateway("b");
  const one = await cluster.gateway("a").client("ann");
  await one.subscribe(ROOM);
  const two = await gateway.client("bob");
  await two.subscribe(ROOM);
  await cluster.time.pass(100);
  expect(one.heard()).toContain("join bob");
  gateway.reset();
  expect([...cluster.disk(ROOM).rows.keys()]).toEqual(["a", "b"]);
  await cluster.time.until(gateway.broker.sweep());
  expect([...cluster.disk(ROOM).rows.keys()]).toEqual(["a"]);
  expect(gateway.channelRegistrations.size).toBe(0);
  await cluster.time.pass(OWED_MS);
  expect(one.heard()).toEqual(["leave bob"]);
  cluster.calls.length = 0;
  await one.publish(ROOM, "m1");
  await cluster.time.pass(100);
  // Its own gateway has it with the answer.
  expect(cluster.calls.filter((call) => call.endsWith("deliver"))).toEqual([]);
});

test("a gateway that is gone says so to a delivery, whatever its channel believes", async () => {
  const cluster = new Cluster();
  const gateway = cluster.gateway("b");
  const one = await cluster.gateway("a").client();
  const two = await gateway.client();
  await two.subscribe(ROOM);
  gateway.reset();
  await one.publish(ROOM, "m1");
  await cluster.time.pass(100);
  expect(cluster.disk(ROOM).rows.size).toBe(0);
});

test("who hears by a pattern hears a channel's first message, and a lease costs one question", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  const two = await cluster.gateway("b").client();
  await two.subscribe("chat.*");
  two.told();
  await one.publish("chat.new", "m1");
  await one.publish("chat.new", "m2");
  await cluster.time.pass(100);
  expect(two.heard()).toEqual(live(1, 2, "e1", "chat.new"));
  expect(cluster.calls.filter((call) => call.endsWith("lease"))).toHaveLength(1);
  // A channel that holds a lease is told of a pattern that comes now.
  const three = await cluster.gateway("c").client();
  await three.subscribe("chat.**");
  expect(cluster.calls).toContain("chat.new hear");
  three.told();
  await one.publish("chat.new", "m3");
  await cluster.time.pass(100);
  expect(three.heard()).toEqual(live(3, 3, "e1", "chat.new"));
  expect(two.heard()).toEqual(live(3, 3, "e1", "chat.new"));
});

test("a pattern that nobody wants any more costs no delivery", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  const two = await cluster.gateway("b").client();
  await two.subscribe("chat.*");
  await one.publish("chat.new", "m1");
  await two.unsubscribe("chat.*");
  await cluster.time.pass(100);
  expect(cluster.gateway("b").patternRegistrations.size).toBe(0);
  cluster.calls.length = 0;
  // The first one is answered with gone; after that the channel knows.
  await one.publish("chat.new", "m2");
  await one.publish("chat.new", "m3");
  await cluster.time.pass(100);
  await one.publish("chat.new", "m4");
  await cluster.time.pass(100);
  expect(cluster.calls.filter((call) => call === "b deliver").length).toBeLessThanOrEqual(1);
});

test("without an index a channel takes nothing, and the publisher is told", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  cluster.fate = (_, method) => (method === "lease" ? "lost" : "carried");
  await one.publish(ROOM, "m1");
  expect(one.told()).toEqual(["error UNAVAILABLE"]);
  cluster.fate = () => "carried";
  await one.publish(ROOM, "m2");
  expect(one.told()).toEqual(["ack 1"]);
});

test("a channel that was quiet for its time forgets itself, and its next log is another one", async () => {
  const cluster = new Cluster({ positionTtlMs: 60_000 });
  const one = await cluster.gateway("a").client();
  await one.subscribe(ROOM);
  await one.publish(ROOM, "m1");
  await one.unsubscribe(ROOM);
  one.told();
  await cluster.time.pass(59_000);
  expect(cluster.channel(ROOM).alarmAt).not.toBeNull();
  await cluster.time.pass(120_000);
  expect(cluster.channel(ROOM).alarmAt).toBeNull();
  await one.subscribe(ROOM, { since: { epoch: "e1", offset: 1n } });
  expect(one.told()).toEqual(["ack room e2/0", "recovered epoch_changed"]);
});

test("who comes back recovers what was published meanwhile, through any gateway", async () => {
  const cluster = new Cluster();
  const one = await cluster.gateway("a").client();
  const two = await cluster.gateway("b").client();
  await two.subscribe(ROOM);
  await one.publish(ROOM, "m1");
  cluster.gateway("b").reset();
  await one.publish(ROOM, "m2", "m3");
  const again = await cluster.gateway("c").client();
  await again.subscribe(ROOM, { since: { epoch: "e1", offset: 1n } });
  await one.publish(ROOM, "m4");
  await cluster.time.pass(100);
  expect(again.told()).toEqual([
    "ack room e1/3",
    "replay room e1/2 m2",
    "replay room e1/3 m3",
    "recovered",
    ...live(4, 4),
  ]);
});

test.each([
  ["by a pattern", "*"],
  ["by its name", ROOM],
])(
  "who hears a channel %s gets what it had not delivered when it was reset, with the next message",
  async (_, name) => {
    const cluster = new Cluster();
    const publisher = await cluster.gateway("p").client();
    const listener = await cluster.gateway("c").client();
    await listener.subscribe(name);
    listener.told();
    cluster.fate = (object) => (object === "c" ? "hanging" : "carried");
    await publisher.publish(ROOM, "m1");
    cluster.channel(ROOM).reset();
    cluster.fate = () => "carried";
    await publisher.publish(ROOM, "m2");
    await cluster.time.pass(100);
    expect(listener.heard()).toEqual(live(1, 2));
  },
);

test("whatever calls are lost and objects reset, each subscriber hears what was acknowledged, once and in order", async () => {
  const runs = steps(20);
  let answered = 0;
  for (let run = 0; run < runs; run++) {
    const random = seededRandom(Math.imul(seed(), 0x9e3779b1) ^ run);
    // Pauses before another try are of chance as well.
    vi.spyOn(Math, "random").mockImplementation(random.next);
    const cluster = new Cluster();
    const gateways = ["a", "b", "c"];
    const publisher = await cluster.gateway("p").client();
    const clients: Client[] = [];
    for (const name of gateways) {
      const client = await cluster.gateway(name).client();
      // One of them hears it by a pattern.
      await client.subscribe(name === "c" ? "*" : ROOM);
      clients.push(client);
    }
    for (const client of clients) client.told();
    cluster.fate = () => {
      if (random.chance(0.8)) return "carried";
      return random.pick(["lost", "unanswered", "unanswered", "hanging"] as const);
    };
    for (let step = 0; step < 30; step++) {
      const published = publisher.publishing(ROOM, `s${step}`);
      published.catch(() => {});
      await cluster.time.pass(random.pick([0, 1, 5, 700]));
      if (random.chance(0.2)) cluster.channel(ROOM).reset();
    }
    cluster.fate = () => "carried";
    // Deliveries that hang end with their deadline, and the alarm makes up for what is left.
    await cluster.time.pass(120_000);
    // What was on its way when the channel was reset comes with the next message.
    await publisher.publish(ROOM, "last");
    await cluster.time.pass(1_000);
    const acknowledged = publisher.told().filter((line) => line.startsWith("ack"));
    answered += acknowledged.length;
    const log = clients.map((client) => client.heard());
    for (const heard of log) {
      const offsets = heard.map((line) => Number(/\/(\d+)/.exec(line)?.[1]));
      expect(offsets, `run ${run}`).toEqual(heard.map((_, i) => i + 1));
      const numbers = acknowledged.map((line) => Number(line.slice("ack ".length)));
      expect(offsets, `run ${run}`).toEqual(expect.arrayContaining(numbers));
      expect(heard, `run ${run}`).toEqual(log[0]);
    }
  }
  // In a single run a question that hangs may take the time of nearly all.
  expect(answered).toBeGreaterThan(10 * runs);
});

test("a message outside of the log reaches who listens now, once, by whatever way", async () => {
  const cluster = new Cluster();
  const { engine } = cluster.gateway("a");
  const near = await cluster.gateway("a").client();
  const far = await cluster.gateway("b").client();
  const byPattern = await cluster.gateway("c").client();
  await near.subscribe(ROOM);
  await far.subscribe(ROOM);
  await far.subscribe("*");
  await byPattern.subscribe("**");
  for (const one of [near, far, byPattern]) one.told();
  const event = create(CloudEventSchema, { data: { case: "textData", value: "now" } });
  let lost = 1;
  cluster.fate = (_, method) => {
    if (method !== "publish" || lost === 0) return "carried";
    lost -= 1;
    return "unanswered";
  };
  await cluster.time.until(engine.transmit(ROOM, event));
  await cluster.time.pass(100);
  for (const one of [near, far, byPattern]) expect(one.heard()).toEqual([`${ROOM} /0 now`]);
  await near.publish(ROOM, "m1");
  await cluster.time.pass(100);
  for (const one of [near, far, byPattern]) expect(one.heard()).toEqual(live(1, 1));
  // What did not arrive is lost, and owed to nobody.
  cluster.fate = (object) => (object === "b" ? "lost" : "carried");
  await cluster.time.until(engine.transmit(ROOM, event));
  cluster.fate = () => "carried";
  await cluster.time.pass(OWED_MS);
  expect(near.heard()).toEqual([`${ROOM} /0 now`]);
  expect(far.heard()).toEqual([]);
  const { entries } = await cluster.time.until(engine.history(ROOM, { limit: -1 }));
  expect(entries).toHaveLength(1);
});
