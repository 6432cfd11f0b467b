/**
 * Two `serve` processes on one Redis while clients of all kinds come, go and publish, and processes, Redis
 * and connections fail: every subscriber gets everything once and in order, or is told what not.
 */
import { afterEach, expect, test } from "vitest";
import { type LifeReport, live } from "../history/life.ts";
import { seed, steps } from "../support/random.ts";
import {
  CARELESS_FAULTS,
  DURABLE_FAULTS,
  ProcessHost,
  type ProcessHostOptions,
} from "./process-host.ts";

const STEPS = 2_000;
/** A shorter life need not meet everything. */
const WHOLE = steps(STEPS) >= STEPS;
/** A longer life may take longer. */
const PATIENCE_MS = Math.max(240_000, 120 * steps(STEPS));

let host: ProcessHost | undefined;

afterEach(async () => {
  await host?.stop();
  host = undefined;
});

async function lifeOn(
  options: Omit<ProcessHostOptions, "steps" | "seed">,
): Promise<LifeReport & { readonly host: ProcessHost }> {
  const length = { steps: steps(STEPS), seed: seed() };
  const opened = await ProcessHost.open({ ...options, ...length });
  host = opened;
  await opened.start();
  const report = await live({ host: opened, ...length });
  expect(opened.problems).toEqual([]);
  expect(Object.keys(report.events).sort()).toEqual(Object.keys(options.faults).sort());
  return { ...report, host: opened };
}

/** What every life has met that is not shorter than it should be. */
function expectLife({ counts, host: { witness } }: Awaited<ReturnType<typeof lifeOn>>): void {
  expect(witness.unavailable).toBeGreaterThan(0);
  expect(witness.acknowledged).toBeGreaterThan(1_000);
  expect(witness.crossed).toBeGreaterThan(100);
  expect(witness.direct).toBeGreaterThan(100);
  expect(counts["recovered all"]).toBeGreaterThan(30);
  expect(counts["unknown"]).toBeGreaterThan(5);
}

test(
  "with a Redis that keeps its word nothing is lost, repeated or out of order",
  async () => {
    const life = await lifeOn({
      durable: true,
      redis: { appendonly: "yes", appendfsync: "always" },
      faults: DURABLE_FAULTS,
    });
    if (WHOLE) expectLife(life);
    // Of a new epoch hears only who asks for a position that never was.
    expect(life.counts["gap epoch_changed"]).toBeUndefined();
  },
  PATIENCE_MS,
);

test(
  "whatever a Redis loses, who listens and who comes back is told of it",
  async () => {
    const life = await lifeOn({ durable: false, redis: {}, faults: CARELESS_FAULTS });
    if (!WHOLE) return;
    expectLife(life);
    expect(life.host.lost).toBeGreaterThan(0);
    expect(life.counts["gap epoch_changed"]).toBeGreaterThan(10);
    expect(life.counts["recovered epoch_changed"]).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
