/**
 * The truth of one channel: its epoch, its offsets and what was published under them. The log is
 * the single writer; it is pure logic over a store and changes everything in one synchronous step.
 */
import { firstWhere } from "./halving.ts";
import type { LogClock, LogRandom } from "./log-ports.ts";
import type { LogKey, LogRow, LogStore } from "./log-store.ts";
import type { LogRules } from "./rules.ts";
import { SmallMap } from "./small-map.ts";

export interface Appended {
  readonly offset: number;
  /** Unix milliseconds; of the first one for a duplicate. */
  readonly time: number;
  /** The key was in the log already: nothing was written. */
  readonly duplicate: boolean;
}

/** Why history begins where it does. */
export type TrimReason = "head_trimmed" | "expired";

/** What history holds now. */
export interface Retained {
  /** Offset of its oldest entry; one past the head when it holds none. */
  readonly first: number;
  /** What became of the entry before that; undefined when there never was one. */
  readonly reason: TrimReason | undefined;
}

/** Which part of history is asked for. */
export interface PageQuery {
  /** Exclusive: entries after it, or before it in reverse. Undefined begins at that end. */
  readonly since?: number | undefined;
  /** Entries at most. */
  readonly limit: number;
  /** Newest first. */
  readonly reverse?: boolean;
  /** Bytes of bodies at most; one entry always fits. */
  readonly maxBytes?: number;
}

export interface Page extends Retained {
  /** In the order that was asked for, dense. */
  readonly rows: readonly LogRow[];
  /** There are more in this direction. */
  readonly more: boolean;
}

/** Keys that one call of `trim` drops at most. */
const TRIMMED_AT_ONCE = 1_000;

export class ChannelLog {
  readonly epoch: string;
  readonly #store: LogStore;
  readonly #clock: LogClock;
  readonly #rules: LogRules;
  #removed: number;
  #head: number;
  /** Of the newest entry. */
  #lastTime: number;
  /** Read at the first publish: a channel that only listens never pays for it. */
  #index: KeyIndex | undefined;

  constructor(store: LogStore, clock: LogClock, random: LogRandom, rules: LogRules) {
    this.#store = store;
    this.#clock = clock;
    this.#rules = rules;
    let meta = store.meta();
    if (meta === undefined) {
      meta = { epoch: random.epoch(), removed: 0 };
      store.setMeta(meta);
    }
    this.epoch = meta.epoch;
    this.#removed = meta.removed;
    const newest = store.newest();
    this.#head = newest?.offset ?? 0;
    this.#lastTime = newest?.time ?? 0;
  }

  /** Offset of the newest entry, 0 before the first. */
  get head(): number {
    return this.#head;
  }

  /** When the newest entry came, Unix milliseconds; 0 before the first. */
  get lastTime(): number {
    return this.#lastTime;
  }

  /** Appends a body under a key, or finds the entry that the key stands for already. */
  append(key: string, body: Uint8Array): Appended {
    // A clock that was set back must not make an entry older than the one before it.
    const now = Math.max(this.#clock.now(), this.#lastTime);
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
    this.#lastTime = now;
    this.#store.release?.(offset - this.#rules.historySize + 1);
    return { offset, time: now, duplicate: false };
  }

  /** What history holds now: by size, by age, and by what was removed. */
  retained(): Retained {
    const { historySize, historyTtlMs } = this.#rules;
    const end = this.#head + 1;
    const bySize = Math.max(end - historySize, this.#removed + 1, this.#store.oldest() ?? end);
    const born = this.#clock.now() - historyTtlMs;
    const first = this.#firstAfter(born, Math.min(bySize, end), end);
    if (first === 1) return { first, reason: undefined };
    const lost = first - 1;
    const trimmed = lost <= this.#removed || this.#head - lost >= historySize;
    return { first, reason: trimmed ? "head_trimmed" : "expired" };
  }

  /** A page of history. */
  page({ since, limit, reverse = false, maxBytes = Number.MAX_SAFE_INTEGER }: PageQuery): Page {
    const retained = this.retained();
    const oldest = retained.first - 1;
    const [after, until] = reverse
      ? [oldest, Math.min((since ?? this.#head + 1) - 1, this.#head)]
      : [Math.max(since ?? 0, oldest), this.#head];
    const rows: LogRow[] = [];
    let bytes = 0;
    // The store is asked for no more than can be taken.
    const source = reverse
      ? this.#store.readBack(Math.max(after, until - limit), until)
      : this.#store.read(after, Math.min(until, after + limit));
    for (const row of source) {
      if (rows.length > 0 && bytes + row.body.length > maxBytes) break;
      rows.push(row);
      bytes += row.body.length;
    }
    return { ...retained, rows, more: until - after > rows.length };
  }

  /**
   * Stored rows in (after, until], ascending and dense, also those that history does not hold: for deliveries that
   * are owed. May start later than asked where older rows were dropped.
   */
  read(after: number, until: number): Iterable<LogRow> {
    return this.#store.read(after, until);
  }

  /** Takes every entry out of history. Offsets go on, and repeated keys are still known. */
  removeHistory(): void {
    this.#removed = this.#head;
    this.#store.setMeta({ epoch: this.epoch, removed: this.#removed });
    this.trim();
  }

  /** Lets the store drop what has grown too old: bodies, and keys that are not compared any more. */
  trim(): void {
    this.#store.release?.(this.retained().first);
    if (this.#store.drop === undefined || this.#index === undefined) return;
    const now = Math.max(this.#clock.now(), this.#lastTime);
    for (let dropped = 0; dropped < TRIMMED_AT_ONCE; dropped++) {
      const oldest = this.#index.oldest();
      if (oldest === undefined || this.#wants(oldest, this.#head, now)) break;
      this.#store.drop();
      this.#index.shift();
    }
    if (this.#index.oldest() === undefined) this.#index = undefined;
  }

  /**
   * Takes the oldest entries out of history until so many bytes of bodies are free. A request for them
   * gets the gap that history was too short.
   */
  shed(bytes: number): void {
    let freed = 0;
    for (const { offset, body } of this.#store.read(this.retained().first - 1, this.#head)) {
      if (freed >= bytes) break;
      freed += body.length;
      this.#removed = offset;
    }
    this.#store.setMeta({ epoch: this.epoch, removed: this.#removed });
    this.#store.release?.(this.#removed + 1);
  }

  /** The first offset in [from, end) that came after a time, or `end`. Times only rise. */
  #firstAfter(time: number, from: number, end: number): number {
    const isAfter = (offset: number): boolean => (this.#store.time(offset) ?? 0) > time;
    // Most often it is the first.
    return from >= end || isAfter(from) ? from : firstWhere(from, end, isAfter);
  }

  /** Whether history or dedup still wants a row when `head` is the newest offset. */
  #wants(row: LogKey, head: number, now: number): boolean {
    const { historySize, historyTtlMs, dedupSize, dedupWindowMs } = this.#rules;
    const behind = head - row.offset;
    const age = now - row.time;
    return (
      (behind < historySize && age < historyTtlMs && row.offset > this.#removed) ||
      (behind < dedupSize && age < dedupWindowMs)
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
  readonly #byKey = new SmallMap<string, LogKey>();
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
    // A list that is made for one entry has no room for more, of which most channels never have any.
    if (this.#rows.length === 0) this.#rows = [row];
    else this.#rows.push(row);
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
