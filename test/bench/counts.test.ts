/** What Cloudflare bills for what was counted, and the price of that. */
import { expect, test } from "vitest";
import { billedBetween, type Counts, priceOf } from "../../bench/counts.ts";

const NOTHING: Counts = {
  workerRequests: 0,
  calls: {},
  messages: 0,
  alarms: 0,
  rowsRead: 0,
  rowsWritten: 0,
  awakeMs: {},
  lostTimers: 0,
};
const BEFORE: Counts = {
  ...NOTHING,
  workerRequests: 5,
  calls: { "Gateway.fetch": 5, "Channel.publish": 1 },
  messages: 10,
  awakeMs: { Gateway: 500 },
};
const AFTER: Counts = {
  workerRequests: 8,
  calls: { "Gateway.fetch": 8, "Channel.publish": 5, "Gateway.deliver": 4 },
  messages: 50,
  alarms: 1,
  rowsRead: 7,
  rowsWritten: 6,
  awakeMs: { Gateway: 2_000, Channel: 500 },
  lostTimers: 0,
};

test("calls, upgrades, alarms and each twentieth message are requests of objects", () => {
  expect(billedBetween(BEFORE, AFTER)).toEqual({
    workerRequests: 3,
    objectRequests: 3 + 8 + 1 + 2,
    calls: 8,
    messages: 40,
    rowsRead: 7,
    rowsWritten: 6,
    awakeSeconds: 2,
  });
});

test("a million of each costs what the price list says", () => {
  const million = {
    workerRequests: 1e6,
    objectRequests: 1e6,
    calls: 1e6,
    messages: 1e6,
    rowsRead: 1e6,
    rowsWritten: 1e6,
    // An object that is awake for a million seconds is billed with 128,000 GB-s.
    awakeSeconds: 1e6,
  };
  expect(priceOf(million)).toBeCloseTo(0.3 + 0.15 + 0.001 + 1 + 1.6, 9);
});

test("time that belongs to nobody is no time to be quoted", () => {
  expect(() => billedBetween(BEFORE, { ...AFTER, lostTimers: 1 })).toThrow("awake time");
});
