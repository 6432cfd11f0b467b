/** What the first message costs after everything has fallen asleep, and how long it takes. */
import { setTimeout as pause } from "node:timers/promises";
import type { RemoteLoad } from "../generator/generator.ts";
import { Histogram } from "../generator/histogram.ts";
import type { Row, Stage } from "../row.ts";
import type { Running } from "../target.ts";
import { cpuDuring, openLoad } from "./publish.ts";
import { expectOneGateway, PACE } from "./worker.ts";

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
      const started: Running[] = [];
      const start = async (): Promise<Sleeper> => {
        const running = await anyStage.target.start();
        started.push(running);
        return await sleeper({ ...anyStage, running }, subscribers);
      };
      try {
        const sleepers = await Promise.all(Array.from({ length: SLEEPERS }, start));
        // Those of all targets sleep at the same time.
        await anyStage.turn();
        const latency = new Histogram();
        let cost = 0;
        for (const each of sleepers) {
          const { sample, cpu } = await woken(each);
          latency.merge(new Histogram(sample.latency));
          cost += cpu;
          await pause(BETWEEN_MS);
        }
        return { cost: cost / SLEEPERS, latency: latency.counts };
      } finally {
        await Promise.all(started.map((running) => running.stop()));
      }
    },
  };
}

/** A program that falls asleep. */
interface Sleeper {
  readonly stage: Stage;
  readonly load: RemoteLoad;
  /** The last thing that it did, by performance.now(). */
  readonly active: number;
}

async function sleeper(stage: Stage, subscribers: number): Promise<Sleeper> {
  const load = await openLoad(stage, { load: { subscribers, pace: PACE / SLEEPERS } });
  // So that only the sleep is new to it.
  await load.paced({ rate: 20, seconds: 0.5 });
  return { stage, load, active: performance.now() };
}

async function woken({ stage, load, active }: Sleeper): ReturnType<typeof cpuDuring> {
  await pause(Math.max(0, active + ASLEEP_MS - performance.now()));
  const wake = await cpuDuring(stage, () => load.paced({ rate: 10, seconds: 0.1 }));
  expectOneGateway(stage);
  await load.close();
  return wake;
}
