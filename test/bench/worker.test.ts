/** The bench's rows of the Worker, at their smallest: the runtime serves the bundle, and what is counted is so. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Generator } from "../../bench/generator/generator.ts";
import type { Group, Measurement } from "../../bench/row.ts";
import type { Target } from "../../bench/target.ts";
import { ROOT } from "../../bench/trees.ts";
import { WORKER_GROUPS } from "../../bench/worker-groups.ts";

let generator: Generator;
const targets = new Map<Group, readonly Target[]>();

beforeAll(() => {
  generator = Generator.start();
  for (const group of WORKER_GROUPS) {
    targets.set(group, [group.ours(ROOT), ...group.baselines]);
  }
});

afterAll(async () => {
  await generator.stop();
});

/** A row by its name, on ours or the room. */
async function measured(name: string, target: string): Promise<Measurement> {
  for (const [group, all] of targets) {
    const row = group.rows.find((each) => each.name === name);
    const found = all.find((each) => each.name === target);
    if (row === undefined || found === undefined) continue;
    const running = await found.start();
    try {
      const stage = { target: found, running, generator, channel: "bench" };
      return await row.measure({ ...stage, seconds: 0.5, saturate: false, turn: async () => {} });
    } finally {
      await running.stop();
    }
  }
  throw new Error(`there is no row ${name} on ${target}`);
}

test.each(["messageloop", "room"])("what a delivery costs %s", async (target) => {
  const { cost, perPublish } = await measured("worker-fan-out-100", target);
  expect(perPublish).toBe(100);
  // Nanoseconds: between a system call and the whole time of two cores.
  expect(cost).toBeGreaterThan(100);
  expect(cost).toBeLessThan(1e6);
});

test("a message to one gateway is two calls and one row, and a twentieth of a request beside", async () => {
  const { counted = {}, cost } = await measured("worker-cost-one-to-one", "messageloop");
  expect(counted).toMatchObject({ workerRequests: 0, messages: 1e6, rowsWritten: 1e6 });
  const { calls = 0, objectRequests, awakeSeconds } = counted;
  expect(objectRequests).toBeCloseTo(calls + 1e6 / 20);
  // Five messages on a machine that is held up may share calls.
  expect(calls).toBeLessThanOrEqual(2e6);
  expect(calls).toBeGreaterThanOrEqual(2e6 / 5);
  expect(awakeSeconds).toBeGreaterThan(0);
  // A row is a dollar a million.
  expect(cost).toBeGreaterThan(1_000);
});

test("a room makes no calls and writes nothing", async () => {
  const { counted } = await measured("worker-cost-one-to-one", "room");
  expect(counted).toMatchObject({
    calls: 0,
    messages: 1e6,
    objectRequests: 0.05e6,
    rowsWritten: 0,
  });
});
