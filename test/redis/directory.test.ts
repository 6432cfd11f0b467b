/** The directory in Redis: the shared cases on two nodes, leases, what Redis forgets, and what it costs. */
import { create } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RedisCommands } from "../../src/brokers/redis/ports.ts";
import { Engine } from "../../src/engine/engine.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { clock, random, timers } from "../../src/server/platform.ts";
import {
  directoryOf,
  directorySuite,
  found,
  names,
  page,
  published,
} from "../brokers/directory-suite.ts";
import { CAPABILITIES, kinds, ScriptedTransport, send } from "../engine/scene.ts";
import { eventually } from "../support/eventually.ts";
import { type Node, type NodeOptions, newPrefix, openNode } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const open: Node[] = [];
let server: RedisServer;

beforeAll(async () => {
  server = await redisServer();
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.close()));
});

afterAll(async () => {
  await server.stop();
});

async function newNode(more: Partial<NodeOptions> = {}): Promise<Node> {
  const address = { urls: [server.url], cluster: false };
  const node = await openNode({ address, prefix: newPrefix(), keepsDirectory: true, ...more });
  open.push(node);
  return node;
}

async function pair(more: Partial<NodeOptions> = {}): Promise<readonly [Node, Node]> {
  const prefix = newPrefix();
  return [await newNode({ prefix, ...more }), await newNode({ prefix, ...more })];
}

directorySuite("the directory in Redis", async (body) => {
  const [one, two] = await pair({ secret: "sixteen characters" });
  await body({ nodes: [one.broker, two.broker], word: "word" });
  expect([...one.warnings, ...two.warnings]).toEqual([]);
});

test("what a node leaves behind is found no more when its leases have run out, and who stays is", async () => {
  const prefix = newPrefix();
  const [gone, stays] = [await newNode({ prefix }), await newNode({ prefix })];
  await directoryOf(gone.broker).join("ann", { sessionId: "gone.1", since: 1 });
  await directoryOf(stays.broker).join("ann", { sessionId: "stays.1", since: 2 });
  gone.crash();
  const key = `${prefix}user:ann`;
  const left = Number(await server.command("PTTL", key));
  expect(left).toBeGreaterThan(290_000);
  expect(left).toBeLessThanOrEqual(300_000);
  expect(await found(stays.broker, "ann")).toEqual(["gone.1", "stays.1"]);
  // Its time is over.
  await server.command("ZADD", key, "1", "1 gone.1");
  expect(await found(stays.broker, "ann")).toEqual(["stays.1"]);
  await directoryOf(stays.broker).join("ann", { sessionId: "stays.2", since: 3 });
  expect(await server.command("ZCARD", key)).toBe(2);
});

test("what Redis forgets in a restart is told again: who is here, and what they are subscribed to", async () => {
  const own = await redisServer();
  try {
    const address = { urls: [own.url], cluster: false };
    const prefix = newPrefix();
    const often = { address, prefix, beatMs: 200, refreshMs: 50 };
    const [one, two] = [await newNode(often), await newNode(often)];
    await directoryOf(one.broker).join("ann", { sessionId: "one.1", since: 1 });
    await one.broker.subscribe("room");
    await names(two.broker, "room", 1);
    await own.kill();
    await own.start();
    await eventually(
      async () => {
        const [sessions, { channels }] = await Promise.all([
          found(two.broker, "ann"),
          page(two.broker, { pattern: "room" }),
        ]);
        return sessions.length + channels.length;
      },
      (seen) => seen === 2,
    );
  } finally {
    await Promise.all(open.splice(0).map((node) => node.close()));
    await own.stop();
  }
});

test("channels whose time is over are listed no more, and are let go of", async () => {
  const prefix = newPrefix();
  const node = await newNode({ prefix });
  await published(node.broker, "old", "young");
  expect(await names(node.broker, "*", 2)).toEqual(["old", "young"]);
  await server.command("ZADD", `${prefix}{nodes}:ends`, "1", "old");
  expect(await names(node.broker, "*", 1)).toEqual(["young"]);
  await published(node.broker, "new");
  expect(await names(node.broker, "*", 2)).toEqual(["new", "young"]);
  for (const set of ["names", "ends"]) {
    expect(await server.command("ZCARD", `${prefix}{nodes}:${set}`)).toBe(2);
    const left = Number(await server.command("PTTL", `${prefix}{nodes}:${set}`));
    expect(left).toBeGreaterThan(24 * 3_600_000);
  }
});

test("a busy channel is told of once, and a list asks once, and for members and heads of what it lists", async () => {
  const calls: string[] = [];
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: async (key, args) => {
      calls.push(`${args[0]}`);
      return await commands.command(key, args);
    },
    run: async (script, keys, args) => {
      calls.push(script.name);
      return await commands.run(script, keys, args);
    },
  });
  const node = await newNode({ wrap });
  for (let i = 0; i < 20; i++) await published(node.broker, "busy", `c${i}`);
  expect((await names(node.broker, "*", 21)).length).toBe(21);
  const told = calls.filter((call) => call === "channels-tell");
  expect(told.length).toBeLessThanOrEqual(21);
  for (let i = 0; i < 20; i++) await published(node.broker, "busy");
  expect(calls.filter((call) => call === "channels-tell")).toEqual(told);
  calls.length = 0;
  await page(node.broker, { limit: 2 });
  expect(calls.toSorted()).toEqual(["HMGET", "HMGET", "ZCARD", "ZCARD", "channels-list"]);
});

test("a question that fits little looks at so many names, and goes on with the next page", async () => {
  const prefix = newPrefix();
  const node = await newNode({ prefix });
  for (const set of ["names", "ends"]) {
    const score = set === "names" ? "0" : `${Date.now() + 60_000}`;
    const terms = Array.from({ length: 4_500 }, (_, i) => [score, `n${10_000 + i}.a`]).flat();
    await server.command("ZADD", `${prefix}{nodes}:${set}`, ...terms, score, "z.b");
  }
  const listed: string[] = [];
  let pages = 0;
  let after: string | undefined = "";
  while (after !== undefined) {
    const { channels, next } = await page(node.broker, { pattern: "*.b", after });
    listed.push(...channels.map(({ channel }) => channel));
    pages += 1;
    after = next;
  }
  expect(listed).toEqual(["z.b"]);
  expect(pages).toBe(3);
});

test("keys that hold what is not ours are an error of the question, and of nothing else", async () => {
  const prefix = newPrefix();
  const node = await newNode({ prefix });
  await server.command("SET", `${prefix}user:ann`, "x");
  await server.command("SET", `${prefix}{nodes}:names`, "x");
  const refused = expect.objectContaining({ code: "UNAVAILABLE" });
  await expect(directoryOf(node.broker).sessions("ann")).rejects.toEqual(refused);
  await expect(page(node.broker)).rejects.toEqual(refused);
  await expect(directoryOf(node.broker).join("ann", { sessionId: "s", since: 1 })).rejects.toEqual(
    refused,
  );
  await published(node.broker, "room");
  await server.command("DEL", `${prefix}user:ann`, `${prefix}{nodes}:names`);
  await eventually(async () => {
    await published(node.broker, "room");
    return (await page(node.broker)).channels.length === 1;
  });
});

test("without a directory nothing is kept for one", async () => {
  const prefix = newPrefix();
  const node = await newNode({ prefix, keepsDirectory: false });
  expect(node.broker.directory).toBeUndefined();
  await node.broker.subscribe("room");
  await published(node.broker, "room");
  const keys = (await server.command("KEYS", `${prefix}*`)) as string[];
  expect(keys.filter((key) => /user:|\{nodes\}:(names|ends)/.test(key))).toEqual([]);
  expect(keys.length).toBeGreaterThan(0);
});

/** An engine on a node, and a session of a user there. */
async function withSession(node: Node, user: string) {
  const engine = new Engine({
    broker: node.broker,
    clock,
    random,
    timers,
    logger: { warn: () => {} },
    capabilities: CAPABILITIES,
    backends: { authenticate: async ({ token }) => ({ userId: token }) },
  });
  const id = `${node.broker.cluster.node}.${crypto.randomUUID()}`;
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, id, "json");
  await send(session, { envelope: { case: "connect", value: { token: user } } });
  expect(kinds(transport)).toEqual(["connected"]);
  return { engine, id, session, transport };
}

test("a user with three devices on three nodes is reached on all of them, and one whose node is gone is forgotten", async () => {
  // After three beats a node is lost: a busy machine may keep all of them from theirs.
  const shared = { prefix: newPrefix(), secret: "sixteen characters", beatMs: 500 };
  const nodes = [await newNode(shared), await newNode(shared), await newNode(shared)];
  const devices = await Promise.all(nodes.map((node) => withSession(node, "ann")));
  const [asking, other] = [await newNode(shared), await newNode(shared)];
  const bob = await withSession(other, "bob");
  const { engine } = await withSession(asking, "carl");
  const event = create(CloudEventSchema, { id: "e", source: "/server", type: "t" });
  const { reached, failed } = await engine.publishToUser("ann", event);
  expect([...reached].sort()).toEqual(devices.map(({ id }) => id).sort());
  expect(failed.size).toBe(0);
  for (const { transport } of devices)
    expect(kinds(transport)).toEqual(["connected", "publication"]);
  nodes[2]?.crash();
  const gone = nodes[2]?.broker.cluster.node ?? "";
  await eventually(async () => !(await asking.broker.cluster.others("room")).includes(gone));
  const two = devices.slice(0, 2).map(({ id }) => id);
  await eventually(async () => {
    await engine.publishToUser("ann", event);
    return (await found(asking.broker, "ann")).length === 2;
  });
  expect(await found(asking.broker, "ann")).toEqual(two.toSorted());
  expect(await engine.disconnectUser("ann", 4001, "bye")).toBe(2);
  expect(devices.slice(0, 2).map(({ transport }) => transport.closed?.code)).toEqual([4001, 4001]);
  expect(bob.session.ended).toBe(false);
  await eventually(async () => (await found(asking.broker, "ann")).length === 0);
});
