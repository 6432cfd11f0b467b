/** The list of many active channels: how much of it one question looks at, and what moves while it is asked. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RedisCommands } from "../../src/brokers/redis/ports.ts";
import { MAX_PATTERN_LOOKS } from "../../src/protocol/limits.ts";
import { type Node, newPrefix, openNode } from "./nodes.ts";
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

/** A node that says how often the list was asked for, and lets something happen after an answer. */
async function stage() {
  const prefix = newPrefix();
  const asked = { count: 0, after: async (_: number): Promise<void> => {} };
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      if (script.name === "active") {
        asked.count += 1;
        await asked.after(asked.count);
      }
      return reply;
    },
  });
  const address = { urls: [server.url], cluster: false };
  const node = await openNode({ address, prefix, wrap, refreshMs: 60_000 });
  open.push(node);
  return { node, prefix, asked };
}

/** Lists so many channels, the later ones by a millisecond each. */
async function fill(prefix: string, count: number, from: number): Promise<void> {
  for (let i = 0; i < count; i += 5_000) {
    const some = Array.from({ length: Math.min(5_000, count - i) }, (_, k) => i + k);
    const terms = some.flatMap((k) => [`${from + k}`, `many.c${k}`]);
    await server.command("ZADD", `${prefix}{nodes}:active`, ...terms);
  }
}

test("channels come with those first that were published to last, and the search ends early", async () => {
  const { node, prefix, asked } = await stage();
  const { position } = await node.broker.subscribePattern("many.*");
  await fill(prefix, 50_000, position.offset);
  asked.count = 0;
  const found = await node.broker.activeChannels("many.*", position, 100);
  const expected = Array.from({ length: 100 }, (_, i) => `many.c${49_999 - i}`);
  expect(found).toEqual({ channels: expected, gap: "limit" });
  expect(asked.count).toBe(1);
});

test("a question that fits little looks at a bounded number of channels, and says so", async () => {
  const { node, prefix, asked } = await stage();
  const { position } = await node.broker.subscribePattern("many.*");
  await fill(prefix, 50_000, position.offset);
  asked.count = 0;
  const made = { epoch: position.epoch, offset: 0 };
  const none = await node.broker.activeChannels("nothing.*", made, 100);
  expect(none).toEqual({ channels: [], gap: "limit" });
  expect(asked.count).toBeLessThanOrEqual(MAX_PATTERN_LOOKS / 2_000 + 1);
  // Behind the client's place there are less, and nothing is missing.
  const since = { epoch: position.epoch, offset: position.offset + 50_000 + 35_000 };
  expect(await node.broker.activeChannels("nothing.*", since, 100)).toEqual({
    channels: [],
    gap: undefined,
  });
});

test("a channel that moves up while the list is asked for is not missed", async () => {
  const { node, prefix, asked } = await stage();
  const { position } = await node.broker.subscribePattern("many.*");
  const past = position.offset - 20_000;
  await fill(prefix, 9_000, past);
  asked.count = 0;
  asked.after = async (count) => {
    // The oldest of all are published to when the first page has been read.
    if (count !== 1) return;
    for (const name of ["many.c0", "many.c1"]) await node.publish(name, "x");
  };
  const found = await node.broker.activeChannels("many.*", position, 20_000);
  expect(found.gap).toBeUndefined();
  expect(new Set(found.channels).size).toBe(9_000);
  expect(found.channels).toHaveLength(9_000);
});
