/**
 * Lifecycle events in Redis: each arrives at least once, those of a session in their order, whatever becomes of
 * nodes and of Redis; who is gone with a node is told of by another.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RedisOutbox } from "../../src/brokers/redis/lifecycle/outbox.ts";
import { Engine } from "../../src/engine/engine.ts";
import {
  LIFECYCLE_KINDS,
  type LifecycleKind,
  SESSION_KINDS,
} from "../../src/engine/ports/lifecycle.ts";
import { Hooks } from "../../src/hooks/hooks.ts";
import { httpTeller } from "../../src/hooks/tellers.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { clock, random, timers } from "../../src/server/platform.ts";
import {
  CAPABILITIES,
  connect,
  kinds,
  ScriptedTransport,
  send,
  subscribe,
} from "../engine/scene.ts";
import { hmac, jsonOf, linesOf, ScriptedBackend, termsOf } from "../hooks/scene.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix, openNode } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const BEAT_MS = 250;
/** A node is lost after three beats. */
const LEASE_MS = 3 * BEAT_MS;
const KINDS = new Set<LifecycleKind>(SESSION_KINDS);
const ALL_KINDS = new Set<LifecycleKind>(LIFECYCLE_KINDS);

let server: RedisServer;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await redisServer();
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

afterAll(async () => {
  await server.stop();
});

interface Told {
  readonly session_id?: string;
  readonly channel?: string;
  readonly lifecycle: { readonly event_id: string; readonly sequence?: string };
}

/** A backend that all nodes share. */
class Application extends ScriptedBackend {
  status = 200;
  override answer = () => this.status;

  /** What came of a session, each event once. */
  lines(session: string): string[] {
    const seen = new Map<string, string>();
    for (const request of this.requests) {
      const [line = ""] = linesOf(request);
      const { lifecycle, session_id: id } = jsonOf(request) as Told;
      if (id === session) seen.set(lifecycle.event_id, line.slice(session.length + 1));
    }
    return [...seen.values()];
  }

  codeOf(session: string): unknown {
    return this.requests
      .map((request) => jsonOf(request) as Record<string, unknown>)
      .findLast(({ session_id: id, code }) => id === session && code !== undefined)?.["code"];
  }
}

async function nodeOf(
  prefix: string,
  app: Application,
  { most, kinds = KINDS }: { most?: number; kinds?: ReadonlySet<LifecycleKind> } = {},
) {
  const node = await openNode({
    address: { urls: [server.url], cluster: false },
    prefix,
    beatMs: BEAT_MS,
    lifecycle: {
      kinds,
      random,
      ...(most === undefined ? {} : { most }),
      lost: (ids) => {
        for (const id of ids) engine.session(id)?.close(DISCONNECTS.goingAway);
      },
    },
  });
  const outbox = node.broker.outbox as RedisOutbox;
  const logger = { warn: () => {} };
  const hooks = new Hooks({
    kinds,
    backends: [
      {
        name: "app",
        takes: () => true,
        ...httpTeller(termsOf("json"), app.post, { hmac, clock }),
      },
    ],
    outbox,
    clock,
    timers,
    random,
    logger,
    chance: () => 1,
  });
  const engine = new Engine({
    broker: node.broker,
    clock,
    random,
    timers,
    logger,
    capabilities: CAPABILITIES,
    lifecycle: hooks,
  });
  const crash = (): void => {
    hooks.end();
    node.crash();
  };
  closing.push(async () => {
    hooks.end();
    await node.close();
  });
  return { node, engine, hooks, outbox, crash };
}

type TestNode = Awaited<ReturnType<typeof nodeOf>>;

async function sessionOn({ engine, node }: TestNode, ...channels: string[]) {
  const id = `${node.broker.cluster.node}.${crypto.randomUUID()}`;
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, id, "json");
  await connect(session, ...channels);
  return { id, session, transport };
}

test("a life arrives once, and nothing of it is left in Redis", async () => {
  const prefix = newPrefix();
  const app = new Application();
  const node = await nodeOf(prefix, app);
  const { id, session } = await sessionOn(node, "a");
  await send(session, subscribe("b"));
  session.end(true);
  const life = ["connected", "subscribed a", "subscribed b", "disconnected"];
  await eventually(() => app.lines(id).length === life.length);
  expect(app.lines(id)).toEqual(life);
  expect(app.requests).toHaveLength(life.length);
  const names = `${prefix}{nodes}:lifecycle:${node.node.broker.cluster.node}`;
  await eventually(async () => (await server.command("XLEN", `${names}:events`)) === 0);
  expect(await server.command("HLEN", `${names}:sessions`)).toBe(0);
  expect(node.hooks.stats).toMatchObject({ waiting: 0, delivered: 4, failures: 0 });
});

test("who is gone with its node is told of by another within the lease and 10 s, after all that came before", async () => {
  const prefix = newPrefix();
  const app = new Application();
  const [gone, stays] = [await nodeOf(prefix, app), await nodeOf(prefix, app)];
  const other = await sessionOn(stays, "a");
  app.status = 503;
  const sessions = await Promise.all(Array.from({ length: 300 }, () => sessionOn(gone, "a")));
  gone.crash();
  const crashed = Date.now();
  await eventually(() => stays.hooks.stats.waiting >= 900, undefined, LEASE_MS + 10_000);
  expect(Date.now() - crashed).toBeLessThan(LEASE_MS + 10_000);
  app.status = 200;
  const life = ["connected", "subscribed a", "disconnected"];
  const told = () => sessions.every(({ id }) => app.lines(id).length === life.length);
  await eventually(told, undefined, 30_000);
  for (const { id } of sessions) {
    expect(app.lines(id)).toEqual(life);
    expect(app.codeOf(id)).toBe(1006);
  }
  expect(app.lines(other.id)).toEqual(["connected", "subscribed a"]);
  expect(other.session.connected).toBe(true);
});

test("a node that was taken for lost ends its sessions, and goes on with new ones", async () => {
  const prefix = newPrefix();
  const app = new Application();
  const [paused, other] = [await nodeOf(prefix, app), await nodeOf(prefix, app)];
  const before = await sessionOn(paused, "a");
  const process = paused.node.broker.cluster.node;
  // As if it had stood still for too long: it is not known any more, and somebody has to see to it.
  await server.command("ZREM", `${prefix}{nodes}:alive`, `${process}-0`);
  await other.outbox.takeOver(process);
  await eventually(() => before.transport.closed !== undefined);
  expect(before.transport.closed).toMatchObject({ code: DISCONNECTS.goingAway.code });
  await eventually(() => app.lines(before.id).length === 3);
  const after = await sessionOn(paused, "b");
  expect(kinds(after.transport)).toEqual(["connected"]);
  after.session.end(true);
  await eventually(() => app.lines(after.id).length === 3);
  expect(app.lines(before.id)).toEqual(["connected", "subscribed a", "disconnected"]);
  expect(app.codeOf(before.id)).toBe(1006);
  expect(app.lines(after.id)).toEqual(["connected", "subscribed b", "disconnected"]);
  expect(app.codeOf(after.id)).toBe(1000);
});

test("a node that is there is not taken over, whatever it is called", async () => {
  const prefix = newPrefix();
  const app = new Application();
  const [one, two] = [await nodeOf(prefix, app), await nodeOf(prefix, app)];
  const { id, session } = await sessionOn(one, "a");
  await two.outbox.takeOver(one.node.broker.cluster.node);
  await server.command("SCRIPT", "FLUSH");
  expect(session.connected).toBe(true);
  session.end(false);
  await eventually(() => app.lines(id).length === 3);
  expect(app.codeOf(id)).toBe(1006);
});

test("a node that ends leaves its events to the others", async () => {
  const prefix = newPrefix();
  const app = new Application();
  app.status = 500;
  const [ends, stays] = [await nodeOf(prefix, app), await nodeOf(prefix, app)];
  const { id, session } = await sessionOn(ends, "a");
  session.close(DISCONNECTS.goingAway);
  ends.hooks.end();
  await ends.node.close();
  app.status = 200;
  await eventually(() => app.lines(id).length === 3);
  expect(app.codeOf(id)).toBe(DISCONNECTS.goingAway.code);
  await eventually(() => stays.hooks.stats.waiting === 0);
});

test("while Redis is away a connect is not answered, and what was recorded comes when it is back", async () => {
  const prefix = newPrefix();
  const own = await redisServer();
  closing.push(() => own.stop());
  const app = new Application();
  const shared = server;
  server = own;
  const node = await nodeOf(prefix, app);
  server = shared;
  const before = await sessionOn(node);
  // This Redis comes back with nothing.
  await eventually(() => app.lines(before.id).length === 1);
  await own.kill();
  before.session.end(true);
  const meanwhile = await sessionOn(node);
  expect(kinds(meanwhile.transport)).toEqual(["error UNAVAILABLE"]);
  await own.start();
  await eventually(() => node.node.broker.ready);
  for (const { id } of [before, meanwhile]) {
    await eventually(() => app.lines(id).length === 2, Boolean, 20_000);
    expect(app.lines(id)).toEqual(["connected", "disconnected"]);
  }
  const after = await sessionOn(node);
  after.session.end(true);
  await eventually(() => app.lines(after.id).length === 2);
});

/** What came of a channel, each event once, in the order of their numbers. */
function channelLines(app: Application, channel: string): string[] {
  const seen = new Map<string, { line: string; sequence: bigint }>();
  for (const request of app.requests) {
    const { lifecycle, session_id: id, channel: of } = jsonOf(request) as Told;
    if (id !== undefined || of !== channel) continue;
    const line = (request.headers["messageloop-hook"] ?? "").slice("on_".length);
    seen.set(lifecycle.event_id, { line, sequence: BigInt(lifecycle.sequence ?? 0) });
  }
  const all = [...seen.values()].sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
  expect(new Set(all.map(({ sequence }) => sequence)).size).toBe(all.length);
  return all.map(({ line }) => line);
}

test("a channel is occupied by the first session of all nodes and vacated by the last", async () => {
  const prefix = newPrefix();
  const app = new Application();
  const [one, two] = [
    await nodeOf(prefix, app, { kinds: ALL_KINDS }),
    await nodeOf(prefix, app, { kinds: ALL_KINDS }),
  ];
  const first = await sessionOn(one, "room");
  const second = await sessionOn(two, "room");
  await sessionOn(two, "**");
  first.session.end(true);
  const third = await sessionOn(one, "room");
  second.session.end(true);
  third.session.end(true);
  await eventually(() => channelLines(app, "room").length === 2);
  const fourth = await sessionOn(two, "room");
  expect(fourth.session.connected).toBe(true);
  await eventually(() => channelLines(app, "room").length === 3);
  two.crash();
  await eventually(() => channelLines(app, "room").length === 4);
  expect(channelLines(app, "room")).toEqual(["occupied", "vacated", "occupied", "vacated"]);
  expect(await server.command("HLEN", `${prefix}{nodes}:lifecycle:occupied`)).toBe(0);
});

test("what Redis forgets of channels is there again", async () => {
  const prefix = newPrefix();
  const app = new Application();
  const [one, two] = [
    await nodeOf(prefix, app, { kinds: ALL_KINDS }),
    await nodeOf(prefix, app, { kinds: ALL_KINDS }),
  ];
  const sessions = [await sessionOn(one, "room"), await sessionOn(two, "room")];
  await eventually(() => channelLines(app, "room").length === 1);
  await server.command("FLUSHALL");
  const count = () => server.command("HGET", `${prefix}{nodes}:lifecycle:occupied`, "room");
  await eventually(async () => String(await count()) === "2");
  for (const { session } of sessions) session.end(true);
  await eventually(() => channelLines(app, "room").length === 2);
  expect(channelLines(app, "room")).toEqual(["occupied", "vacated"]);
});

test("beyond what is kept the oldest go, and are counted", async () => {
  const app = new Application();
  app.status = 500;
  const node = await nodeOf(newPrefix(), app, { most: 10 });
  for (let i = 0; i < 25; i++) await sessionOn(node);
  expect(node.outbox.overflowed).toBe(15);
  expect(node.outbox.size).toBe(10);
});
