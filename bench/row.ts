/**
 * A row of the table. To write one: give it a name and a host, and in `measure` open a load on the target that is
 * handed in, take a sample at saturation and one at a fixed rate, and close the load. `bench/rows/fan-out.ts` is an
 * example.
 */
import type { Generator } from "./generator/generator.ts";
import type { Running, Target } from "./target.ts";

export interface Row {
  /** As it is named on the command line: "fan-out-1000". */
  readonly name: string;
  /** What is asked, in a few words. */
  readonly question: string;
  /** What is counted: "deliveries", "publishes", "clients". */
  readonly unit: string;
  /** Names of the targets that it makes no sense on. */
  readonly without?: readonly string[];
  measure(stage: Stage): Promise<Measurement>;
}

/** What a row is measured on. */
export interface Stage {
  readonly target: Target;
  readonly running: Running;
  readonly generator: Generator;
  /** A name that no row has used on this target. */
  readonly channel: string;
  /** How long samples take, in seconds. */
  readonly seconds: number;
  /** Starts the target once more, with nothing in it, for rows that measure memory or what a start costs. */
  fresh<T>(use: (running: Running) => Promise<T>): Promise<T>;
}

export interface Measurement {
  /** What judges: CPU nanoseconds or bytes for each operation. */
  readonly cost: number;
  readonly costUnit: "ns" | "bytes";
  /** Operations a second at saturation. */
  readonly perSecond?: number;
  /** CPU of the generator at saturation beside the target's, both as a share of a core. */
  readonly busy?: { readonly generator: number; readonly target: number };
  /** Counts of a Histogram, at the fixed rate. */
  readonly latency?: Float64Array;
  /** Publishes at the fixed rate that left late. */
  readonly late?: number;
}

/** Targets that are measured beside each other, and the rows that are measured on them. */
export interface Group {
  /** "server", "worker", "redis". */
  readonly host: string;
  /** The program of a tree: its path, and what has to be built is built. */
  ours(tree: string): Promise<Prepared>;
  readonly baselines: readonly Target[];
  readonly rows: readonly Row[];
}

export interface Prepared {
  readonly target: Target;
  remove(): void;
}
