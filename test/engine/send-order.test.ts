/** The order of messages that come by calls of their own: reordered, repeated, overlapping, late, too many. */
import { describe, expect, test } from "vitest";
import {
  checkedSeq,
  SendOrder,
  type SendOrderOptions,
} from "../../src/engine/session/stream/send-order.ts";
import { MAX_HELD_BYTES, MAX_HELD_MESSAGES, MAX_HELD_MS } from "../../src/protocol/limits.ts";
import { eachStep } from "../support/random.ts";

interface Message {
  readonly name: string;
  readonly size: number;
}

/** Time in the test's hand, with at most one timer. */
class Watch {
  now = 1_000;
  timers = 0;
  #due: { readonly at: number; readonly callback: () => void } | undefined;

  after = (ms: number, callback: () => void): (() => void) => {
    expect(this.#due).toBeUndefined();
    const due = { at: this.now + ms, callback };
    this.#due = due;
    this.timers += 1;
    return () => {
      if (this.#due === due) this.#due = undefined;
    };
  };

  get set(): boolean {
    return this.#due !== undefined;
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (let due = this.#due; due !== undefined && due.at <= end; due = this.#due) {
      this.now = due.at;
      this.#due = undefined;
      due.callback();
    }
    this.now = end;
  }
}

function scene(options: Partial<SendOrderOptions<Message>> = {}) {
  const watch = new Watch();
  const taken: string[] = [];
  let overruns = 0;
  const order = new SendOrder<Message>({
    now: () => watch.now,
    after: watch.after,
    take: ({ name }) => taken.push(name),
    overrun: () => {
      overruns += 1;
    },
    ...options,
  });
  return {
    order,
    watch,
    taken,
    overruns: () => overruns,
    put: (seq: number, ...names: string[]) => order.put(seq, names.map(named)),
  };
}

function named(name: string): Message {
  return { name, size: 10 };
}

describe("in order", () => {
  test("messages are taken as they come, and no timer is set", () => {
    const { put, taken, watch } = scene();
    expect(put(1, "a")).toBe(1);
    expect(put(2, "b", "c")).toBe(3);
    expect(taken).toEqual(["a", "b", "c"]);
    expect(watch.timers).toBe(0);
  });

  test("an order goes on where another has ended", () => {
    const { order, taken } = scene({ taken: 41 });
    expect(order.put(41, [named("old")])).toBe(41);
    expect(order.put(42, [named("new")])).toBe(42);
    expect(taken).toEqual(["new"]);
  });

  test("a call without messages tells how far the order is", () => {
    const { put, taken } = scene();
    put(1, "a", "b");
    expect(put(0)).toBe(2);
    expect(taken).toEqual(["a", "b"]);
  });
});

describe("out of order", () => {
  test("what comes early waits for what is before it", () => {
    const { put, taken, watch } = scene();
    expect(put(3, "c")).toBe(0);
    expect(put(2, "b")).toBe(0);
    expect(taken).toEqual([]);
    expect(watch.set).toBe(true);
    expect(put(1, "a")).toBe(3);
    expect(taken).toEqual(["a", "b", "c"]);
    expect(watch.set).toBe(false);
  });

  test("a repeated number is answered and not taken again, whether it waits or was taken", () => {
    const { put, taken } = scene();
    put(2, "b");
    expect(put(2, "again")).toBe(0);
    expect(put(1, "a")).toBe(2);
    expect(put(1, "again", "again")).toBe(2);
    expect(taken).toEqual(["a", "b"]);
  });

  test("calls of several messages overlap", () => {
    const { put, taken } = scene();
    expect(put(4, "d", "e")).toBe(0);
    expect(put(1, "a", "b")).toBe(2);
    expect(put(2, "x", "c", "x", "x", "f")).toBe(6);
    expect(put(5, "x", "x", "g")).toBe(7);
    expect(taken).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
  });

  test("any cut, order and repetition of calls gives each message once, in order", () => {
    eachStep(200, (random) => {
      const { put, taken, overruns } = scene();
      const count = 1 + random.int(60);
      const calls: (readonly [first: number, last: number])[] = [];
      for (let from = 1; from <= count; ) {
        const last = Math.min(from + random.int(6), count);
        calls.push([Math.max(from - random.int(3), 1), last]);
        from = last + 1;
      }
      calls.push(...calls.filter(() => random.chance(0.3)));
      while (calls.length > 0) {
        const [[first, last] = [0, -1]] = calls.splice(random.int(calls.length), 1);
        put(first, ...Array.from({ length: last - first + 1 }, (_, index) => `${first + index}`));
      }
      expect(taken).toEqual(Array.from({ length: count }, (_, index) => `${index + 1}`));
      expect(overruns()).toBe(0);
    });
  });
});

describe("bounds", () => {
  test("so many messages may wait, and not one more", () => {
    const { put, overruns, taken, watch } = scene();
    for (let i = 0; i < MAX_HELD_MESSAGES; i++) put(i + 2, "x");
    expect(overruns()).toBe(0);
    put(MAX_HELD_MESSAGES + 2, "x");
    expect(overruns()).toBe(1);
    expect(watch.set).toBe(false);
    expect(put(1, "a")).toBe(0);
    expect(taken).toEqual([]);
  });

  test("so many bytes may wait, and not one more; what is let go makes room", () => {
    const { order, overruns, taken } = scene();
    order.put(2, [{ name: "b", size: MAX_HELD_BYTES }]);
    order.put(1, [named("a")]);
    order.put(4, [{ name: "d", size: MAX_HELD_BYTES }]);
    expect(overruns()).toBe(0);
    order.put(5, [{ name: "e", size: 1 }]);
    expect(overruns()).toBe(1);
    expect(taken).toEqual(["a", "b"]);
  });

  test("what need not wait has no bound", () => {
    const { order, overruns } = scene();
    const many = Array.from({ length: 200 }, () => ({ name: "x", size: MAX_HELD_BYTES }));
    expect(order.put(1, many)).toBe(200);
    expect(overruns()).toBe(0);
  });

  test("a message waits so long, and no longer", () => {
    const { put, watch, overruns } = scene();
    put(2, "b");
    watch.pass(MAX_HELD_MS - 1);
    expect(overruns()).toBe(0);
    watch.pass(1);
    expect(overruns()).toBe(1);
    expect(watch.set).toBe(false);
  });

  test("a later gap has a time of its own, from when its first message came", () => {
    const { put, watch, overruns, taken } = scene();
    put(2, "b");
    watch.pass(3_000);
    put(4, "d");
    watch.pass(1_000);
    put(1, "a");
    expect(taken).toEqual(["a", "b"]);
    watch.pass(MAX_HELD_MS - 1_001);
    expect(overruns()).toBe(0);
    watch.pass(1);
    expect(overruns()).toBe(1);
  });

  test("an order that has ended takes nothing, holds nothing and sets no timer", () => {
    const { order, put, taken, watch } = scene();
    put(2, "b");
    order.end();
    expect(watch.set).toBe(false);
    expect(put(1, "a")).toBe(0);
    put(3, "c");
    expect(watch.set).toBe(false);
    expect(taken).toEqual([]);
  });

  test("who takes a message may end the order: those that waited for it are not taken", () => {
    const taken: string[] = [];
    const { order } = scene({
      take: ({ name }) => {
        taken.push(name);
        if (name === "a") order.end();
      },
    });
    order.put(2, [named("b")]);
    expect(order.put(1, [named("a"), named("b"), named("c")])).toBe(1);
    expect(taken).toEqual(["a"]);
  });
});

test("numbers are checked at the door", () => {
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  expect(checkedSeq(1n, 1)).toBe(1);
  expect(checkedSeq(most, 1)).toBe(Number.MAX_SAFE_INTEGER);
  const refused: [bigint, number, string][] = [
    [0n, 1, "seq counts from 1"],
    [most, 2, "seq is beyond 2^53 - 1"],
    [most + 1n, 1, "seq is beyond 2^53 - 1"],
    [18_446_744_073_709_551_615n, 1, "seq is beyond 2^53 - 1"],
  ];
  for (const [seq, count, message] of refused) {
    expect(() => checkedSeq(seq, count)).toThrow(
      expect.objectContaining({ code: "BAD_REQUEST", message }),
    );
  }
});
