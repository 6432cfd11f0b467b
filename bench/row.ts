/**
 * A row of the table: one question, asked of all targets of its group. To write one, open a load on the target that is
 * handed in, take a sample at saturation and one at a fixed rate, and close the load. `rows/publish.ts` does that for
 * everything that publishes.
 */
import type { Generator } from "./generator/generator.ts";
import type { Running, Target } from "./target.ts";
import type { Turn } from "./turns.ts";

export interface Row {
  /** As on the command line: "fan-out-1000". */
  readonly name: string;
  /** What is asked, in a few words. */
  readonly question: string;
  /** What is counted: "deliveries", "clients". */
  readonly unit: string;
  /** Which targets can answer. Default all. */
  on?(target: Target): boolean;
  measure(stage: Stage): Promise<Measurement>;
}

/** What a row is measured on. */
export interface Stage {
  readonly target: Target;
  readonly running: Running;
  readonly generator: Generator;
  /** A name that no row has used on this target. */
  readonly channel: string;
  /** How long a sample takes, in seconds. */
  readonly seconds: number;
  /** Whether to find out what can be done at all. It is quoted and judges nothing. */
  readonly saturate: boolean;
  /**
   * Lets the row's other targets go on, and resolves when it is this one's turn again. Nothing else runs in between its
   * turns, so that what is measured has to be done in one of them.
   */
  readonly turn: Turn;
}

/** CPU nanoseconds, bytes, or billionths of a dollar. */
export type CostUnit = "ns" | "bytes" | "nanodollars";

export interface Measurement {
  /** What judges, of one operation. */
  readonly cost: number;
  /** The same of each part of the sample. Targets took each part in turns, so that parts of one number are a pair. */
  readonly parts?: readonly number[];
  /** Operations of one publish, where the row publishes. */
  readonly perPublish?: number;
  readonly saturation?: Saturation;
  /** Counts of a Histogram, at the fixed rate. */
  readonly latency?: Float64Array;
  /** Share of the publishes at the fixed rate that left late. */
  readonly late?: number;
  /** Deliveries that came at once, at the fixed rate. Where targets differ in it they did not do the same. */
  readonly together?: number;
  /** What was counted for a million operations, by its name. */
  readonly counted?: Readonly<Record<string, number>>;
}

export interface Saturation {
  /** Operations a second. */
  readonly perSecond: number;
  /** CPU of both at that time, in cores. Where the generator is busier the target may be able to do more. */
  readonly target: number;
  readonly generator: number;
}

/** Targets that are measured beside each other, and the rows that are measured on them. */
export interface Group {
  /** "server", "threads", "worker" or "redis". */
  readonly host: string;
  /** What `cost` of its rows is. Default "ns". */
  readonly cost?: CostUnit;
  /** Whether its rows take so long that there are fewer generations. */
  readonly slow?: boolean;
  /** Whether what its rows count hardly varies, so that one generation says it. */
  readonly counted?: boolean;
  /** Our own program, from a tree. */
  ours(tree: string): Target;
  /** The same, with `Running.burden`. Left out where it cannot be made slower. */
  burdened?(tree: string): Target;
  readonly baselines: readonly Target[];
  /** What is done with each target that was just started, before the rows. */
  warm(stage: Stage): Promise<void>;
  readonly rows: readonly Row[];
}
