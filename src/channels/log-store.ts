/**
 * What a channel's log needs from a disk. Every method is synchronous, and what one turn of the
 * event loop writes becomes durable together: that is what makes append, dedup and numbering one
 * step. Rows are dense by offset; the store drops only the oldest, by reusing its place.
 */
export interface LogRow {
  /** Dense from 1. */
  readonly offset: number;
  readonly key: string;
  /** Unix milliseconds; never less than that of the row before. */
  readonly time: number;
  /** A `messageloop.internal.v1.EntryBody`. */
  readonly body: Uint8Array;
}

export type LogKey = Omit<LogRow, "body">;

/** What a log is beside its rows. */
export interface LogMeta {
  readonly epoch: string;
  /** Entries up to this offset were taken out of history; 0 when none were. */
  readonly removed: number;
}

export interface LogStore {
  /** Undefined where there is no log yet. */
  meta(): LogMeta | undefined;
  /** Starts the log's life, before the first row, or notes what was removed. */
  setMeta(meta: LogMeta): void;
  /** Offset and time of the newest row. Reads at most a handful of rows. */
  newest(): Pick<LogRow, "offset" | "time"> | undefined;
  /** Offset of the oldest row that still has its body, or undefined. Reads at most a handful of rows. */
  oldest(): number | undefined;
  /** Time of a row that is there. */
  time(offset: number): number | undefined;
  /**
   * Writes a row after the newest. With `reuse` it takes the place of the oldest row, which is
   * gone afterwards. Costs one row written either way.
   */
  append(row: LogRow, reuse: boolean): void;
  /** Rows with an offset in (after, until] that still have their bodies, ascending. */
  read(after: number, until: number): Iterable<LogRow>;
  /** The same, descending. */
  readBack(after: number, until: number): Iterable<LogRow>;
  /** All rows without their bodies, ascending. */
  keys(): Iterable<LogKey>;
  /**
   * Bodies below an offset are not needed any more. A store that pays for memory MAY drop them; one
   * that pays for writes leaves them.
   */
  release?(before: number): void;
  /**
   * The oldest row is not needed any more, not even its key. A store that pays for memory MAY drop it; one
   * that pays for writes leaves the method out.
   */
  drop?(): void;
}
