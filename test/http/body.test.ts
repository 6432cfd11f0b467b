/** A body that comes slowly is waited for so long and no longer. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { readBody } from "../../src/http/body.ts";
import { MAX_BODY_MS, MAX_REST_MS } from "../../src/protocol/limits.ts";

/**
 * The timers of these delays that have been set, neither cleared nor run. A count of all timers would hold those of what
 * an earlier file of this process left running.
 */
const pending = new Set<unknown>();

beforeEach(() => {
  vi.useFakeTimers();
  pending.clear();
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  vi.spyOn(globalThis, "setTimeout").mockImplementation(((callback: () => void, ms: number) => {
    const timer = set(() => {
      pending.delete(timer);
      callback();
    }, ms);
    if (ms === MAX_BODY_MS || ms === MAX_REST_MS) pending.add(timer);
    return timer;
  }) as typeof setTimeout);
  vi.spyOn(globalThis, "clearTimeout").mockImplementation((timer) => {
    pending.delete(timer);
    clear(timer);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

interface Slow {
  readonly request: Pick<Request, "headers" | "body">;
  feed(text?: string): void;
  cancelled(): boolean;
}

function slow(): Slow {
  let controller: ReadableStreamDefaultController | undefined;
  let cancelled = false;
  const body = new ReadableStream({
    start: (given) => (controller = given),
    cancel: () => {
      cancelled = true;
    },
  });
  return {
    cancelled: () => cancelled,
    request: { headers: new Headers(), body },
    feed: (text) =>
      text === undefined ? controller?.close() : controller?.enqueue(Buffer.from(text)),
  };
}

test("a body that is whole in time", async () => {
  const { request, feed } = slow();
  const read = readBody(request, 10);
  feed("ab");
  await vi.advanceTimersByTimeAsync(MAX_BODY_MS - 1);
  feed("c");
  feed();
  expect(Buffer.from(await read).toString()).toBe("abc");
  expect(vi.mocked(setTimeout)).toHaveBeenCalledWith(expect.any(Function), MAX_BODY_MS);
  expect(pending).toEqual(new Set());
});

test("a body that is not", async () => {
  const { request, feed, cancelled } = slow();
  const read = readBody(request, 10).catch((error: unknown) => error);
  for (let i = 0; i < 5; i++) {
    feed("a");
    await vi.advanceTimersByTimeAsync(MAX_BODY_MS / 5);
  }
  expect(await read).toMatchObject({
    code: "REQUEST_TIMEOUT",
    message: "the request was not whole after 30 s",
  });
  expect(cancelled()).toBe(false);
  await vi.advanceTimersByTimeAsync(MAX_REST_MS);
  expect(cancelled()).toBe(true);
  expect(vi.mocked(setTimeout)).toHaveBeenCalledWith(expect.any(Function), MAX_REST_MS);
  expect(pending).toEqual(new Set());
});
