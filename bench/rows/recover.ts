/** Rows of clients that come back and get what they have missed. */
import { setTimeout as pause } from "node:timers/promises";
import { positionsOf } from "../positions.ts";
import type { Measurement, Row, Stage } from "../row.ts";
import type { Target } from "../target.ts";
import { cpuDuring, isOurs, openLoad } from "./publish.ts";

interface Storm {
  readonly subscribers: number;
  readonly channels: number;
  /** Messages of each channel. */
  readonly missed: number;
}

/** So that what the target does when sockets go, and when nobody hears its publishes, is not counted. */
const QUIET_MS = 300;

/** Costs are those of a client that comes back: until it has everything. */
export function recoverRow(name: string, question: string, storm: Storm): Row {
  const { subscribers, channels, missed } = storm;
  const measure = async (stage: Stage): Promise<Measurement> => {
    const { dialect } = stage.target;
    const load = await openLoad(stage, {
      load: { subscribers, channels, together: subscribers },
      apart: true,
    });
    try {
      await load.closed({ window: 32, seconds: 0.2 });
      await load.drop();
      const names = Array.from({ length: channels }, (_, i) => `${stage.channel}.${i}`);
      const positions = await positionsOf(stage.running.port, dialect, names);
      await pause(QUIET_MS);
      await load.miss(missed);
      await pause(QUIET_MS);
      const again = { ...dialect, options: { ...dialect.options, positions } };
      const { sample, cpu } = await cpuDuring(stage, () => load.resume([again]));
      return {
        cost: cpu / sample.operations,
        latency: sample.latency,
        saturation: {
          perSecond: sample.operations / sample.seconds,
          target: cpu / 1e9 / sample.seconds,
          generator: sample.cpu / 1e9 / sample.seconds,
        },
      };
    } finally {
      await load.close();
    }
  };
  return { name, question, unit: "clients", on: recovers, measure };
}

function recovers(target: Target): boolean {
  return isOurs(target) || target.name === "centrifugo-history-json";
}
