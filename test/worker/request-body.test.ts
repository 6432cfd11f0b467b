/** A call whose body does not come to its end is refused in time, however it comes. */

import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { afterEach, expect, test, vi } from "vitest";
import { APIService } from "../../src/protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_BODY_MS, MAX_REST_BYTES, MAX_REST_MS } from "../../src/protocol/limits.ts";
import { peerOf } from "../../src/worker/doors/caller.ts";
import { connectServices } from "../../src/worker/doors/connect.ts";

const unattended = (): void => {};

afterEach(() => {
  vi.useRealTimers();
});

test("a body that is not whole in time is given up, and its call is refused", async () => {
  vi.useFakeTimers();
  let given = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
    cancel: () => {
      given = true;
    },
  });
  const services = connectServices((router) => {
    router.rpc(APIService.method.channels, () => ({}));
  });
  const request = new Request("http://localhost/messageloop.server.v1.APIService/Channels", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  const asked = services(request, createContextValues(), unattended);
  await vi.advanceTimersByTimeAsync(MAX_BODY_MS - 1);
  expect(given).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  const answer = await asked;
  expect(answer.status).toBe(408);
  expect(await answer.json()).toMatchObject({
    code: "deadline_exceeded",
    message: "the request was not whole after 30 s",
  });
  // Its client hears of it meanwhile.
  expect(given).toBe(false);
  await vi.advanceTimersByTimeAsync(MAX_REST_MS);
  expect(given).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ["the rest is taken, and thrown away", 3, 3, false],
  ["no more of it than there may be", Number.POSITIVE_INFINITY, MAX_REST_BYTES / 2 ** 20 + 1, true],
])("who is refused before the body is read: %s", async (_, size, taken, cut) => {
  let given = 0;
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (given === size) controller.close();
        else controller.enqueue(new Uint8Array(2 ** 20));
        given += 1;
      },
      cancel() {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const requestGate = (): void => {
    throw new ConnectError("the key is not valid", Code.Unauthenticated);
  };
  const services = connectServices((router) => {
    router.rpc(APIService.method.channels, () => ({}), { requestGate });
  });
  const request = new Request("http://localhost/messageloop.server.v1.APIService/Channels", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  const works: Promise<void>[] = [];
  const answer = await services(request, createContextValues(), (work) => works.push(work));
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ code: "unauthenticated" });
  expect(works).toHaveLength(1);
  await Promise.all(works);
  expect([given, cancelled]).toEqual([cut ? taken : taken + 1, cut]);
});

test("a key that came over plain HTTP from another machine is told apart", () => {
  const from = (url: string, address?: string): boolean | undefined => {
    const headers = address === undefined ? {} : { "CF-Connecting-IP": address };
    return peerOf(new Request(url, { headers })).exposed;
  };
  expect(from("http://app.example/", "192.0.2.1")).toBe(true);
  expect(from("https://app.example/", "192.0.2.1")).toBe(false);
  for (const here of ["127.0.0.1", "::1", undefined]) {
    expect(from("http://localhost:9080/", here)).toBe(false);
  }
});
