/**
 * What Cloudflare bills, counted. The loads are such as a channel may well have: at higher rates publishes share calls, and
 * each costs less.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Billed, billedBetween, type Counts, priceOf } from "../counts.ts";
import type { Row, Stage } from "../row.ts";
import type { RunningCounted } from "../targets/around.ts";
import { openLoad, type Publishing } from "./publish.ts";
import { expectOneGateway, fresh, PACE } from "./worker.ts";

/** Clients that come and go to be counted. */
const COMERS = 100;
/** What a client's coming has begun has ended after this time, in milliseconds. */
const CAME_MS = 1_000;
/** The same of its going: for some seconds it is still present. */
const GONE_MS = 7_000;

/** For targets that count. Each row has a program of its own, lest it count what another one left to be done. */
export const COST_ROWS: readonly Row[] = [
  deliveries("worker-cost-fan-out-1000", "ten messages a second to 1,000 subscribers", {
    load: { subscribers: 1_000 },
    rate: 10,
  }),
  deliveries("worker-cost-fan-out-100", "ten messages a second to 100 subscribers", {
    load: { subscribers: 100 },
    rate: 10,
  }),
  deliveries("worker-cost-one-to-one", "ten messages a second to one subscriber", {
    load: { subscribers: 1 },
    rate: 10,
  }),
  deliveries(
    "worker-cost-many-channels",
    "on each of 100 channels a message a second to one subscriber",
    {
      load: { subscribers: 100, channels: 100 },
      rate: 100,
    },
  ),
  clients("worker-cost-connect", "clients that connect, subscribe and go"),
];

function deliveries(
  name: string,
  question: string,
  { load: subscribers, rate }: Pick<Publishing, "load" | "rate">,
): Row {
  return costRow(name, question, "deliveries", async (stage, running) => {
    const load = await openLoad(stage, { load: { ...subscribers, pace: PACE }, apart: true });
    // The first publish of a channel has it ask who hears it by a pattern, which it then does once a minute.
    await load.paced({ rate, seconds: 1 });
    const before = await running.counts();
    const sample = await load.paced({ rate, seconds: stage.seconds });
    const after = await running.counts();
    await load.close();
    return { operations: sample.deliveries, before, after };
  });
}

function clients(name: string, question: string): Row {
  return costRow(name, question, "clients", async (stage, running) => {
    const before = await running.counts();
    const load = await openLoad(stage, { load: { subscribers: COMERS, pace: PACE } });
    await pause(CAME_MS);
    await load.close();
    await pause(GONE_MS);
    return { operations: COMERS, before, after: await running.counts() };
  });
}

interface Counted {
  readonly operations: number;
  readonly before: Counts;
  readonly after: Counts;
}

function costRow(
  name: string,
  question: string,
  unit: string,
  count: (stage: Stage, running: RunningCounted) => Promise<Counted>,
): Row {
  return {
    name,
    question,
    unit,
    measure: (anyStage) =>
      fresh(anyStage, async (stage) => {
        const { operations, before, after } = await count(stage, stage.running as RunningCounted);
        const billed = billedBetween(before, after);
        expectOneGateway(stage);
        return {
          cost: (priceOf(billed) / operations) * 1e9,
          counted: ofMillion(billed, operations),
        };
      }),
  };
}

function ofMillion(billed: Billed, operations: number): Readonly<Record<string, number>> {
  const million = 1e6 / operations;
  return Object.fromEntries(Object.entries(billed).map(([name, count]) => [name, count * million]));
}
