/** Messages a second that a client parses and dispatches, ours beside theirs. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Interval, median, medianInterval } from "../../bench/statistics.ts";
import { protobuf } from "../../src/client/protobuf/index.ts";
import type { Frame } from "../../src/index.ts";
import { CHANNEL, type Frames, notes, ourFrames, theirJson, theirProtobuf } from "./frames.ts";

export interface Kind {
  readonly encoding: "json" | "protobuf";
  /** Messages that come at once. */
  readonly together: number;
}

export interface DispatchOptions {
  /** Where both clients are installed. */
  readonly folder: string;
  /** Processes, one after the other. */
  readonly generations: number;
  readonly pairs: number;
  /**
   * How many a client gets. A turn begins with a full collection and new clients, so that few of them show what compiling costs, and
   * many what dispatching does.
   */
  readonly messages: number;
  /** Makes ours slower. */
  readonly plant: boolean;
}

export interface Dispatched {
  /** How many messages ours dispatches in the time of one of theirs. */
  readonly ratio: Interval;
  /** Messages a second of CPU time. */
  readonly ours: number;
  readonly theirs: number;
}

/** One client's part of what `dispatch.mjs` reads. Frames of protobuf are base64. */
interface Part {
  readonly answers: readonly string[];
  /** Frames that come at once. */
  readonly turns: readonly (readonly string[])[];
}

interface Work {
  readonly encoding: Kind["encoding"];
  readonly channel: string;
  readonly together: number;
  /** Clients of each side, one after the other, all of which get all frames. */
  readonly clients: number;
  readonly pairs: number;
  readonly plant: boolean;
  readonly ours: Part;
  readonly theirs: Part;
}

const CLIENTS = 10;
const PATIENCE_MS = 120_000;

export async function dispatch(
  { encoding, together }: Kind,
  { folder, generations, pairs, messages, plant }: DispatchOptions,
): Promise<Dispatched> {
  const all = notes(messages);
  const isJson = encoding === "json";
  const ours = await ourFrames(all, together, isJson ? "json" : protobuf);
  const theirs = (isJson ? theirJson : theirProtobuf)(all, together);
  const work: Work = {
    ...{ encoding, together, pairs, plant, channel: CHANNEL, clients: CLIENTS },
    ours: partOf(ours),
    theirs: partOf(theirs),
  };
  const file = join(folder, "work.json");
  await writeFile(file, JSON.stringify(work));
  const runs: (readonly (readonly [number, number])[])[] = [];
  for (let i = 0; i < generations; i++) {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--expose-gc", "dispatch.mjs", file],
      { cwd: folder, timeout: PATIENCE_MS },
    );
    runs.push(JSON.parse(stdout));
  }
  const perSecond = (side: 0 | 1) => 1e9 / median(runs.flat().map((pair) => pair[side]));
  const ratios = runs.map((run) => median(run.map(([own, their]) => their / own)));
  return { ratio: medianInterval(ratios), ours: perSecond(0), theirs: perSecond(1) };
}

function partOf({ answers, turns }: Frames): Part {
  return { answers: answers.map(textOf), turns: turns.map((frames) => frames.map(textOf)) };
}

function textOf(frame: Frame): string {
  return typeof frame === "string" ? frame : Buffer.from(frame).toString("base64");
}
