/** What the counters of a region keep: how each channel was when it reported last. */
import type { NameRange } from "../../channels/name-order.ts";

export interface ReportRow {
  readonly channel: string;
  readonly members: number;
  /** Until when the channel is listed, Unix milliseconds; undefined while there are subscribers. */
  readonly until: number | undefined;
}

export interface ReportStore {
  save(row: ReportRow): void;
  /** Rows of names after one and inside a range, in the order of the names, at most so many. */
  list(after: string, range: NameRange, limit: number): Iterable<ReportRow>;
  /** Forgets channels that are listed no more at a time, Unix milliseconds. */
  dropOver(time: number): void;
  /** When the first of those that have an end is listed no more, Unix milliseconds; undefined where none has. */
  firstEnd(): number | undefined;
  /** Whether there is no row. */
  readonly empty: boolean;
}
