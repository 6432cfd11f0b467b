/**
 * The Worker beside a plain room. What a gateway can do is measured on one gateway: connections come so slowly that it
 * refuses none, and a row that finds a second one breaks.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Row, Stage } from "../row.ts";
import type { RunningWorker } from "../targets/workerd.ts";
import { type Comers, connectRow } from "./connect.ts";
import { isOurs, type Publishing, publishRow } from "./publish.ts";

/** Upgrades a second at most: a gateway refuses what is more than 500. */
export const PACE = 400;
/** After this no upgrade counts that came before, in milliseconds. */
const NEW_SECOND_MS = 1_000;

/** Rates are less than half of what the room can do. */
export const WORKER_ROWS: readonly Row[] = [
  row("worker-fan-out-100", "100 subscribers", fanOut(100, 32, 100)),
  row("worker-fan-out-1000", "1,000 subscribers", fanOut(1_000, 32, 10)),
  row("worker-one-to-one", "one publisher to one subscriber", {
    load: { subscribers: 1 },
    apart: true,
    window: 32,
    rate: 400,
  }),
  row("worker-many-publishers", "50 clients on one channel, each of them publishes", {
    load: { subscribers: 50, publishers: 50 },
    window: 50,
    rate: 200,
  }),
  row("worker-many-channels", "100 channels with one subscriber each, which publishes there", {
    load: { subscribers: 100, channels: 100, publishers: 100 },
    window: 64,
    rate: 200,
  }),
  row("worker-latency", "ten subscribers, 50 messages a second, and nothing else to do", {
    load: { subscribers: 10 },
    apart: true,
    window: 1,
    rate: 50,
  }),
  comers("worker-connect-in-turn", "200 clients that connect and subscribe one after the other", {
    subscribers: 200,
    together: 1,
    pace: PACE,
  }),
  comers("worker-connect-at-once", "400 clients that connect and subscribe at once", {
    subscribers: 400,
    together: 400,
  }),
];

function row(name: string, question: string, publishing: Publishing): Row {
  const load = { ...publishing.load, pace: PACE };
  return oneGateway(publishRow(name, question, { ...publishing, load }));
}

function fanOut(subscribers: number, window: number, rate: number): Publishing {
  return { load: { subscribers }, window, rate };
}

/** Clients that come in seconds of their own: a gateway counts how many upgrades it had in a second. */
function comers(name: string, question: string, load: Comers): Row {
  const row = oneGateway(connectRow(name, question, load));
  return {
    ...row,
    async measure(stage) {
      await pause(NEW_SECOND_MS);
      const measurement = await row.measure(stage);
      await pause(NEW_SECOND_MS);
      return measurement;
    },
  };
}

/** The same row, broken where its connections are on more than one gateway. */
function oneGateway(row: Row): Row {
  return {
    ...row,
    async measure(stage) {
      const measurement = await row.measure(stage);
      expectOneGateway(stage);
      return measurement;
    },
  };
}

/** @throws Error when the target is ours and has not exactly one gateway */
export function expectOneGateway({ target, running }: Stage): void {
  if (!isOurs(target)) return;
  const gateways = (running as RunningWorker).stored("GatewayDurableObject");
  if (gateways !== 1) throw new Error(`the connections are on ${gateways} gateways`);
}

/** The same with a program that was just started. */
export async function fresh<T>(stage: Stage, use: (stage: Stage) => Promise<T>): Promise<T> {
  const running = await stage.target.start();
  try {
    return await use({ ...stage, running });
  } finally {
    await running.stop();
  }
}
