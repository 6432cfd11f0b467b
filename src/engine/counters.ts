/**
 * What a node counts while it works, for its operator. Plain numbers on one object: to count is an
 * addition without a look-up or an allocation, so it may stand where every delivery passes.
 */
import type { GapReason } from "./ports/broker.ts";

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
export interface CounterStats {
  /** Sessions of fresh connections, those that never sent connect included. */
  readonly opened: number;
  /** Publishes that the broker has acknowledged. */
  readonly published: number;
  /** Those of them that were in the log already. */
  readonly duplicates: number;
  /** Recoveries that missed nothing, and those that got a gap. */
  readonly recovered: number;
  readonly recoveredWithGap: number;
  /** Messages read from the log for sessions that had missed them. */
  readonly replayed: number;
  /** Gaps that live subscriptions met, by reason, reported or not. */
  readonly gaps: Readonly<Record<GapReason, number>>;
  /** Bytes of frames from clients. */
  readonly bytesIn: number;
  /** Bytes of frames handed to transports. */
  readonly bytesOut: number;
  /** Deliveries that were dropped from the queues of slow consumers, which were closed with 3510. */
  readonly queueDrops: number;
  /** Surveys that have ended. */
  readonly surveys: number;
  /** Answers that their surveys took. */
  readonly surveyAnswers: number;
  /** Sessions that were asked and did not answer. */
  readonly surveySilent: number;
  /** Durations of the RPCs that a backend was asked. */
  readonly rpcs: Readonly<Record<RpcOutcome, HistogramStats>>;
  /** Exceptions that were not foreseen; each is in the log, and ended at most the session that it came from. */
  readonly internalErrors: number;
}

/** Those that a host counts itself. */
export type HostCounters = Pick<Counters, "internalErrors" | "queueDrops">;

export class Counters {
  opened = 0;
  published = 0;
  duplicates = 0;
  recovered = 0;
  recoveredWithGap = 0;
  replayed = 0;
  readonly gaps: Record<GapReason, number> = {
    head_trimmed: 0,
    expired: 0,
    epoch_changed: 0,
    limit: 0,
    unavailable: 0,
  };
  bytesIn = 0;
  bytesOut = 0;
  queueDrops = 0;
  surveys = 0;
  surveyAnswers = 0;
  surveySilent = 0;
  internalErrors = 0;
  readonly rpcs: Readonly<Record<RpcOutcome, DurationHistogram>> = {
    ok: new DurationHistogram(),
    error: new DurationHistogram(),
    timeout: new DurationHistogram(),
    cancelled: new DurationHistogram(),
  };

  /** A copy that later counting does not change. */
  stats(): CounterStats {
    const { ok, error, timeout, cancelled } = this.rpcs;
    return {
      ...this,
      gaps: { ...this.gaps },
      rpcs: {
        ok: ok.stats(),
        error: error.stats(),
        timeout: timeout.stats(),
        cancelled: cancelled.stats(),
      },
    };
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
