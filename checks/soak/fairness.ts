/** What an innocent client feels of storms: how long its ping takes meanwhile. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { pause, percentile, type Report } from "../report.ts";
import { type Plant, SoakServer } from "./host.ts";
import { Peer } from "./peer.ts";
import { STORMS } from "./storms.ts";

export interface FairnessOptions {
  readonly scale: number;
  /** Names of storms. Default all. */
  readonly only?: readonly string[];
  readonly plant?: Plant;
  /** What a ping may take at p99, in milliseconds of the wall clock, since that is what a client feels. Default 250. */
  readonly pingMs?: number;
}

const STORM = fileURLToPath(new URL("storm.ts", import.meta.url));
const PING_MS = 250;
const EVERY_MS = 20;
/** How long one storm may last, and how long the calm after it is, in milliseconds. */
const STORM_MS = 120_000;
const CALM_MS = 1_000;

export async function fairness(report: Report, options: FairnessOptions): Promise<void> {
  const { scale, only = Object.keys(STORMS), plant, pingMs = PING_MS } = options;
  const server = await SoakServer.start({}, plant);
  try {
    const innocent = await Peer.connect(server.port);
    for (const name of only) {
      const watch = watched(innocent);
      const told = await storm(name, server.port, scale).finally(watch.end);
      const times = await watch.times;
      const p99 = percentile(times, 0.99);
      const [p50, longest] = [percentile(times, 0.5), Math.max(...times)];
      report.expect(
        p99 <= pingMs,
        `${name}: ping p99 ${p99.toFixed(0)} ms, at most ${pingMs}; p50 ${p50.toFixed(1)}, longest ${longest.toFixed(0)}, ${times.length} pings; ${told}`,
      );
      await pause(CALM_MS * Math.min(scale, 1));
    }
    innocent.close();
  } finally {
    await server.stop();
  }
}

/** Pings until it is ended. */
function watched(peer: Peer): { readonly end: () => void; readonly times: Promise<number[]> } {
  let over = false;
  const measure = async (): Promise<number[]> => {
    const times: number[] = [];
    do {
      times.push(await peer.ping());
      await pause(EVERY_MS);
    } while (!over);
    return times;
  };
  return {
    end: () => {
      over = true;
    },
    times: measure(),
  };
}

/** Resolves with what the storm says about itself. */
async function storm(name: string, port: number, scale: number): Promise<string> {
  const child = fork(STORM, [name, `${port}`, `${scale}`]);
  const late = setTimeout(() => child.kill("SIGKILL"), STORM_MS);
  try {
    return await new Promise<string>((resolve, reject) => {
      child.once("message", (told) => resolve(String(told)));
      child.once("exit", (code) => reject(new Error(`the storm ${name} ended with ${code}`)));
    });
  } finally {
    clearTimeout(late);
    if (child.connected) child.disconnect();
  }
}
