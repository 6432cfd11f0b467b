/** What the first message costs after everything has fallen asleep, and how long it takes. */
import { setTimeout as pause } from "node:timers/promises";
import { Histogram } from "../generator/histogram.ts";
import type { Row, Stage } from "../row.ts";
import { cpuDuring, openLoad } from "./publish.ts";
import { expectOneGateway, fresh, PACE } from "./worker.ts";

/** `workerd serve` has an object sleep ten seconds after the last thing that it did, in milliseconds. */
const ASLEEP_MS = 12_000;
/** Programs that sleep at the same time and wake one after the other: nobody waits for each of them. */
const SLEEPERS = 4;
/** From one of them to the next, in milliseconds. */
const BETWEEN_MS = 500;

export const SLEEP_ROWS: readonly Row[] = [wake(200)];

function wake(subscribers: number): Row {
  return {
    name: `worker-wake-${subscribers}`,
    question: `the first message to ${subscribers} subscribers after a sleep`,
    unit: "wakes",
    async measure(anyStage) {
      const wakes = await Promise.all(
        Array.from({ length: SLEEPERS }, (_, i) =>
          fresh(anyStage, (stage) => woken(stage, subscribers, ASLEEP_MS + i * BETWEEN_MS)),
        ),
      );
      const latency = new Histogram();
      for (const { sample } of wakes) latency.merge(new Histogram(sample.latency));
      const cpu = wakes.reduce((sum, wake) => sum + wake.cpu, 0);
      return { cost: cpu / SLEEPERS, latency: latency.counts };
    },
  };
}

/** @param sleepMs how long nothing happens, in milliseconds */
async function woken(
  stage: Stage,
  subscribers: number,
  sleepMs: number,
): ReturnType<typeof cpuDuring> {
  const load = await openLoad(stage, { load: { subscribers, pace: PACE / SLEEPERS } });
  // So that only the sleep is new to it.
  await load.paced({ rate: 20, seconds: 0.5 });
  await pause(sleepMs);
  const wake = await cpuDuring(stage, () => load.paced({ rate: 10, seconds: 0.1 }));
  expectOneGateway(stage);
  await load.close();
  return wake;
}
