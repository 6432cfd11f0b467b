/** The broker on a cluster of three masters, with channels on all of them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Node, newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisCluster } from "./servers.ts";

let servers: readonly RedisServer[];
let stop: () => Promise<void>;
let one: Node;
let other: Node;
let prefix: string;
const channels = Array.from({ length: 30 }, (_, i) => `c${i}`);

beforeAll(async () => {
  ({ servers, stop } = await redisCluster());
});

afterAll(async () => {
  await stop?.();
});

/** Both nodes listen to all channels. */
beforeEach(async () => {
  prefix = newPrefix();
  const address = { urls: servers.map(({ url }) => `${url}/0`), cluster: true };
  const rules = { "**": { presenceGraceMs: 300 } };
  [one, other] = await Promise.all([
    openNode({ address, prefix, rules, beatMs: 1_000, refreshMs: 500 }),
    openNode({ address, prefix, rules, beatMs: 1_000, refreshMs: 500 }),
  ]);
  await Promise.all(
    channels.flatMap((name) => [one.broker.subscribe(name), other.broker.subscribe(name)]),
  );
});

afterEach(async () => {
  await one?.close();
  await other?.close();
});

test("channels of all masters are published, heard and read from every node", async () => {
  for (let i = 1; i <= 20; i++) {
    await Promise.all(channels.map((name) => (i % 2 === 0 ? one : other).publish(name, `${i}`)));
  }
  const expected = Array.from({ length: 20 }, (_, i) => `${i + 1}`);
  for (const node of [one, other]) {
    for (const name of channels) {
      await eventually(() => node.texts(name).length === 20);
      expect(node.texts(name)).toEqual(expected);
    }
    expect(node.told.some(({ kind }) => kind === "gap")).toBe(false);
  }
  const page = await other.broker.history("c0", { limit: -1 });
  expect(page.entries).toHaveLength(20);
  for (const server of servers) {
    const keys = (await server.command("KEYS", `${prefix}{c*}:log`)) as string[];
    expect(keys.length).toBeGreaterThan(0);
  }
});

test("members of all masters' channels are seen from every node, and leave with theirs", async () => {
  for (const name of channels) await one.broker.join(name, session(`s-${name}`, "u"));
  for (const name of channels) expect((await other.broker.presence(name, 9)).total).toBe(1);
  for (const name of channels) one.broker.leave(name, `s-${name}`, true);
  for (const name of channels) {
    await eventually(() => other.lines(name).includes("leave u"));
    expect(other.lines(name).slice(-2)).toEqual(["join u", "leave u"]);
  }
});

test("nothing is lost when the connections that listen are lost", async () => {
  for (let i = 1; i <= 20; i++) {
    if (i % 5 === 0) {
      for (const server of servers) await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    }
    await Promise.all(channels.map((name) => one.publish(name, `again${i}`)));
  }
  const expected = Array.from({ length: 20 }, (_, i) => `again${i + 1}`);
  for (const name of channels) {
    await eventually(() => other.texts(name).length >= 20);
    expect(other.texts(name)).toEqual(expected);
  }
});

test("one master that comes back empty begins new epochs, and only there", async () => {
  const [, second] = servers;
  if (second === undefined) throw new Error("there is no second master");
  await Promise.all(channels.map((name) => one.publish(name, "before")));
  for (const node of [one, other]) {
    await eventually(() => channels.every((name) => node.texts(name).includes("before")));
  }
  const mine = ((await second.command("KEYS", `${prefix}{c*}:meta`)) as string[]).map((key) =>
    key.slice(key.indexOf("{") + 1, key.indexOf("}")),
  );
  await second.kill();
  await second.start();
  for (const name of channels) {
    for (;;) {
      const done = await one.publish(name, "fresh").catch(() => undefined);
      if (done !== undefined) break;
    }
  }
  for (const node of [one, other]) {
    for (const name of channels) {
      await eventually(() => node.texts(name).includes("fresh"));
      const changed = node.told.some(
        (told) =>
          told.kind === "gap" && told.channel === name && told.gap.reason === "epoch_changed",
      );
      expect([name, changed]).toEqual([name, mine.includes(name)]);
    }
  }
});
