/** A log store in memory: the memory broker's, and the reference for every other store. */
import type { LogKey, LogRow, LogStore } from "./log-store.ts";

export class MemoryLogStore implements LogStore {
  #epoch: string | undefined;
  #rows: LogRow[] = [];

  epoch(): string | undefined {
    return this.#epoch;
  }

  begin(epoch: string): void {
    this.#epoch = epoch;
  }

  head(): number {
    return this.#rows.at(-1)?.offset ?? 0;
  }

  append(row: LogRow, reuse: boolean): void {
    if (reuse) this.#rows.shift();
    this.#rows.push(row);
  }

  read(after: number, until: number): Iterable<LogRow> {
    return this.#rows.filter((row) => row.offset > after && row.offset <= until);
  }

  keys(): Iterable<LogKey> {
    return this.#rows;
  }
}
