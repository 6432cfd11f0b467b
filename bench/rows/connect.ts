/** Rows of clients that come. */
import type { LoadOptions } from "../generator/load.ts";
import type { Measurement, Row, Stage } from "../row.ts";
import { cpuOf } from "../target.ts";
import { openLoad, speaks } from "./publish.ts";

export type Comers = Pick<LoadOptions, "subscribers" | "channels" | "together" | "pace">;
/**
 * Clients that come at once, at most. Node listens with a queue of 511: from beyond it the kernel lets a client come
 * again after a second, and that second would be all that is measured.
 */
export const AT_ONCE = 500;

/** Costs are those of a client: its handshake, what it says first, and its subscription. */
export function connectRow(name: string, question: string, load: Comers): Row {
  const measure = async (stage: Stage): Promise<Measurement> => {
    const { pids } = stage.running;
    const before = cpuOf(pids);
    const opened = await openLoad(stage, { load });
    const cpu = cpuOf(pids) - before;
    await opened.close();
    const { operations, seconds, latency, cpu: own } = opened.opened;
    return {
      cost: cpu / operations,
      latency,
      saturation: {
        perSecond: operations / seconds,
        target: cpu / 1e9 / seconds,
        generator: own / 1e9 / seconds,
      },
    };
  };
  return { name, question, unit: "clients", on: speaks("json"), measure };
}
