/**
 * Patterns over the true objects: what is published after the acknowledgement of a pattern arrives once and
 * in order, on whichever gateway, whatever sleeps or is reset in between.
 */
import {
  abortAllDurableObjects,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { indexOf, LEASE_TERMS } from "../../src/objects/calls/lease-terms.ts";
import { ChannelDurableObject } from "../../src/worker/channel/object.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { PatternDurableObject } from "../../src/worker/pattern-index/object.ts";
import { valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { delay } from "../support/platform.ts";
import { seed, seededRandom } from "../support/random.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel, texts } from "./socket.ts";

const TERMS = { ...LEASE_TERMS };
const PATIENT = { timeout: 10_000 };

afterEach(() => {
  vi.restoreAllMocks();
  Object.assign(LEASE_TERMS, TERMS);
});

function freshGateway(): string {
  return `patterns-${crypto.randomUUID()}`;
}

function gatewayOf(name: string) {
  return exports.GatewayDurableObject.getByName(name);
}

function channelOf(name: string) {
  return exports.ChannelDurableObject.getByName(name);
}

function indexFor(channel: string) {
  return exports.PatternDurableObject.getByName(indexOf(channel));
}

/** A word that no other test begins a channel with. */
function freshWord(): string {
  return freshChannel("w").replaceAll(".", "-");
}

/** What of a channel's messages reached a client, in order. */
function heard(client: Client, channel: string): string[] {
  return texts(client.messages.filter((message) => message.channel === channel));
}

/** Counts the calls of a method while a test runs. */
function counted(prototype: object, method: string): () => number {
  const spy = vi.spyOn(prototype as Record<string, () => void>, method);
  return () => spy.mock.calls.length;
}

async function rowsOf(stub: DurableObjectStub, query: string): Promise<Record<string, unknown>[]> {
  return await runInDurableObject(stub, (_, { storage }) => [...storage.sql.exec(query)]);
}

test("messages of every channel of a pattern arrive on all gateways, once, beside exact subscriptions", async () => {
  const word = freshWord();
  const both = await Client.connect({
    gateway: freshGateway(),
    subscribe: [`${word}.*`, `${word}.1`, `${word}.**`],
  });
  const plain = await Client.connect({
    gateway: freshGateway(),
    subscribe: [`${word}.*`],
    extended: false,
  });
  const all = await Client.connect({ gateway: freshGateway(), subscribe: [`*.2`] });
  const publisher = await Client.connect({ gateway: freshGateway() });
  for (const text of ["a", "b", "c"]) {
    for (const channel of ["1", "2", "1.x"]) await publisher.publish(`${word}.${channel}`, text);
  }
  await both.received(9);
  await plain.received(6);
  await all.received(3);
  for (const channel of ["1", "2", "1.x"]) {
    expect(heard(both, `${word}.${channel}`)).toEqual(["a", "b", "c"]);
  }
  expect(heard(plain, `${word}.1`)).toEqual(["a", "b", "c"]);
  expect(heard(plain, `${word}.1.x`)).toEqual([]);
  expect(heard(all, `${word}.2`)).toEqual(["a", "b", "c"]);
  await both.unsubscribe(`${word}.*`, `${word}.**`);
  await publisher.publish(`${word}.1`, "d");
  await publisher.publish(`${word}.2`, "d");
  await plain.received(8);
  await both.received(10);
  expect(heard(both, `${word}.1`)).toEqual(["a", "b", "c", "d"]);
  expect(heard(both, `${word}.2`)).toEqual(["a", "b", "c"]);
});

const OBJECTS = {
  index: (channel: string) => indexFor(channel),
  channel: (channel: string) => channelOf(channel),
  gateway: (_: string, gateway: string) => gatewayOf(gateway),
};

for (const [victim, stubOf] of Object.entries(OBJECTS)) {
  // A gateway that is aborted loses its sockets: that is another test.
  const ways = victim === "gateway" ? [evictDurableObject] : [evictDurableObject, abort];
  for (const way of ways) {
    test(`${victim} ${way === abort ? "reset" : "evicted"} between any two steps`, async () => {
      const word = freshWord();
      const channel = `${word}.1`;
      const gateway = freshGateway();
      let steps = 0;
      const disturb = async (): Promise<void> => {
        steps += 1;
        // A gateway takes two seconds to fall asleep.
        if (victim === "gateway" && steps % 3 !== 0) return;
        await way(stubOf(channel, gateway) as DurableObjectStub).catch(() => {
          // It sleeps already.
        });
      };
      const publisher = await Client.connect({ gateway: freshGateway() });
      const expected: string[] = [];
      const step = async (text: string): Promise<void> => {
        expect(await publisher.publish(channel, text)).toBe(expected.push(text));
        await client.received(expected.length - 1);
        await disturb();
      };
      expected.push("before");
      await publisher.publish(channel, "before");
      await disturb();
      const client = await Client.connect({ gateway, subscribe: [`${word}.*`] });
      for (const text of ["1", "2", "3"]) await step(text);
      await client.subscribe(channel);
      for (const text of ["4", "5"]) await step(text);
      await client.unsubscribe(channel);
      for (const text of ["6", "7"]) await step(text);
      expect(heard(client, channel)).toEqual(expected.slice(1));
      const gaps = client.replies.filter(({ envelope }) => envelope.case === "gap");
      expect(gaps).toEqual([]);
    });
  }
}

test("a delivery that is repeated to a gateway that slept reaches nobody twice", async () => {
  const word = freshWord();
  const gateway = freshGateway();
  const requests: Uint8Array[] = [];
  const deliver = GatewayDurableObject.prototype.deliver;
  vi.spyOn(GatewayDurableObject.prototype, "deliver").mockImplementation(async function (
    this: GatewayDurableObject,
    request,
  ) {
    const { ctx } = this as unknown as { ctx: DurableObjectState };
    if (ctx.id.name === gateway) requests.push(request);
    return await deliver.call(this, request);
  });
  const client = await Client.connect({ gateway, subscribe: [`${word}.*`] });
  const publisher = await Client.connect({ gateway: freshGateway() });
  for (const text of ["one", "two"]) await publisher.publish(`${word}.1`, text);
  await client.received(2);
  await evictDurableObject(gatewayOf(gateway));
  for (const request of requests.splice(0)) await gatewayOf(gateway).deliver(request);
  await publisher.publish(`${word}.1`, "three");
  await client.received(3);
  expect(texts(client.messages)).toEqual(["one", "two", "three"]);
});

test("after a deploy that resets everything a pattern is heard again, and nothing is left over", async () => {
  const word = freshWord();
  const [gateway, other] = [freshGateway(), freshGateway()];
  const before = await Client.connect({ gateway, subscribe: [`${word}.*`, `${word}.x.*`] });
  const elsewhere = await Client.connect({ gateway: other, subscribe: [`${word}.**`] });
  let publisher = await Client.connect({ gateway: freshGateway() });
  await publisher.publish(`${word}.1`, "before");
  await Promise.all([before.received(1), elsewhere.received(1)]);
  await abortAllDurableObjects();
  const client = await Client.connect({ gateway, subscribe: [`${word}.*`] });
  publisher = await Client.connect({ gateway: freshGateway() });
  await publisher.publish(`${word}.1`, "after");
  await client.received(1);
  expect(texts(client.messages)).toEqual(["after"]);
  // A gateway that nobody comes back to takes back what it had by itself.
  expect(await runDurableObjectAlarm(gatewayOf(other))).toBe(true);
  const query = "SELECT pattern, gateway FROM patterns";
  await vi.waitFor(async () => {
    const rows = await rowsOf(indexFor(`${word}.1`), query);
    const ours = rows.filter(({ pattern }) => `${pattern}`.startsWith(word));
    expect(ours).toEqual([{ pattern: `${word}.*`, gateway }]);
  }, PATIENT);
  const left = await rowsOf(gatewayOf(other), "SELECT * FROM pattern_registrations");
  expect(left).toEqual([]);
});

test("what an index has of a gateway that knows nothing of it goes with the next lease", async () => {
  const leaseMs = 1_500;
  Object.assign(LEASE_TERMS, { leaseMs });
  const word = freshWord();
  const gateway = freshGateway();
  const client = await Client.connect({ gateway, subscribe: [`${word}.*`] });
  const publisher = await Client.connect({ gateway: freshGateway() });
  const delivers = counted(GatewayDurableObject.prototype, "deliver");
  await publisher.publish(`${word}.1`, "1");
  await client.received(1);
  // Its end is never told.
  vi.spyOn(PatternDurableObject.prototype, "unsubscribe").mockImplementation(() => {});
  await client.unsubscribe(`${word}.*`);
  await publisher.publish(`${word}.1`, "2");
  await eventually(() => delivers() === 2);
  await delay(leaseMs + 100);
  await publisher.publish(`${word}.1`, "3");
  await delay(100);
  expect(delivers()).toBe(2);
  const rows = await rowsOf(indexFor(`${word}.1`), "SELECT pattern FROM patterns");
  expect(rows.filter(({ pattern }) => `${pattern}`.startsWith(word))).toEqual([]);
});

test("a channel that nobody watches by a pattern costs one call to its index per lease", async () => {
  const channel = `${freshWord()}.1`;
  const subscriber = await Client.connect({ gateway: freshGateway(), subscribe: [channel] });
  const publisher = await Client.connect({ gateway: freshGateway() });
  const leases = counted(PatternDurableObject.prototype, "lease");
  const hears = counted(ChannelDurableObject.prototype, "hear");
  const delivers = counted(GatewayDurableObject.prototype, "deliver");
  const [before] = await rowsOf(channelOf(channel), "SELECT count(*) AS rows FROM log");
  // Its subscriber is a member: somebody may follow it by a pattern, so that one lease serves both.
  for (let i = 0; i < 50; i++) await publisher.publish(channel, `${i}`);
  await subscriber.received(50);
  expect([leases(), hears(), delivers()]).toEqual([1, 0, 50]);
  const [after] = await rowsOf(channelOf(channel), "SELECT count(*) AS rows FROM log");
  expect(Number(after?.["rows"]) - Number(before?.["rows"])).toBe(50);
  const quiet = `${freshWord()}.1`;
  for (let i = 0; i < 50; i++) await publisher.publish(quiet, `${i}`);
  expect([leases(), hears(), delivers()]).toEqual([2, 0, 50]);
});

test("a connect storm asks the index once for each channel that somebody comes to", async () => {
  const word = freshWord();
  const leases = counted(PatternDurableObject.prototype, "lease");
  const gateway = freshGateway();
  const channels = Array.from({ length: 5 }, (_, i) => `${word}.${i}`);
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      Client.connect({ clientId: `c${i}`, gateway, subscribe: [channels[i % 5] ?? ""] }),
    ),
  );
  // A join alone is in no hurry: the index is asked a second later.
  await vi.waitUntil(() => leases() >= 5, 10_000);
  expect(leases()).toBe(5);
});

test("without its index a channel takes nothing, and says so before its gateway gives up", async () => {
  const channel = `${freshWord()}.1`;
  const publisher = await Client.connect({ gateway: freshGateway() });
  vi.spyOn(PatternDurableObject.prototype, "lease").mockImplementation(() => {
    throw new Error("reset");
  });
  const began = Date.now();
  const value = { id: "e", source: "/s", type: "t" };
  const reply = await publisher.request({ channel, envelope: { case: "publish", value } });
  expect(valueAs(reply, "error").code).toBe("UNAVAILABLE");
  expect(Date.now() - began).toBeLessThan(4_500);
  vi.restoreAllMocks();
  expect(await publisher.publish(channel, "first")).toBe(1);
});

test("who follows presence by a pattern hears of joins and leaves in channels that were never published to", async () => {
  const word = freshWord();
  const watcher = await Client.connect({
    gateway: freshGateway(),
    subscribe: [`${word}.*`],
    capabilities: ["presence"],
  });
  const gateway = freshGateway();
  const phone = await Client.connect({ clientId: "phone", gateway, subscribe: [`${word}.1`] });
  const changes = () =>
    watcher.replies.flatMap(({ envelope }) => {
      if (envelope.case !== "presenceEvent") return [];
      const { channel, change } = envelope.value;
      return [`${change.case} ${channel} ${change.value?.clientId}`];
    });
  await watcher.until(() => (changes().length >= 1 ? true : undefined));
  await phone.unsubscribe(`${word}.1`);
  await watcher.until(() => (changes().length >= 2 ? true : undefined));
  expect(changes()).toEqual([`join ${word}.1 phone`, `leave ${word}.1 phone`]);
});

test("an index that nobody needs any more deletes itself, and begins anew when it is asked", async () => {
  const word = freshWord();
  const index = indexFor(`${word}.1`);
  const publisher = await Client.connect({ gateway: freshGateway() });
  await publisher.publish(`${word}.1`, "1");
  await runInDurableObject(index, (_, { storage }) => {
    storage.sql.exec("UPDATE leases SET leased_at = leased_at - 200000000");
    storage.sql.exec("DELETE FROM patterns");
  });
  await evictDurableObject(index);
  expect(await runDurableObjectAlarm(index)).toBe(true);
  await runInDurableObject(index, async (_, { storage }) => {
    expect(await storage.getAlarm()).toBeNull();
    const tables = [...storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'")];
    expect(tables.filter(({ name }) => !`${name}`.startsWith("_cf"))).toEqual([]);
  });
  const client = await Client.connect({ gateway: freshGateway(), subscribe: [`${word}.*`] });
  await publisher.publish(`${word}.2`, "2");
  await client.received(1);
  expect(texts(client.messages)).toEqual(["2"]);
});

test("patterns come while many channels begin, over the true objects", async () => {
  const random = seededRandom(seed());
  const publisher = await Client.connect({ gateway: freshGateway() });
  for (let round = 0; round < 2; round++) {
    const word = freshWord();
    const client = await Client.connect({ gateway: freshGateway() });
    let granted = false;
    const owed: string[] = [];
    const publishing = Array.from({ length: 40 }, async (_, i) => {
      await delay(random.int(150));
      for (let k = 0; k < 4; k++) {
        const text = `${i}-${k}`;
        const after = granted;
        await publisher.publish(`${word}.${i}`, text);
        if (after) owed.push(text);
        await delay(random.int(60));
      }
    });
    await delay(50 + random.int(100));
    await client.subscribe(`${word}.*`);
    granted = true;
    await Promise.all(publishing);
    expect(owed.length).toBeGreaterThan(0);
    await client.until(() => {
      const given = new Set(texts(client.messages));
      return owed.every((text) => given.has(text)) ? true : undefined;
    });
    expect(new Set(texts(client.messages)).size).toBe(client.messages.length);
    for (let i = 0; i < 40; i++) {
      const order = heard(client, `${word}.${i}`).map((text) => Number(text.split("-")[1]));
      expect(order).toEqual([...order].sort((left, right) => left - right));
    }
  }
});
