/** The rows of the bench on Redis, as small as they can be: deliveries are counted across nodes and after a restart. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Generator } from "../../bench/generator/generator.ts";
import type { Measurement, Row, Stage } from "../../bench/row.ts";
import { publishRow } from "../../bench/rows/publish.ts";
import { recoverRow } from "../../bench/rows/recover.ts";
import { nodesOf, type Running, type Target } from "../../bench/target.ts";
import { BARE_REDIS, messageLoopOnRedis } from "../../bench/targets/redis.ts";
import { ROOT } from "../../bench/trees.ts";
import { settledPort } from "../support/ports.ts";

const CROSS_NODE = publishRow("cross-node", "2 subscribers", {
  load: { subscribers: 2 },
  across: true,
  window: 4,
  rate: 100,
});
const RESTART = recoverRow(
  "restart",
  "6 clients, each has missed 2 messages",
  { subscribers: 6, channels: 3, missed: 2, restart: true },
  () => true,
);

let generator: Generator;
let running: Running | undefined;

beforeEach(() => {
  generator = Generator.start();
});

afterEach(async () => {
  await generator.stop();
  await running?.stop();
  running = undefined;
});

async function measure(target: Target, row: Row): Promise<Measurement> {
  running ??= await target.start();
  return await row.measure({ ...stage(target), running });
}

function stage(target: Target): Omit<Stage, "running"> {
  const turn = async (): Promise<void> => {};
  return { target, generator, channel: "bench", seconds: 0.2, saturate: true, turn };
}

test("our own program: across nodes, and after a restart", async () => {
  const target = messageLoopOnRedis(ROOT);
  const { cost, perPublish, saturation } = await measure(target, CROSS_NODE);
  expect(cost).toBeGreaterThan(0);
  expect(perPublish).toBe(2);
  expect(saturation?.perSecond).toBeGreaterThan(0);
  const before = running?.pids ?? [];
  expect((await measure(target, RESTART)).cost).toBeGreaterThan(0);
  // Redis and the second node go on, the first one is another process.
  expect(running?.pids.map((pid) => before.includes(pid))).toEqual([true, false, true]);
});

test("the bare program: across nodes, where the other one is there", async () => {
  running = await BARE_REDIS.start();
  const { cost, perPublish } = await measure(BARE_REDIS, CROSS_NODE);
  expect(cost).toBeGreaterThan(0);
  expect(perPublish).toBe(2);
  const nodes = { ...nodesOf(running), second: await settledPort("serve") };
  const alone = { ...stage(BARE_REDIS), running: { ...running, nodes } };
  await expect(CROSS_NODE.measure(alone)).rejects.toThrow("a connection was closed");
});
