/** A log store in memory: the memory broker's, and the reference for every other store. */
import type { LogKey, LogMeta, LogRow, LogStore } from "./log-store.ts";

const NO_BODY = new Uint8Array();
/** What stands in an empty place. */
const NO_ROW: LogRow = { offset: 0, key: "", time: 0, body: NO_BODY };
/** What a row takes beside its body, about; in bytes. */
export const ROW_BYTES = 250;
/** Places that may stand empty at the front of the list before it is cut. */
const MAX_EMPTY = 1_024;

export class MemoryLogStore implements LogStore {
  #meta: LogMeta | undefined;
  #rows: LogRow[] = [];
  /** Index of the oldest row. */
  #start = 0;
  /** Rows below this offset have no body any more. */
  #released = 0;
  #bytes = 0;

  /** Bytes of the rows that have their bodies, with what a row takes beside it. */
  get bytes(): number {
    return this.#bytes;
  }

  meta(): LogMeta | undefined {
    return this.#meta;
  }

  setMeta(meta: LogMeta): void {
    this.#meta = meta;
  }

  newest(): LogRow | undefined {
    return this.#start < this.#rows.length ? this.#rows.at(-1) : undefined;
  }

  oldest(): number | undefined {
    const first = this.#rows[this.#start]?.offset;
    const last = this.#rows.at(-1)?.offset;
    if (first === undefined || last === undefined || this.#released > last) return undefined;
    return Math.max(first, this.#released);
  }

  time(offset: number): number | undefined {
    return this.#rows[this.#index(offset)]?.time;
  }

  append(row: LogRow, reuse: boolean): void {
    // A list that is made for one row has no room for more, of which most channels never have any.
    if (this.#rows.length === 0) this.#rows = [row];
    else this.#rows.push(row);
    this.#bytes += sizeOf(row);
    if (reuse) this.drop();
  }

  drop(): void {
    const oldest = this.#rows[this.#start];
    if (oldest === undefined) return;
    this.#bytes -= sizeOf(oldest);
    this.#rows[this.#start] = NO_ROW;
    this.#start += 1;
    // Cutting once in a while keeps append O(1) without a linked list.
    if (this.#start > MAX_EMPTY && this.#start * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#start);
      this.#start = 0;
    }
  }

  *read(after: number, until: number): Iterable<LogRow> {
    const oldest = this.oldest();
    if (oldest === undefined) return;
    const end = Math.min(this.#index(until), this.#rows.length - 1);
    for (let i = this.#index(Math.max(after + 1, oldest)); i <= end; i++) {
      yield this.#rows[i] as LogRow;
    }
  }

  *readBack(after: number, until: number): Iterable<LogRow> {
    const oldest = this.oldest();
    if (oldest === undefined) return;
    const end = this.#index(Math.max(after + 1, oldest));
    for (let i = Math.min(this.#index(until), this.#rows.length - 1); i >= end; i--) {
      yield this.#rows[i] as LogRow;
    }
  }

  *keys(): Iterable<LogKey> {
    for (let i = this.#start; i < this.#rows.length; i++) yield this.#rows[i] as LogRow;
  }

  release(before: number): void {
    const first = this.#rows[this.#start]?.offset ?? 0;
    for (let offset = Math.max(this.#released, first); offset < before; offset++) {
      const index = this.#index(offset);
      const row = this.#rows[index];
      if (row === undefined) break;
      this.#bytes -= sizeOf(row);
      this.#rows[index] = { ...row, body: NO_BODY };
    }
    this.#released = Math.max(this.#released, before);
  }

  #index(offset: number): number {
    const first = this.#rows[this.#start]?.offset ?? 1;
    return offset - first + this.#start;
  }
}

function sizeOf({ body }: LogRow): number {
  return body === NO_BODY ? 0 : ROW_BYTES + body.length;
}
