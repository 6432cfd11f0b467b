/**
 * What a channel's log needs from a disk. Every method is synchronous, and what one turn of the
 * event loop writes becomes durable together: that is what makes append, dedup and numbering one
 * step. Rows are dense by offset; the store drops only the oldest, by reusing its place.
 */
export interface LogRow {
  /** Dense from 1. */
  readonly offset: number;
  readonly key: string;
  /** Unix milliseconds. */
  readonly time: number;
  /** A `messageloop.internal.v1.EntryBody`. */
  readonly body: Uint8Array;
}

export type LogKey = Omit<LogRow, "body">;

export interface LogStore {
  /** The epoch of the log, or undefined when there is none yet. */
  epoch(): string | undefined;
  /** Starts the log's life. Called once, before the first row. */
  begin(epoch: string): void;
  /** Offset of the newest row, 0 when there is none. Reads at most a handful of rows. */
  head(): number;
  /**
   * Writes a row behind the newest. With `reuse` it takes the place of the oldest row, which is
   * gone afterwards. Costs one row written either way.
   */
  append(row: LogRow, reuse: boolean): void;
  /** Rows with an offset in (after, until], ascending. */
  read(after: number, until: number): Iterable<LogRow>;
  /** All rows without their bodies, ascending. */
  keys(): Iterable<LogKey>;
}
