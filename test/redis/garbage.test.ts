/** Messages and answers that are nothing of ours: what Redis says is looked at before it is believed. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RedisCommands, RedisReply } from "../../src/brokers/redis/ports.ts";
import { noticeOf } from "../../src/brokers/redis/reply.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { eventually } from "../support/eventually.ts";
import { eachStep, type SeededRandom, seed, seededRandom, steps } from "../support/random.ts";
import { type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const unhandled: unknown[] = [];
const note = (error: unknown): void => {
  unhandled.push(error);
};
const open: Node[] = [];
let server: RedisServer;

beforeAll(async () => {
  process.on("unhandledRejection", note);
  server = await redisServer();
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.close()));
  expect(unhandled.splice(0)).toEqual([]);
});

afterAll(async () => {
  process.off("unhandledRejection", note);
  await server.stop();
});

async function node(options: Partial<NodeOptions> & { prefix: string }): Promise<Node> {
  const address = { urls: [server.url], cluster: false };
  const opened = await openNode({ address, refreshMs: 300, ...options });
  open.push(opened);
  return opened;
}

const BODY = Buffer.from(
  toBinary(EntryBodySchema, create(EntryBodySchema, { event: new TextEncoder().encode("x") })),
);

/** Messages in Pub/Sub that no script of ours publishes. */
const STRAY: readonly (string | Buffer)[] = [
  "",
  "\n",
  "hello",
  "hello\nworld",
  "+1 e 2 1 3\nnotjson",
  '+1 e 2 1 3\n{"a":1}',
  '+1 e 2 1 3\n["a","b","c"]',
  "+1 e 2 1 3\n[1]",
  "+1 e 2 1\n[]",
  '-x e 2 1 3\n["a"]',
  "1 e 1 1\n\xff\xff\xff",
  "1 e x 1\n",
  "1  1 1\n",
  "1 e -1 1\n",
  "1 e 1.5 1\n",
  "1 e 9007199254740993 1\n",
  "99999999999999999999 e 1 1\n",
  `${"9".repeat(100_000)}\n`,
  `${"9 ".repeat(5_000)}\n`,
  Buffer.alloc(200_000, 43),
  Buffer.from([0xff, 0x0a, 0xfe]),
  Buffer.concat([Buffer.from("1 e 1 1 1\n"), BODY]),
  Buffer.concat([Buffer.from("2 1 e 1 1\n"), BODY]),
];

test("a message that is nothing of ours is counted, warned of once, and costs no connection", async () => {
  const prefix = newPrefix();
  const [one, other] = await Promise.all([node({ prefix }), node({ prefix })]);
  await one.broker.subscribe("a");
  await one.broker.subscribePattern("p.*");
  await other.publish("a", "1");
  await eventually(() => one.texts("a").length === 1);
  for (const stray of STRAY) {
    await server.publish(`${prefix}pub:a`, stray);
    await server.publish(`${prefix}pub:p.q`, stray);
  }
  await eventually(() => one.broker.stray === 2 * STRAY.length);
  await other.publish("a", "2");
  await other.publish("p.q", "3");
  await eventually(() => one.texts("a").length === 2 && one.texts("p.q").length === 1);
  expect(one.states).toEqual([true]);
  expect(one.lines().filter((line) => line.startsWith("gap"))).toEqual([]);
  const warned = one.warnings.filter((line) => line.includes("somebody else publishes"));
  expect(warned).toEqual([expect.stringContaining(`${prefix}pub:a`)]);
  expect(other.broker.stray).toBe(0);
});

test("whatever bytes come, they are a notice or nothing, and never an error", () => {
  const heads = ["1 e 1 1\n", "+1 e 2 1 3\n", '-1 e 2 1 3\n["u","c"]', "1 e 1 1"];
  eachStep(3_000, (random) => {
    const head = Buffer.from(random.pick(heads));
    const bytes = Buffer.concat([head, random.chance(0.5) ? BODY : random.bytes(random.int(40))]);
    for (let i = random.int(4); i > 0; i--) bytes[random.int(bytes.length)] = random.int(256);
    const notice = noticeOf(bytes.subarray(0, random.int(bytes.length + 1)));
    if (notice === undefined) return;
    const numbers = Object.values(notice.place).filter((value) => typeof value === "number");
    expect(numbers.every((number) => Number.isSafeInteger(number) && number >= 0)).toBe(true);
    expect(notice.place.epoch).not.toBe("");
  });
});

test("garbage in Pub/Sub between true messages changes nothing", async () => {
  const prefix = newPrefix();
  const [one, other] = await Promise.all([node({ prefix }), node({ prefix })]);
  await one.broker.subscribe("a");
  const random = seededRandom(seed());
  const count = steps(200);
  for (let i = 1; i <= count; i++) {
    const topic = random.pick(["pub:a", "pub:a", "pub:b", `node:${one.broker.cluster.node}`]);
    await server.publish(`${prefix}${topic}`, Buffer.from(random.bytes(random.int(200))));
    await other.publish("a", `${i}`);
  }
  await eventually(() => one.texts("a").length >= count);
  expect(one.texts("a")).toEqual(Array.from({ length: count }, (_, i) => `${i + 1}`));
  expect(one.states).toEqual([true]);
});

/** Values that stand in no answer of a script at the place of another. */
const WRONG: readonly RedisReply[] = [
  null,
  [],
  [[]],
  [null],
  "",
  Buffer.from([0xff, 0xfe, 0x0a]),
  -2,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
];

/**
 * An answer with one thing in it that is not as it should be, wherever that is. What could as well be true is none:
 * an empty list of entries or nodes is an answer.
 */
function garbled(random: SeededRandom, reply: RedisReply, inside = false): RedisReply {
  const wrong = inside ? WRONG.filter((one) => !isList(one) || one.length > 0) : WRONG;
  if (!isList(reply) || reply.length === 0 || random.chance(0.2)) return random.pick(wrong);
  const at = random.int(reply.length);
  if (!inside && random.chance(0.25)) return reply.slice(0, at);
  if (!inside && random.chance(0.2)) return reply.filter((_, i) => i !== at);
  return reply.map((part, i) => (i === at ? garbled(random, part, true) : part));
}

function isList(reply: RedisReply): reply is readonly RedisReply[] {
  return Array.isArray(reply);
}

/** Scripts whose answers the calls of this test read. */
const SCRIPTS = ["publish", "open", "catch-up", "history", "remove", "presence", "members"];

const STEPS = 250;

test("an answer of Redis that cannot be read is a clear error, and nothing is lost by it", {
  // More steps may take longer.
  timeout: Math.max(120_000, 480 * steps(STEPS)),
}, async () => {
  const random = seededRandom(seed());
  const spoiled = new Map<string, number>();
  let spoiling = false;
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      if (!spoiling || !random.chance(0.3)) return reply;
      spoiled.set(script.name, (spoiled.get(script.name) ?? 0) + 1);
      return garbled(random, reply);
    },
  });
  const prefix = newPrefix();
  const rules = { "**": { historySize: 10_000, presenceGraceMs: 50 } };
  const one = await node({ prefix, wrap, rules, beatMs: 300 });
  const other = await node({ prefix, rules });
  await one.broker.subscribe("a");
  await other.broker.subscribe("a");
  const { position } = await one.broker.subscribePattern("p.*");
  spoiling = true;
  const told = new Set<string>();
  const attempt = async <T>(call: Promise<T>): Promise<T | undefined> =>
    await call.catch((error: { code?: string; message: string }) => {
      told.add(`${error.code} ${error.message}`);
      return undefined;
    });
  const acknowledged: string[] = [];
  for (let i = 0; i < steps(STEPS); i++) {
    const text = `${i}`;
    // What was spoiled is published again until it is acknowledged, as a client does.
    while ((await attempt(one.publish("a", text, text))) === undefined);
    acknowledged.push(text);
    if (i % 5 === 0) {
      other.deafen(true);
      one.deafen(true);
    }
    if (i % 5 === 1) {
      other.deafen(false);
      one.deafen(false);
    }
    await attempt(one.broker.subscribe("a"));
    await attempt(one.broker.subscribe(`b${i}`));
    await attempt(one.broker.join("a", session(`s${i}`, `u${i % 7}`)));
    one.broker.leave("a", `s${i - 3}`, i % 2 === 0);
    await attempt(one.broker.history("a", { limit: 20 }));
    await attempt(one.broker.presence("a", 20));
    await attempt(one.broker.activeChannels("p.*", position, 10));
    if (i % 10 === 0) await attempt(one.broker.removeHistory("c"));
    await attempt(one.publish(`p.${i}`, text));
  }
  spoiling = false;
  expect([...spoiled.keys()]).toEqual(expect.arrayContaining([...SCRIPTS, "active", "list"]));
  for (const line of told) expect(line).toMatch(/^UNAVAILABLE /);
  expect([...told]).toContain("UNAVAILABLE Redis answered what cannot be read");
  // Both heard all of it in its order, whatever one of them could not read at first.
  for (const listener of [one, other]) {
    await eventually(() => listener.texts("a").at(-1) === acknowledged.at(-1));
    expect(listener.texts("a")).toEqual(acknowledged);
  }
  // And members are again those who are there.
  const count = acknowledged.length;
  const here = new Set([count - 1, count - 2, count - 3].map((i) => `u${i % 7}`));
  await eventually(
    async () => (await other.broker.presence("a", 99)).members,
    (members) => members.length === here.size && members.every(({ userId }) => here.has(userId)),
  );
  expect(one.broker.ready).toBe(true);
});
