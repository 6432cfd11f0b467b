/**
 * The truth of one channel: its epoch, its offsets and what was published under them. The log is
 * the single writer; it is pure logic over a store and changes everything in one synchronous step.
 */
import type { Clock, LogRandom } from "./log-ports.ts";
import type { LogKey, LogRow, LogStore } from "./log-store.ts";

/** How much a channel remembers. */
export interface LogRules {
  /** Entries that history holds. */
  readonly historySize: number;
  /** How long history holds an entry, in milliseconds. */
  readonly historyTtlMs: number;
  /** Events that dedup remembers. */
  readonly dedupSize: number;
  /** How long dedup remembers an event, in milliseconds. */
  readonly dedupWindowMs: number;
}

export const DEFAULT_LOG_RULES: LogRules = {
  historySize: 256,
  historyTtlMs: 24 * 60 * 60 * 1000,
  dedupSize: 8192,
  dedupWindowMs: 5 * 60 * 1000,
};

export interface Appended {
  readonly offset: number;
  /** Unix milliseconds; of the first one for a duplicate. */
  readonly time: number;
  /** The key was in the log already: nothing was written. */
  readonly duplicate: boolean;
}

export class ChannelLog {
  readonly epoch: string;
  readonly #store: LogStore;
  readonly #clock: Clock;
  readonly #rules: LogRules;
  #head: number;
  /** Read at the first publish: a channel that only listens never pays for it. */
  #index: KeyIndex | undefined;

  constructor(
    store: LogStore,
    clock: Clock,
    random: LogRandom,
    rules: LogRules = DEFAULT_LOG_RULES,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#rules = rules;
    let epoch = store.epoch();
    if (epoch === undefined) {
      epoch = random.epoch();
      store.begin(epoch);
    }
    this.epoch = epoch;
    this.#head = store.head();
  }

  /** Offset of the newest entry, 0 before the first. */
  get head(): number {
    return this.#head;
  }

  /** Appends a body under a key, or finds the entry that the key stands for already. */
  append(key: string, body: Uint8Array): Appended {
    const now = this.#clock.now();
    this.#index ??= new KeyIndex(this.#store.keys());
    const known = this.#index.get(key);
    if (known !== undefined && this.#remembers(known, now)) {
      return { offset: known.offset, time: known.time, duplicate: true };
    }
    const offset = this.#head + 1;
    const oldest = this.#index.oldest();
    const reuse = oldest !== undefined && !this.#wants(oldest, offset, now);
    const row: LogRow = { offset, key, time: now, body };
    this.#store.append(row, reuse);
    if (reuse) this.#index.shift();
    this.#index.push({ offset, key, time: now });
    this.#head = offset;
    return { offset, time: now, duplicate: false };
  }

  /**
   * Stored rows in (after, until], ascending and dense. May start later than asked where older rows
   * were dropped.
   */
  read(after: number, until: number): Iterable<LogRow> {
    return this.#store.read(after, until);
  }

  /** Whether history or dedup still wants a row when `head` is the newest offset. */
  #wants(row: LogKey, head: number, now: number): boolean {
    const { historySize, historyTtlMs, dedupSize, dedupWindowMs } = this.#rules;
    const behind = head - row.offset;
    const age = now - row.time;
    return (
      (behind < historySize && age < historyTtlMs) || (behind < dedupSize && age < dedupWindowMs)
    );
  }

  /** Whether a row lies in the dedup window of the next append. */
  #remembers(row: LogKey, now: number): boolean {
    const { dedupSize, dedupWindowMs } = this.#rules;
    return this.#head - row.offset < dedupSize && now - row.time < dedupWindowMs;
  }
}

/** The keys of all rows, oldest first, and the newest row of each key. */
class KeyIndex {
  readonly #byKey = new Map<string, LogKey>();
  #rows: LogKey[] = [];
  #start = 0;

  constructor(rows: Iterable<LogKey>) {
    for (const row of rows) this.push(row);
  }

  get(key: string): LogKey | undefined {
    return this.#byKey.get(key);
  }

  oldest(): LogKey | undefined {
    return this.#rows[this.#start];
  }

  push(row: LogKey): void {
    this.#rows.push(row);
    this.#byKey.set(row.key, row);
  }

  shift(): void {
    const row = this.#rows[this.#start];
    if (row === undefined) return;
    if (this.#byKey.get(row.key) === row) this.#byKey.delete(row.key);
    this.#start += 1;
    // Compacting once in a while keeps shift O(1) without a linked list.
    if (this.#start > 1024 && this.#start * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#start);
      this.#start = 0;
    }
  }
}
