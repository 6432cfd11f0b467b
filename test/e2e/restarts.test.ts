/**
 * Ten restarts of the Worker on the same port and storage, each of them a crash: publishers and
 * subscribers go on, and come back with their positions. The logs go on as well: nothing acknowledged is
 * lost, and nothing comes twice.
 */
import { expect, test } from "vitest";
import { live } from "../history/life.ts";
import { seed } from "../support/random.ts";
import { CrashingWorker } from "./crashing-worker.ts";

const RESTARTS = 10;
const STEPS = 1_200;

test("ten restarts, each of them a crash", async () => {
  const host = await CrashingWorker.open(STEPS / RESTARTS);
  try {
    await host.start();
    const { counts } = await live({ host, steps: STEPS, seed: seed() });
    expect(host.restarts).toBe(RESTARTS);
    // Somebody was cut off in the middle of something, and somebody came back and had missed nothing.
    expect(counts["unknown"]).toBeGreaterThan(RESTARTS);
    expect(counts["recovered all"]).toBeGreaterThan(RESTARTS);
  } finally {
    await host.stop();
  }
}, 240_000);
