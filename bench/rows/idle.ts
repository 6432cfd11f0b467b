/** Rows of connections that do nothing. */
import { setTimeout as pause } from "node:timers/promises";
import type { Measurement, Row, Stage } from "../row.ts";
import { residentOf } from "../target.ts";
import { openLoad, speaks } from "./publish.ts";

/** Until what connecting has left behind is gone, in milliseconds. */
const SETTLE_MS = 2_000;

/** Costs are the resident bytes that a target has more for each connection. */
export function idleRow(name: string, question: string, connections: number): Row {
  const measure = async (stage: Stage): Promise<Measurement> => {
    const { pids } = stage.running;
    const before = residentOf(pids);
    const load = await openLoad(stage, {
      load: { subscribers: connections, channels: connections },
    });
    await pause(SETTLE_MS);
    const after = residentOf(pids);
    await load.close();
    return { cost: (after - before) / connections };
  };
  return { name, question, unit: "connections", on: speaks("json"), measure };
}
