/** A body that comes slowly is waited for so long and no longer. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { readBody } from "../../src/http/body.ts";
import { MAX_BODY_MS, MAX_REST_MS } from "../../src/protocol/limits.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
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
  expect(vi.getTimerCount()).toBe(0);
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
  expect(vi.getTimerCount()).toBe(0);
});
