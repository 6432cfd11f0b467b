/**
 * What an object's calls of one backend have come to, as lines of the log: metrics are of gateways alone, channels call
 * backends as well, and Workers Logs can count fields. A line is written with a call that ends, so that no timer keeps the object awake; what has
 * not been reported when the object sleeps or is reset is lost.
 */
import type { Clock, Logger } from "../../engine/ports/platform.ts";
import { type BackendStats, CALL_OUTCOMES, type LaneStats } from "../../proxy/calls/counts.ts";

/** The least time between two lines of one kind of calls, in milliseconds. */
export const REPORT_EVERY_MS = 60_000;

export interface CallReportHost {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the calls have come to until now. */
  stats(): BackendStats;
}

export class CallReport {
  readonly #host: CallReportHost;
  #told: { readonly at: number; readonly lanes: BackendStats["lanes"] } | undefined;

  constructor(host: CallReportHost) {
    this.#host = host;
  }

  /** A call has ended, and was counted. */
  ended(): void {
    const now = this.#host.clock.now();
    this.#told ??= { at: now, lanes: {} };
    // The clock may have been set back.
    if (Math.abs(now - this.#told.at) < REPORT_EVERY_MS) return;
    const { at, lanes: before } = this.#told;
    const { name: backend, lanes } = this.#host.stats();
    this.#told = { at: now, lanes };
    const seconds = Math.round(Math.abs(now - at) / 1_000);
    for (const [calls, lane] of Object.entries(lanes)) {
      const counts = countsSince(before[calls as keyof typeof before], lane);
      if (Object.keys(counts).length === 0) continue;
      const { waiting, circuit } = lane;
      const fields = { backend, calls, seconds, ...counts, waiting, circuit };
      this.#host.logger.info?.("backend calls", fields);
    }
  }
}

/** Outcomes that there were since, and how many calls were sent a second time. */
function countsSince(before: LaneStats | undefined, now: LaneStats): Record<string, number> {
  const outcomes = CALL_OUTCOMES.map((name): [string, number] => [
    name,
    now.outcomes[name] - (before?.outcomes[name] ?? 0),
  ]);
  const retries = now.retries - (before?.retries ?? 0);
  return Object.fromEntries(
    [...outcomes, ["retries", retries] as const].filter(([, count]) => count > 0),
  );
}
