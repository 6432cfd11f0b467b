/** Rows of clients that come back and get what they have missed. */
import { setTimeout as pause } from "node:timers/promises";
import type { Positions } from "../dialect.ts";
import { Histogram } from "../generator/histogram.ts";
import { positionsOf } from "../positions.ts";
import type { Measurement, Row, Stage } from "../row.ts";
import { nodesOf, type Target } from "../target.ts";
import { AT_ONCE } from "./connect.ts";
import { cpuDuring, isOurs, openLoad } from "./publish.ts";

export interface Storm {
  readonly subscribers: number;
  readonly channels: number;
  /** Messages of each channel, where the target recovers them. */
  readonly missed: number;
  /** Whether the first node stops meanwhile and starts again, and publishers are on the second one. */
  readonly restart?: boolean;
  /** How often they go and come back. Default once. */
  readonly rounds?: number;
}

/** So that what the target does when sockets go, and when nobody hears its publishes, is not counted. */
const QUIET_MS = 300;

/**
 * Costs are those of a client that comes back: until it has everything.
 *
 * @param on which targets can answer, default those that recover
 */
export function recoverRow(
  name: string,
  question: string,
  { subscribers, channels, missed, restart = false, rounds = 1 }: Storm,
  on: Row["on"] = recovers,
): Row {
  const measure = async (stage: Stage): Promise<Measurement> => {
    const { dialect } = stage.target;
    const { running } = stage;
    const load = await openLoad(stage, {
      load: { subscribers, channels, together: AT_ONCE },
      apart: true,
      across: restart,
    });
    const latency = new Histogram();
    const parts: number[] = [];
    let [target, generator, clients, seconds] = [0, 0, 0, 0];
    try {
      await load.closed({ window: channels, seconds: 0.2 });
      for (let round = 0; round < rounds; round++) {
        if (round > 0) await stage.turn();
        // The node is told to stop while everybody is there.
        const stopped = restart ? nodesOf(running).stopFirst() : undefined;
        let positions: Positions | undefined;
        try {
          await load.drop();
          await stopped;
          const names = Array.from({ length: channels }, (_, i) => `${stage.channel}.${i}`);
          const port = restart ? nodesOf(running).second : running.port;
          positions = await positionsOf(port, dialect, names);
          await pause(QUIET_MS);
          if (positions !== undefined) await load.miss(missed);
          await pause(QUIET_MS);
        } finally {
          if (restart) await nodesOf(running).startFirst();
        }
        await stage.turn();
        const again = { ...dialect, options: { ...dialect.options, positions } };
        const { sample, cpu } = await cpuDuring(stage, () => load.resume([again]));
        latency.merge(new Histogram(sample.latency));
        parts.push(cpu / sample.operations);
        target += cpu;
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
    } finally {
      await load.close();
    }
  };
  return { name, question, unit: "clients", on, measure };
}

function recovers(target: Target): boolean {
  return isOurs(target) || target.name === "centrifugo-history-json";
}
