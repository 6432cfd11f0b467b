/**
 * What a node counts while it works, for its operator. Plain numbers on one object: to count is an
 * addition without a look-up or an allocation, so it may stand where every delivery passes.
 */
import { recordOf } from "../channels/maps.ts";
import type { GapReason } from "./ports/broker.ts";
import { Incidents } from "./ports/incidents.ts";

/** How an RPC ended. `cancelled` means that the client left first, so the backend is not to blame. */
export const RPC_OUTCOMES = ["ok", "error", "timeout", "cancelled"] as const;
export type RpcOutcome = (typeof RPC_OUTCOMES)[number];

/**
 * Upper bounds of a duration histogram's buckets, in seconds. They reach past the longest timeout that
 * is usual, 30 s, since a timer is always a little late.
 */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Why messages are missing, in the order of the metrics. */
export const GAP_REASONS = [
  "head_trimmed",
  "expired",
  "epoch_changed",
  "limit",
  "unavailable",
] as const satisfies readonly GapReason[];

export interface HistogramStats {
  /** How many fell into each bucket alone, in the order of the bounds; the last is past all bounds. */
  readonly buckets: readonly number[];
  readonly count: number;
  /** In seconds. */
  readonly sum: number;
}

/** What has been counted since the node started. */
export type CounterStats = Readonly<Omit<Counters, "gaps" | "incidents" | "rpcs" | "stats">> & {
  readonly gaps: Readonly<Counters["gaps"]>;
  readonly rpcs: Readonly<Record<RpcOutcome, HistogramStats>>;
};

/** Those that a host counts itself, or reads. */
export type HostCounters = Pick<Counters, "incidents" | "internalErrors" | "queueDrops">;

export class Counters {
  /** Sessions of fresh connections, those that never sent connect included. */
  opened = 0;
  /** Publishes that the broker has acknowledged. */
  published = 0;
  /** Those of them that were in the log already. */
  duplicates = 0;
  /** Recoveries that missed nothing, and those that got a gap. */
  recovered = 0;
  recoveredWithGap = 0;
  /** Messages read from the log for sessions that had missed them. */
  replayed = 0;
  /** Gaps that live subscriptions met, by reason, reported or not. */
  readonly gaps: Record<GapReason, number> = recordOf(GAP_REASONS, () => 0);
  /** The latest gaps and slow consumers one by one. */
  readonly incidents = new Incidents();
  /** Bytes of frames from clients. */
  bytesIn = 0;
  /** Bytes of frames handed to transports. */
  bytesOut = 0;
  /** Deliveries that were dropped from the queues of slow consumers, which were closed with 3510. */
  queueDrops = 0;
  /** Surveys that have ended. */
  surveys = 0;
  /** Answers that their surveys took. */
  surveyAnswers = 0;
  /** Sessions that were asked and did not answer. */
  surveySilent = 0;
  /** Exceptions that were not foreseen; each is in the log, and ended at most the session that it came from. */
  internalErrors = 0;
  /** Durations of the RPCs that a backend was asked. */
  readonly rpcs = recordOf(RPC_OUTCOMES, () => new DurationHistogram());

  /** A copy that later counting does not change. */
  stats(): CounterStats {
    const rpcs = recordOf(RPC_OUTCOMES, (outcome) => this.rpcs[outcome].stats());
    const { incidents: _, ...plain } = this;
    return { ...plain, gaps: { ...this.gaps }, rpcs };
  }
}

export class DurationHistogram {
  readonly #buckets: number[] = new Array(DURATION_BUCKETS.length + 1).fill(0);
  #count = 0;
  #sum = 0;

  observe(milliseconds: number): void {
    // A clock that was set back must not make a sum fall, which a reader would take for a restart.
    const seconds = Math.max(0, milliseconds) / 1_000;
    let bucket = 0;
    while (seconds > (DURATION_BUCKETS[bucket] ?? Infinity)) bucket += 1;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sum += seconds;
  }

  stats(): HistogramStats {
    return { buckets: [...this.#buckets], count: this.#count, sum: this.#sum };
  }
}
