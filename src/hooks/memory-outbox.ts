/** An outbox that ends with its process: what has not been delivered by then is lost. */
import { firstWhere } from "../channels/halving.ts";
import type { LifecycleEvent } from "../engine/ports/lifecycle.ts";
import { MAX_EVENTS, type Outbox, type OutboxPage, type OutboxRow, type Place } from "./outbox.ts";

/** Rows that have been removed and still take a place, beside as many as there are. */
const SPARE = 1_024;

interface Slot {
  readonly place: number;
  row: OutboxRow | undefined;
}

/**
 * @example
 * const outbox = new MemoryOutbox();
 * outbox.add([event]);
 * const { rows } = outbox.read(undefined, 500);
 * outbox.remove(rows); // when a backend has taken them
 */
export class MemoryOutbox implements Outbox {
  readonly remembers = false;
  readonly #most: number;
  /** Ascending by place. */
  #slots: Slot[] = [];
  /** All slots before it are empty. */
  #head = 0;
  #last = 0;
  #size = 0;
  #overflowed = 0;

  /** @param most events that are kept */
  constructor(most = MAX_EVENTS) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  get overflowed(): number {
    return this.#overflowed;
  }

  add(events: readonly LifecycleEvent[]): undefined {
    for (const event of events) {
      this.#last += 1;
      this.#slots.push({ place: this.#last, row: { place: this.#last, event } });
      this.#size += 1;
      if (this.#size > this.#most) this.#drop();
    }
    return undefined;
  }

  read(after: Place | undefined, limit: number): OutboxPage {
    const rows: OutboxRow[] = [];
    let at = Math.max(this.#indexBehind(Number(after ?? 0)), this.#head);
    for (; at < this.#slots.length && rows.length < limit; at++) {
      const row = this.#slots[at]?.row;
      if (row !== undefined) rows.push(row);
    }
    return { rows, next: rows.at(-1)?.place };
  }

  remove(rows: readonly OutboxRow[]): void {
    for (const { place } of rows) {
      const slot = this.#slots[this.#indexBehind(Number(place) - 1)];
      if (slot?.place !== place || slot.row === undefined) continue;
      slot.row = undefined;
      this.#size -= 1;
    }
    this.#tidy();
  }

  #drop(): void {
    this.#tidy();
    const oldest = this.#slots[this.#head];
    if (oldest === undefined) return;
    oldest.row = undefined;
    this.#size -= 1;
    this.#overflowed += 1;
  }

  #tidy(): void {
    while (this.#head < this.#slots.length && this.#slots[this.#head]?.row === undefined) {
      this.#head += 1;
    }
    if (this.#slots.length <= 2 * this.#size + SPARE) return;
    this.#slots = this.#slots.filter(({ row }) => row !== undefined);
    this.#head = 0;
  }

  /** Index of the first slot after a place. */
  #indexBehind(place: number): number {
    return firstWhere(0, this.#slots.length, (at) => (this.#slots[at]?.place ?? 0) > place);
  }
}
