/** Deadlines of any length, read as gRPC and Connect write them. */
import { afterEach, expect, test, vi } from "vitest";
import { takeDeadline, withoutEndlessDeadline } from "../../src/http/streaming/deadline.ts";
import { afterLong } from "../../src/server/transport/deadline.ts";

const DAY_MS = 24 * 3_600_000;

afterEach(() => {
  vi.useRealTimers();
});

test.each([
  ["application/grpc", "grpc-timeout", "30S", 30_000],
  ["application/grpc+proto", "grpc-timeout", "43200M", 30 * DAY_MS],
  ["application/grpc-web", "grpc-timeout", "99999999H", 99_999_999 * 3_600_000],
  ["application/grpc", "grpc-timeout", "5u", 0.005],
  ["application/connect+json", "connect-timeout-ms", "9999999999", 9_999_999_999],
  ["application/connect+json", "connect-timeout-ms", "0", 0],
  ["application/grpc", "connect-timeout-ms", "5", undefined],
  ["application/connect+proto", "grpc-timeout", "5S", undefined],
])("%s, %s: %s is taken out of the headers", (type, name, value, ms) => {
  const given = new Headers({ "content-type": type, [name]: value, other: "stays" });
  const { header, timeoutMs } = takeDeadline(given);
  expect(timeoutMs).toBe(ms);
  expect([...header]).toEqual([
    ["content-type", type],
    ["other", "stays"],
  ]);
});

test.each(["", "S", "5", "5s", "-1S", "1.5S", "123456789S"])(
  "%j is left to the library",
  (value) => {
    const given = new Headers({ "content-type": "application/grpc", "grpc-timeout": value });
    expect(takeDeadline(given)).toEqual({ header: given, timeoutMs: undefined });
  },
);

test("a call that is no stream has its deadline, unless a timer cannot wait for it", () => {
  const headers = (ms: string) =>
    new Headers({ "content-type": "application/json", "connect-timeout-ms": ms });
  const kept = headers("2147483647");
  expect(withoutEndlessDeadline(kept)).toBe(kept);
  const endless = withoutEndlessDeadline(headers("2147483648"));
  expect([...endless.keys()]).toEqual(["content-type"]);
});

test("a time longer than a timer can wait passes once, and not before", () => {
  vi.useFakeTimers();
  let calls = 0;
  afterLong(60 * DAY_MS, () => {
    calls += 1;
  });
  vi.advanceTimersByTime(60 * DAY_MS - 1);
  expect(calls).toBe(0);
  vi.advanceTimersByTime(1);
  expect(calls).toBe(1);
  vi.advanceTimersByTime(60 * DAY_MS);
  expect(calls).toBe(1);
});

test("what is called off does not come, in its first wait or in a later one", () => {
  vi.useFakeTimers();
  let calls = 0;
  const soon = afterLong(60 * DAY_MS, () => {
    calls += 1;
  });
  const later = afterLong(60 * DAY_MS, () => {
    calls += 1;
  });
  soon();
  vi.advanceTimersByTime(50 * DAY_MS);
  later();
  vi.advanceTimersByTime(50 * DAY_MS);
  expect(calls).toBe(0);
});
