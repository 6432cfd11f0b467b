/**
 * The newest entries of a channel as bytes, so that what every gateway gets is encoded once. Bounded;
 * what it does not hold any more is read from the log, if the channel has one.
 */
import type { LogRow } from "../../channels/log-store.ts";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_QUEUED_BYTES } from "../../protocol/limits.ts";
import { encodeEntry } from "../calls/internal-codec.ts";

export interface EncodedEntry {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * @example
 * recent.push(row, () => 40);
 * recent.batch(40); // [{ offset: 41, bytes }]
 */
export class RecentEntries {
  /** Dense up to the head. */
  #entries: EncodedEntry[] = [];
  #bytes = 0;

  /** Offset of the oldest one, or undefined. */
  get first(): number | undefined {
    return this.#entries[0]?.offset;
  }

  /**
   * Takes the newest entry.
   *
   * @param had the offset up to which every gateway has everything; asked for when it matters
   */
  push(row: LogRow, had: () => number): void {
    const entry = { offset: row.offset, bytes: encodeEntry(row) };
    this.#entries.push(entry);
    this.#bytes += entry.bytes.length;
    this.#trim(had);
  }

  /** Those after an offset that make one batch. Starts with the oldest where that was dropped. */
  batch(after: number): readonly EncodedEntry[] {
    const index = Math.max(after + 1 - (this.first ?? 0), 0);
    return takeBatch(this.#entries.slice(index, index + MAX_BATCH_ENTRIES));
  }

  #trim(had: () => number): void {
    let drop = 0;
    while (this.#bytes > MAX_QUEUED_BYTES && drop < this.#entries.length - 1) {
      this.#bytes -= this.#entries[drop]?.bytes.length ?? 0;
      drop += 1;
    }
    // What every gateway has is not kept: an idle channel holds no memory.
    if (this.#entries.length > 2 * MAX_BATCH_ENTRIES) {
      const behind = had();
      while (drop < this.#entries.length - 1 && (this.#entries[drop]?.offset ?? 0) <= behind) {
        this.#bytes -= this.#entries[drop]?.bytes.length ?? 0;
        drop += 1;
      }
    }
    if (drop > 0) this.#entries = this.#entries.slice(drop);
  }
}

/** As many entries as one batch holds, one at least where there is one. Takes no more than it needs. */
export function takeBatch(entries: Iterable<EncodedEntry>): EncodedEntry[] {
  const batch: EncodedEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (batch.length > 0 && bytes + entry.bytes.length > MAX_BATCH_BYTES) break;
    batch.push(entry);
    bytes += entry.bytes.length;
    if (batch.length === MAX_BATCH_ENTRIES) break;
  }
  return batch;
}

export function* encodeRows(rows: Iterable<LogRow>): Iterable<EncodedEntry> {
  for (const row of rows) yield { offset: row.offset, bytes: encodeEntry(row) };
}
