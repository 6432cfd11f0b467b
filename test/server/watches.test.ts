/** What a server notices of itself: a late event loop, and Redis that is lost and back. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LoopLag } from "../../src/server/loop-lag.ts";
import { RedisWatch } from "../../src/server/redis/watch.ts";
import { eventually, sleep } from "../support/eventually.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a timer that comes late is seen as late, until nobody looks any more", async () => {
  vi.useRealTimers();
  const lag = new LoopLag();
  lag.start();
  await eventually(() => lag.stats().count > 0);
  const held = performance.now() + 500;
  while (performance.now() < held);
  await eventually(() => lag.stats().sum > 0.2);
  lag.stop();
  const { count } = lag.stats();
  await sleep(600);
  expect(lag.stats().count).toBe(count);
});

function watched() {
  const state = { ready: true };
  const lines: unknown[] = [];
  const watch = new RedisWatch({
    ready: () => state.ready,
    stray: () => 4,
    address: "redis.internal:6379",
    logger: {
      warn: (message, fields) => lines.push([message, fields]),
      info: (message, fields) => lines.push([message, fields]),
    },
  });
  watch.start();
  return { state, lines, watch };
}

test("Redis is lost with address and cause, and back after a time, each once", async () => {
  const { state, lines, watch } = watched();
  state.ready = false;
  watch.look("Socket closed unexpectedly");
  watch.look("again");
  const address = "redis.internal:6379";
  expect(lines).toEqual([["Redis is lost", { address, cause: "Socket closed unexpectedly" }]]);
  await vi.advanceTimersByTimeAsync(2_500);
  expect(watch.facts()).toEqual({ ready: false, lostSeconds: 2.5, losses: 1, stray: 4 });
  state.ready = true;
  watch.look();
  await vi.advanceTimersByTimeAsync(2_500);
  expect(lines.slice(1)).toEqual([["Redis is back", { address, seconds: 2.5 }]]);
  expect(watch.facts()).toEqual({ ready: true, lostSeconds: 0, losses: 1, stray: 4 });
});

test("a Redis that does not answer is noticed although its connection stands", async () => {
  const { state, lines, watch } = watched();
  state.ready = false;
  await vi.advanceTimersByTimeAsync(500);
  expect(lines).toMatchObject([["Redis is lost", { cause: "it does not answer" }]]);
  watch.stop();
  state.ready = true;
  await vi.advanceTimersByTimeAsync(5_000);
  // A server that stops does not take what it sees then for news.
  expect(lines).toHaveLength(1);
});
