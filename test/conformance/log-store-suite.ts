/** The cases that every log store passes: one table, run on memory and on a Durable Object's SQLite. */
import { expect, test } from "vitest";
import { ChannelLog, type PageQuery } from "../../src/channels/log.ts";
import type { LogStore } from "../../src/channels/log-store.ts";
import { DEFAULT_CHANNEL_RULES, type LogRules } from "../../src/channels/rules.ts";
import { seed, seededRandom, steps } from "../support/random.ts";

/** Runs a case with a store; `reopen` is the same store as a fresh life of the log finds it. */
export type WithStore = (
  run: (store: LogStore, reopen: () => LogStore) => void | Promise<void>,
) => Promise<void>;

const small: LogRules = { historySize: 4, historyTtlMs: 1_000, dedupSize: 8, dedupWindowMs: 500 };
/** History outlives dedup here, as dedup outlives history above. */
const long: LogRules = { historySize: 8, historyTtlMs: 2_000, dedupSize: 3, dedupWindowMs: 100 };

/** A clock that tests move. */
export class ManualClock {
  time = 1_000_000;
  now = (): number => this.time;
}

function open(
  store: LogStore,
  clock = new ManualClock(),
  rules: LogRules = DEFAULT_CHANNEL_RULES,
): ChannelLog {
  let epochs = 0;
  const epoch = (): string => {
    epochs += 1;
    return `epoch${epochs}`;
  };
  return new ChannelLog(store, clock, { epoch }, rules);
}

function body(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Appends entries whose key and body say which one they are. */
function fill(log: ChannelLog, from: number, until: number): void {
  for (let i = from; i <= until; i++) log.append(`k${i}`, body(`${i}`));
}

function stored(log: ChannelLog, after = 0, until = Number.MAX_SAFE_INTEGER): [number, string][] {
  return [...log.read(after, until)].map((row) => [row.offset, new TextDecoder().decode(row.body)]);
}

/** A page as its offsets, and whether there is more. */
function paged(log: ChannelLog, query: PageQuery): [number[], boolean] {
  const { rows, more } = log.page(query);
  for (const row of rows) expect(new TextDecoder().decode(row.body)).toBe(`${row.offset}`);
  return [rows.map(({ offset }) => offset), more];
}

function kept(store: LogStore): number[] {
  return [...store.keys()].map(({ offset }) => offset);
}

const ALL = { limit: 1_000 };

export function logStoreSuite(withStore: WithStore): void {
  test("offsets are dense from 1 and what was appended is read back in order", () =>
    withStore((store) => {
      const log = open(store);
      expect(log.head).toBe(0);
      expect(log.lastTime).toBe(0);
      expect(["a", "b", "c"].map((key) => log.append(key, body(key)).offset)).toEqual([1, 2, 3]);
      expect(stored(log)).toEqual([
        [1, "a"],
        [2, "b"],
        [3, "c"],
      ]);
      expect(stored(log, 1, 2)).toEqual([[2, "b"]]);
      expect(stored(log, 3, 9)).toEqual([]);
    }));

  test("a fresh life finds epoch, head, time and keys", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const first = open(store, clock);
      first.append("a", body("a"));
      first.append("b", body("b"));
      const second = open(reopen(), clock);
      expect(second.epoch).toBe(first.epoch);
      expect(second.head).toBe(2);
      expect(second.lastTime).toBe(clock.time);
      expect(second.append("a", body("again"))).toMatchObject({ offset: 1, duplicate: true });
      expect(second.append("c", body("c"))).toMatchObject({ offset: 3, duplicate: false });
    }));

  test("a known key is answered with the first position and time, and writes nothing", () =>
    withStore((store) => {
      const clock = new ManualClock();
      const log = open(store, clock);
      const { time } = log.append("a", body("a"));
      clock.time += 10;
      expect(log.append("a", body("other"))).toEqual({ offset: 1, time, duplicate: true });
      expect(log.head).toBe(1);
      expect(log.lastTime).toBe(time);
      expect(stored(log)).toEqual([[1, "a"]]);
    }));

  test("a key is forgotten when its window has passed", () =>
    withStore((store) => {
      const clock = new ManualClock();
      const log = open(store, clock, small);
      log.append("a", body("a"));
      clock.time += 499;
      expect(log.append("a", body("b")).duplicate).toBe(true);
      clock.time += 1;
      expect(log.append("a", body("c"))).toMatchObject({ offset: 2, duplicate: false });
      expect(log.append("a", body("d"))).toMatchObject({ offset: 2, duplicate: true });
    }));

  test("a key is forgotten when enough events came after it", () =>
    withStore((store) => {
      const log = open(store, new ManualClock(), small);
      fill(log, 1, 8);
      expect(log.append("k1", body("x"))).toMatchObject({ offset: 1, duplicate: true });
      fill(log, 9, 9);
      expect(log.append("k1", body("x"))).toMatchObject({ offset: 10, duplicate: false });
    }));

  test("the oldest row goes only when neither history nor dedup wants it", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const log = open(store, clock, small);
      fill(log, 1, 6);
      // Dedup still wants all six, history only four.
      expect(kept(store)).toEqual([1, 2, 3, 4, 5, 6]);
      clock.time += 500;
      fill(log, 7, 8);
      expect(kept(store)).toEqual([3, 4, 5, 6, 7, 8]);
      const again = open(reopen(), clock, small);
      fill(again, 9, 9);
      expect(kept(store)).toEqual([4, 5, 6, 7, 8, 9]);
      // Time frees the rest of history too.
      clock.time += 1_000;
      fill(again, 10, 10);
      expect(kept(store).at(0)).toBe(5);
    }));

  test("the newest row is never dropped: the head outlives what was published under it", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      fill(open(store, clock, small), 1, 3);
      clock.time += 1_000_000;
      const log = open(reopen(), clock, small);
      expect(log.head).toBe(3);
      expect(log.retained()).toEqual({ first: 4, reason: "expired" });
      fill(log, 4, 4);
      expect(paged(log, ALL)).toEqual([[4], false]);
    }));

  test("history is cut by size", () =>
    withStore((store, reopen) => {
      const log = open(store, new ManualClock(), small);
      expect(log.retained()).toEqual({ first: 1, reason: undefined });
      fill(log, 1, 4);
      expect(log.retained()).toEqual({ first: 1, reason: undefined });
      fill(log, 5, 6);
      expect(log.retained()).toEqual({ first: 3, reason: "head_trimmed" });
      expect(paged(log, ALL)).toEqual([[3, 4, 5, 6], false]);
      expect(open(reopen(), new ManualClock(), small).retained().first).toBe(3);
    }));

  test("history is cut by age, and says so", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const log = open(store, clock, small);
      fill(log, 1, 2);
      clock.time += 400;
      fill(log, 3, 3);
      clock.time += 599;
      expect(log.retained()).toEqual({ first: 1, reason: undefined });
      clock.time += 1;
      expect(log.retained()).toEqual({ first: 3, reason: "expired" });
      expect(paged(log, ALL)).toEqual([[3], false]);
      clock.time += 399;
      expect(log.retained().first).toBe(3);
      clock.time += 1;
      expect(log.retained()).toEqual({ first: 4, reason: "expired" });
      expect(log.page(ALL).rows).toEqual([]);
      expect(open(reopen(), clock, small).retained()).toEqual({ first: 4, reason: "expired" });
      // The one before the first tells the reason: it was old, not too many.
      fill(log, 4, 4);
      expect(log.retained()).toEqual({ first: 4, reason: "expired" });
      fill(log, 5, 7);
      expect(log.retained()).toEqual({ first: 4, reason: "head_trimmed" });
    }));

  test("removing history keeps offsets, epoch and keys", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const log = open(store, clock, small);
      fill(log, 1, 3);
      log.removeHistory();
      expect(log.retained()).toEqual({ first: 4, reason: "head_trimmed" });
      expect(paged(log, ALL)).toEqual([[], false]);
      expect(paged(log, { limit: 10, reverse: true })).toEqual([[], false]);
      expect(log.append("k2", body("again"))).toMatchObject({ offset: 2, duplicate: true });
      const again = open(reopen(), clock, small);
      expect(again.epoch).toBe(log.epoch);
      expect(again.retained()).toEqual({ first: 4, reason: "head_trimmed" });
      expect(again.append("k3", body("again"))).toMatchObject({ offset: 3, duplicate: true });
      fill(again, 4, 5);
      expect(paged(again, ALL)).toEqual([[4, 5], false]);
      again.removeHistory();
      again.removeHistory();
      expect(again.retained().first).toBe(6);
      expect(open(reopen(), clock, small).retained().first).toBe(6);
    }));

  test("removing the history of a log that has none changes nothing", () =>
    withStore((store, reopen) => {
      const log = open(store, new ManualClock(), small);
      log.removeHistory();
      expect(log.retained()).toEqual({ first: 1, reason: undefined });
      fill(log, 1, 1);
      expect(paged(open(reopen(), new ManualClock(), small), ALL)).toEqual([[1], false]);
    }));

  test("pages go forward and in reverse, from either end and from a position", () =>
    withStore((store) => {
      const log = open(store, new ManualClock(), long);
      fill(log, 1, 10);
      expect(paged(log, ALL)).toEqual([[3, 4, 5, 6, 7, 8, 9, 10], false]);
      expect(paged(log, { limit: 3 })).toEqual([[3, 4, 5], true]);
      expect(paged(log, { since: 5, limit: 3 })).toEqual([[6, 7, 8], true]);
      expect(paged(log, { since: 8, limit: 2 })).toEqual([[9, 10], false]);
      expect(paged(log, { since: 8, limit: 3 })).toEqual([[9, 10], false]);
      const reverse = true;
      expect(paged(log, { limit: 3, reverse })).toEqual([[10, 9, 8], true]);
      expect(paged(log, { since: 8, limit: 3, reverse })).toEqual([[7, 6, 5], true]);
      expect(paged(log, { since: 5, limit: 2, reverse })).toEqual([[4, 3], false]);
      expect(paged(log, { since: 5, limit: 9, reverse })).toEqual([[4, 3], false]);
    }));

  test("a page of nothing says whether there is something", () =>
    withStore((store) => {
      const log = open(store, new ManualClock(), long);
      expect(log.page({ limit: 5 })).toEqual({
        first: 1,
        reason: undefined,
        rows: [],
        more: false,
      });
      expect(paged(log, { limit: 5, reverse: true })).toEqual([[], false]);
      expect(paged(log, { since: 7, limit: 5 })).toEqual([[], false]);
      fill(log, 1, 2);
      expect(paged(log, { limit: 0 })).toEqual([[], true]);
      expect(paged(log, { since: 2, limit: 0 })).toEqual([[], false]);
      expect(paged(log, { limit: 0, reverse: true })).toEqual([[], true]);
    }));

  test("a position beyond either end is no error", () =>
    withStore((store) => {
      const log = open(store, new ManualClock(), long);
      fill(log, 1, 10);
      expect(paged(log, { since: 0, limit: 2 })).toEqual([[3, 4], true]);
      expect(paged(log, { since: 10, limit: 2 })).toEqual([[], false]);
      expect(paged(log, { since: 99, limit: 2 })).toEqual([[], false]);
      const reverse = true;
      expect(paged(log, { since: 0, limit: 2, reverse })).toEqual([[], false]);
      expect(paged(log, { since: 1, limit: 2, reverse })).toEqual([[], false]);
      expect(paged(log, { since: 3, limit: 2, reverse })).toEqual([[], false]);
      expect(paged(log, { since: 99, limit: 2, reverse })).toEqual([[10, 9], true]);
    }));

  test("a page is bounded by bytes, and one entry always fits", () =>
    withStore((store) => {
      const log = open(store, new ManualClock(), long);
      for (let i = 1; i <= 5; i++) log.append(`k${i}`, new Uint8Array(100));
      const sizes = (query: PageQuery): [number, boolean] => {
        const { rows, more } = log.page(query);
        return [rows.length, more];
      };
      expect(sizes({ limit: 5, maxBytes: 299 })).toEqual([2, true]);
      expect(sizes({ limit: 5, maxBytes: 300 })).toEqual([3, true]);
      expect(sizes({ limit: 5, maxBytes: 1 })).toEqual([1, true]);
      expect(sizes({ limit: 5, maxBytes: 500 })).toEqual([5, false]);
      expect(sizes({ limit: 5, maxBytes: 199, reverse: true })).toEqual([1, true]);
      expect(sizes({ since: 4, limit: 5, maxBytes: 1 })).toEqual([1, false]);
    }));

  test("a clock that is set back makes no entry older than the one before it", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const log = open(store, clock, small);
      fill(log, 1, 1);
      const time = clock.time;
      clock.time -= 400;
      expect(log.append("k2", body("2")).time).toBe(time);
      expect(log.append("k1", body("1"))).toMatchObject({ offset: 1, duplicate: true });
      const again = open(reopen(), clock, small);
      expect(again.append("k3", body("3")).time).toBe(time);
      expect(paged(again, ALL)).toEqual([[1, 2, 3], false]);
      clock.time = time + 999;
      expect(again.retained().first).toBe(1);
      clock.time = time + 1_000;
      expect(again.retained()).toEqual({ first: 4, reason: "expired" });
    }));

  for (const [name, rules] of Object.entries({ small, long })) {
    test(`random steps under ${name} rules equal a naive model, reopened at any step`, () =>
      withStore((store, reopen) => {
        const [first, count] = [seed(), steps(1_500)];
        const random = seededRandom(first);
        const clock = new ManualClock();
        const { historySize, historyTtlMs, dedupSize, dedupWindowMs } = rules;
        let log = open(store, clock, rules);
        const model: { key: string; time: number; text: string }[] = [];
        let removed = 0;
        const publish = (step: number): void => {
          const key = `k${random.int(12)}`;
          const found = model.findLastIndex((entry) => entry.key === key);
          const known =
            found >= 0 &&
            model.length - found <= dedupSize &&
            clock.time - (model[found]?.time ?? 0) < dedupWindowMs;
          const result = log.append(key, body(`${step}`));
          if (!known) model.push({ key, time: clock.time, text: `${step}` });
          const offset = known ? found + 1 : model.length;
          expect(result).toEqual({
            offset,
            time: model[offset - 1]?.time,
            duplicate: known,
          });
        };
        const compare = (): void => {
          const head = model.length;
          const retained = model.flatMap(({ time, text }, index) => {
            const offset = index + 1;
            const there =
              offset > head - historySize && offset > removed && clock.time - time < historyTtlMs;
            return there ? [[offset, text] as [number, string]] : [];
          });
          const from = retained[0]?.[0] ?? head + 1;
          const gone = from - 1 <= removed || head - (from - 1) >= historySize;
          const reason = from === 1 ? undefined : gone ? "head_trimmed" : "expired";
          expect(log.retained()).toEqual({ first: from, reason });
          expect(log.head).toBe(head);
          const since = random.int(head + 3);
          const limit = random.int(historySize + 2);
          for (const reverse of [false, true]) {
            const all = retained.filter(([offset]) => (reverse ? offset < since : offset > since));
            if (reverse) all.reverse();
            const { rows, more } = log.page({ since, limit, reverse });
            expect(rows.map((row) => [row.offset, new TextDecoder().decode(row.body)])).toEqual(
              all.slice(0, limit),
            );
            expect(more).toBe(all.length > limit);
          }
          // What a delivery may be owed is dense up to the head, and holds all that history holds.
          const offsets = stored(log).map(([offset]) => offset);
          expect(offsets).toEqual(offsets.map((_, index) => head - offsets.length + index + 1));
          expect(offsets.length).toBeGreaterThanOrEqual(retained.length);
        };
        for (let step = 0; step < count; step++) {
          try {
            clock.time += random.int(40);
            if (random.chance(0.02)) clock.time += 600;
            if (random.chance(0.02)) log = open(reopen(), clock, rules);
            if (random.chance(0.01)) {
              log.removeHistory();
              removed = model.length;
            } else if (random.chance(0.05)) log.trim();
            else publish(step);
            compare();
          } catch (error) {
            throw new Error(`MESSAGELOOP_TEST_SEED=${first}, step ${step}: ${String(error)}`, {
              cause: error,
            });
          }
        }
      }));
  }
}
