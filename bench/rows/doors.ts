/** Rows of doors over HTTP, beside the same events by WebSocket. */
import { setTimeout as pause } from "node:timers/promises";
import type { Measurement, Row, Stage } from "../row.ts";
import { cpuOf } from "../target.ts";
import { type Door, HONO_AND_WEBSOCKET, WEBSOCKET } from "../targets/doors.ts";

/** How long one target goes on before the other, in seconds: a pair, as in rows/publish.ts. */
const PART_SECONDS = 0.1;

export const DOOR_ROWS: readonly Row[] = [
  doorRow("api-batch-100", "100 events in one call of the server API", {
    events: 100,
    rate: 30,
    beside: WEBSOCKET,
  }),
  doorRow("api-publish", "one event in one call of the server API", {
    events: 1,
    rate: 400,
    beside: HONO_AND_WEBSOCKET,
  }),
];

interface Calls {
  readonly events: number;
  /** Calls a second. */
  readonly rate: number;
  /** Name of what it is measured beside. */
  readonly beside: string;
}

/** Costs are those of an event. */
function doorRow(name: string, question: string, { events, rate, beside }: Calls): Row {
  return {
    name,
    question,
    unit: "events",
    on: (target) =>
      target.name === beside || ![WEBSOCKET, HONO_AND_WEBSOCKET].includes(target.name),
    async measure({ running, seconds, turn }: Stage): Promise<Measurement> {
      const { publish, pids } = running as Door;
      const parts: number[] = [];
      let [cpu, published] = [0, 0];
      const calls = Math.max(1, Math.round(PART_SECONDS * rate));
      for (let part = 0; part < Math.round(seconds / PART_SECONDS); part++) {
        await turn();
        const before = cpuOf(pids);
        for (let call = 0; call < calls; call++) {
          const due = pause(1_000 / rate);
          await publish(events);
          await due;
        }
        const taken = cpuOf(pids) - before;
        parts.push(taken / (calls * events));
        cpu += taken;
        published += calls * events;
      }
      return { cost: cpu / published, parts };
    },
  };
}

/** Some events by each way, until both are as fast as they become. */
export async function warmDoor({ running }: Stage): Promise<void> {
  const { publish } = running as Door;
  for (let call = 0; call < 300; call++) await publish(call % 2 === 0 ? 1 : 20);
}
