/** Rows of clients that come. */
import { setTimeout as pause } from "node:timers/promises";
import { Histogram } from "../generator/histogram.ts";
import type { LoadOptions } from "../generator/load.ts";
import type { Measurement, Row, Stage } from "../row.ts";
import { cpuOf } from "../target.ts";
import { openLoad, SETTLE_MS, speaks } from "./publish.ts";

export type Comers = Pick<LoadOptions, "subscribers" | "channels" | "together" | "pace">;
/**
 * Clients that come at once, at most. Node listens with a queue of 511: from beyond it the kernel lets a client come
 * again after a second, and that second would be all that is measured.
 */
export const AT_ONCE = 500;

/**
 * Costs are those of a client: its handshake, what it says first, and its subscription.
 *
 * @param rounds how often so many clients come; those of one round go before the next
 */
export function connectRow(name: string, question: string, load: Comers, rounds = 1): Row {
  const measure = async (stage: Stage): Promise<Measurement> => {
    const { running, channel } = stage;
    const latency = new Histogram();
    const parts: number[] = [];
    let [target, generator, clients, seconds] = [0, 0, 0, 0];
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await stage.turn();
      const before = cpuOf(running.pids);
      const opened = await openLoad({ ...stage, channel: `${channel}.${round}` }, { load });
      const cpu = cpuOf(running.pids) - before;
      target += cpu;
      await opened.close();
      await pause(SETTLE_MS);
      const sample = opened.opened;
      latency.merge(new Histogram(sample.latency));
      parts.push(cpu / sample.operations);
      generator += sample.cpu;
      clients += sample.operations;
      seconds += sample.seconds;
    }
    return {
      cost: target / clients,
      parts,
      latency: latency.counts,
      saturation: {
        perSecond: clients / seconds,
        target: target / 1e9 / seconds,
        generator: generator / 1e9 / seconds,
      },
    };
  };
  return { name, question, unit: "clients", on: speaks("json"), measure };
}
