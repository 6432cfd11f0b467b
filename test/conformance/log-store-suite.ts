/** The cases that every log store passes: one table, run on memory and on a Durable Object's SQLite. */
import { expect, test } from "vitest";
import { ChannelLog, DEFAULT_LOG_RULES, type LogRules } from "../../src/channels/log.ts";
import type { LogStore } from "../../src/channels/log-store.ts";

/** Runs a case with a store; `reopen` is the same store as a fresh life of the log finds it. */
export type WithStore = (
  run: (store: LogStore, reopen: () => LogStore) => void | Promise<void>,
) => Promise<void>;

const small: LogRules = { historySize: 4, historyTtlMs: 1_000, dedupSize: 8, dedupWindowMs: 500 };

/** A clock that tests move. */
class ManualClock {
  time = 1_000_000;
  now = (): number => this.time;
}

function open(store: LogStore, clock = new ManualClock(), rules = DEFAULT_LOG_RULES): ChannelLog {
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

function stored(log: ChannelLog, after = 0, until = Number.MAX_SAFE_INTEGER): [number, string][] {
  return [...log.read(after, until)].map((row) => [row.offset, new TextDecoder().decode(row.body)]);
}

export function logStoreSuite(withStore: WithStore): void {
  test("offsets are dense from 1 and what was appended is read back in order", () =>
    withStore((store) => {
      const log = open(store);
      expect(log.head).toBe(0);
      expect(["a", "b", "c"].map((key) => log.append(key, body(key)).offset)).toEqual([1, 2, 3]);
      expect(stored(log)).toEqual([
        [1, "a"],
        [2, "b"],
        [3, "c"],
      ]);
      expect(stored(log, 1, 2)).toEqual([[2, "b"]]);
      expect(stored(log, 3, 9)).toEqual([]);
    }));

  test("a fresh life finds epoch, head and keys", () =>
    withStore((store, reopen) => {
      const first = open(store);
      first.append("a", body("a"));
      first.append("b", body("b"));
      const second = open(reopen());
      expect(second.epoch).toBe(first.epoch);
      expect(second.head).toBe(2);
      expect(second.append("a", body("again"))).toMatchObject({ offset: 1, duplicate: true });
      expect(second.append("c", body("c"))).toMatchObject({ offset: 3, duplicate: false });
    }));

  test("a known key is answered with the first position and writes nothing", () =>
    withStore((store) => {
      const log = open(store);
      log.append("a", body("a"));
      expect(log.append("a", body("other"))).toMatchObject({ offset: 1, duplicate: true });
      expect(log.head).toBe(1);
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
      for (let i = 1; i <= 8; i++) log.append(`k${i}`, body(`${i}`));
      expect(log.append("k1", body("x"))).toMatchObject({ offset: 1, duplicate: true });
      log.append("k9", body("9"));
      expect(log.append("k1", body("x"))).toMatchObject({ offset: 10, duplicate: false });
    }));

  test("the oldest row goes only when neither history nor dedup wants it", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      const log = open(store, clock, small);
      for (let i = 1; i <= 6; i++) log.append(`k${i}`, body(`${i}`));
      // Dedup still wants all six, history only four.
      expect(stored(log).map(([offset]) => offset)).toEqual([1, 2, 3, 4, 5, 6]);
      clock.time += 500;
      log.append("k7", body("7"));
      log.append("k8", body("8"));
      expect(stored(log).map(([offset]) => offset)).toEqual([3, 4, 5, 6, 7, 8]);
      const again = open(reopen(), clock, small);
      again.append("k9", body("9"));
      expect(stored(again).map(([offset]) => offset)).toEqual([4, 5, 6, 7, 8, 9]);
      // Time frees the rest of history too.
      clock.time += 1_000;
      again.append("k10", body("10"));
      expect(stored(again).at(0)?.[0]).toBe(5);
    }));

  test("a thousand appends with random keys and pauses equal a naive model", () =>
    withStore((store, reopen) => {
      const clock = new ManualClock();
      let log = open(store, clock, small);
      const model: { key: string; time: number }[] = [];
      let seed = 42;
      const random = (below: number): number => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        return Math.floor((seed / 2_147_483_648) * below);
      };
      for (let step = 0; step < 1_000; step++) {
        clock.time += random(40);
        if (random(50) === 0) log = open(reopen(), clock, small);
        const key = `k${random(12)}`;
        const found = model.findLastIndex((entry) => entry.key === key);
        const age = clock.time - (model[found]?.time ?? 0);
        const known = found >= 0 && model.length - found <= 8 && age < 500;
        const result = log.append(key, body(`${step}`));
        expect(result.duplicate).toBe(known);
        if (known) expect(result.offset).toBe(found + 1);
        else {
          model.push({ key, time: clock.time });
          expect(result.offset).toBe(model.length);
        }
        const offsets = stored(log).map(([offset]) => offset);
        expect(offsets.at(-1)).toBe(model.length);
        expect(offsets).toEqual(
          Array.from({ length: offsets.length }, (_, i) => model.length - offsets.length + i + 1),
        );
        expect(offsets.length).toBeGreaterThanOrEqual(Math.min(model.length, 4));
      }
    }));
}
