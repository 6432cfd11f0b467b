/**
 * Two `serve` processes on one Redis while clients of all kinds come, go and publish, and processes, Redis
 * and connections fail: every subscriber gets everything once and in order, or is told what not.
 */
import { expect, onTestFinished } from "vitest";
import { type LifeReport, live } from "../history/life.ts";
import { seed, steps } from "../support/random.ts";
import { ProcessHost, type ProcessHostOptions } from "./process-host.ts";

const STEPS = 2_000;
/** A shorter life need not meet everything. */
export const WHOLE = steps(STEPS) >= STEPS;
/** A longer life may take longer. */
export const PATIENCE_MS = Math.max(240_000, 120 * steps(STEPS));

export async function lifeOn(
  options: Omit<ProcessHostOptions, "steps" | "seed">,
): Promise<LifeReport & { readonly host: ProcessHost }> {
  const length = { steps: steps(STEPS), seed: seed() };
  const host = await ProcessHost.open({ ...options, ...length });
  onTestFinished(() => host.stop());
  await host.start();
  const report = await live({ host, ...length });
  expect(host.problems).toEqual([]);
  expect(Object.keys(report.events).sort()).toEqual(Object.keys(options.faults).sort());
  return { ...report, host };
}

/** What every life has met that is not shorter than it should be. */
export function expectLife({
  counts,
  host: { witness },
}: Awaited<ReturnType<typeof lifeOn>>): void {
  expect(witness.unavailable).toBeGreaterThan(0);
  expect(witness.acknowledged).toBeGreaterThan(1_000);
  expect(witness.crossed).toBeGreaterThan(100);
  expect(witness.direct).toBeGreaterThan(100);
  expect(counts["recovered all"]).toBeGreaterThan(30);
  expect(counts["unknown"]).toBeGreaterThan(5);
}
