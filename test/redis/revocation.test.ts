/** What is revoked over nodes on Redis: what outlives them and Redis itself, and what keeps a user out. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import type { Identity } from "../../src/engine/ports/identity.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/engine/settings/settings.ts";
import { clock, random, timers } from "../../src/server/platform.ts";
import { directoryOf, found } from "../brokers/directory-suite.ts";
import { CAPABILITIES, kinds, ScriptedTransport, send } from "../engine/scene.ts";
import { eventually } from "../support/eventually.ts";
import { type Node, type NodeOptions, newPrefix, openNode } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const DAY_MS = 86_400_000;
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
  const node = await openNode({
    address,
    prefix: newPrefix(),
    keepsDirectory: true,
    secret: "sixteen characters",
    // After three beats a node is lost: a busy machine may keep all of them from theirs.
    beatMs: 500,
    ...more,
  });
  open.push(node);
  return node;
}

/** An engine on a node, and sessions whose tokens are JSON of what they stand for. */
function engineOn(node: Node, settings: Partial<Settings> = {}) {
  const engine = new Engine({
    broker: node.broker,
    clock,
    random,
    timers,
    logger: { warn: () => {} },
    capabilities: CAPABILITIES,
    backends: { authenticate: async ({ token }): Promise<Identity> => JSON.parse(token) },
    settings: { ...DEFAULT_SETTINGS, ...settings },
  });
  const connected = async (identity: Identity) => {
    const id = `${node.broker.cluster.node}.${crypto.randomUUID()}`;
    const transport = new ScriptedTransport();
    const session = engine.accept(transport, id, "json");
    const token = JSON.stringify(identity);
    await send(session, { envelope: { case: "connect", value: { token, capabilities: ["x"] } } });
    return { session, transport };
  };
  return { engine, connected };
}

const ANN = { userId: "ann", tokenId: "one" };

test("what one node revokes ends on the others, and is known to nodes that come later", async () => {
  const prefix = newPrefix();
  const [one, two] = [await newNode({ prefix }), await newNode({ prefix })];
  const [here, there] = [engineOn(one), engineOn(two)];
  const sessions = [await here.connected(ANN), await there.connected(ANN)];
  const other = await there.connected({ ...ANN, tokenId: "two" });
  expect(await here.engine.revoke("ann", { tokenId: "one" })).toEqual({ durable: true });
  expect(sessions[0]?.transport.closed?.code).toBe(3500);
  await eventually(() => sessions[1]?.transport.closed?.code === 3500);
  expect(other.transport.closed).toBeUndefined();
  one.crash();
  two.crash();
  const late = engineOn(await newNode({ prefix }));
  const refused = await late.connected(ANN);
  expect(kinds(refused.transport)).toEqual(["error AUTH_ERROR"]);
  expect(refused.transport.closed?.code).toBe(3500);
  expect((await late.connected({ ...ANN, tokenId: "three" })).transport.closed).toBeUndefined();
});

test("what Redis forgets in a restart is told again by a node that knows it", async () => {
  const own = await redisServer();
  try {
    const address = { urls: [own.url], cluster: false };
    const prefix = newPrefix();
    const often = { address, prefix, refreshMs: 50 };
    const one = await newNode(often);
    await engineOn(one).engine.revoke("ann", { tokenId: "one" });
    await own.kill();
    await own.start();
    await eventually(async () => {
      const two = await newNode(often).catch(() => undefined);
      if (two === undefined) return false;
      const { transport } = await engineOn(two).connected(ANN);
      return transport.closed?.code === 3500;
    });
  } finally {
    await Promise.all(open.splice(0).map((node) => node.close()));
    await own.stop();
  }
});

test("more than one page is read, in parts that come at any time", async () => {
  const prefix = newPrefix();
  const [one, two] = [await newNode({ prefix }), await newNode({ prefix })];
  const { engine } = engineOn(one);
  for (let i = 0; i < 25; i++) {
    const some = Array.from({ length: 100 }, (_, j) => i * 100 + j);
    await Promise.all(some.map((n) => engine.revoke("ann", { tokenId: `t${n}` })));
  }
  const three = await newNode({ prefix });
  const known = (node: Node): number =>
    Array.from({ length: 2_500 }, (_, n) => n).filter((n) =>
      node.broker.revocations.revoked({ userId: "ann", tokenId: `t${n}` }),
    ).length;
  expect(known(three)).toBe(2_500);
  await eventually(() => known(two) === 2_500);
});

test("what is over is let go of, and the keys go with the last of it", async () => {
  const prefix = newPrefix();
  const node = await newNode({ prefix });
  const { engine } = engineOn(node);
  const keys = [`${prefix}{nodes}:revoked`, `${prefix}{nodes}:revoked-ends`];
  await engine.revoke("ann", { tokenId: "old", until: Date.now() + 20 });
  await engine.revoke("ann", { tokenId: "young", until: Date.now() + DAY_MS });
  await new Promise((resolve) => setTimeout(resolve, 30));
  await engine.revoke("ann", { tokenId: "new", until: Date.now() + 2 * DAY_MS });
  for (const key of keys) {
    expect(await server.command("ZCARD", key)).toBe(2);
    const left = Number(await server.command("PTTL", key));
    expect(left).toBeGreaterThan(2 * DAY_MS - 10_000);
    expect(left).toBeLessThan(2 * DAY_MS + 10_000);
  }
});

test("what is no entry of ours is passed over, and a key that holds something else is an error of the call", async () => {
  const prefix = newPrefix();
  const node = await newNode({ prefix });
  const key = `${prefix}{nodes}:revoked`;
  const { engine } = engineOn(node);
  for (const [i, entry] of ["no JSON", "7", "[1,2,3,4]", '["ann","x"]'].entries()) {
    await server.command("ZADD", key, `${i + 1}`, entry);
  }
  const { transport } = await engineOn(await newNode({ prefix })).connected(ANN);
  expect(transport.closed).toBeUndefined();
  await server.command("DEL", key);
  await server.command("SET", key, "x");
  await expect(engine.revoke("ann")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await server.command("DEL", key);
  await engine.revoke("ann", { tokenId: "one" });
});

test("connections of a user are counted over all nodes", async () => {
  const prefix = newPrefix();
  const limit = { maxUserConnections: 2 };
  const [one, two] = [await newNode({ prefix }), await newNode({ prefix })];
  const [here, there] = [engineOn(one, limit), engineOn(two, limit)];
  const first = await here.connected(ANN);
  await there.connected(ANN);
  for (const { connected } of [here, there]) {
    const { transport } = await connected({ ...ANN, tokenId: "two" });
    expect(kinds(transport)).toEqual([]);
    expect(transport.closed?.code).toBe(3504);
  }
  expect((await here.connected({ userId: "bob" })).transport.closed).toBeUndefined();
  expect(await found(one.broker, "ann")).toHaveLength(2);
  first.session.end(true);
  await eventually(async () => (await found(one.broker, "ann")).length === 1);
  expect((await there.connected(ANN)).transport.closed).toBeUndefined();
});

test("what a node that was killed has left behind keeps nobody out once it is known to be lost", async () => {
  const prefix = newPrefix();
  const [one, two] = [await newNode({ prefix }), await newNode({ prefix })];
  await engineOn(one, { maxUserConnections: 1 }).connected(ANN);
  const { connected } = engineOn(two, { maxUserConnections: 1 });
  expect((await connected(ANN)).transport.closed?.code).toBe(3504);
  one.crash();
  const gone = one.broker.cluster.node;
  await eventually(async () => !(await two.broker.cluster.others("")).includes(gone));
  expect((await connected(ANN)).transport.closed).toBeUndefined();
  expect((await directoryOf(two.broker).sessions("ann")).length).toBe(1);
});
