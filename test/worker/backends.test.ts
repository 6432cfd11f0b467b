/** Requests of a Worker to a backend, in the true runtime: what is read of an answer, and when it is given up. */
import { expect, test } from "vitest";
import { BackendFailure, type Cancellation } from "../../src/engine/ports/backends.ts";
import type { BackendConfig } from "../../src/proxy/backend-config.ts";
import type { Fetch } from "../../src/worker/backends/binding.ts";
import { bindingOf } from "../../src/worker/backends/binding.ts";
import { FetchSender } from "../../src/worker/backends/fetch.ts";

const CONFIG: BackendConfig = {
  name: "shop",
  kind: "http",
  url: "https://shop.example/hooks/?tenant=1",
  binding: undefined,
  timeouts: { rpc: 1_000, access: 1_000, events: 1_000 },
  payload: "json",
  batchEvents: false,
  encoding: "proto",
  signingSecrets: [],
  headers: { "x-tenant": "a", "content-type": "text/plain" },
  tls: { serverName: undefined, insecureSkipVerify: false },
  allowedAddresses: [],
  maxResponseBytes: 1_024,
  concurrency: 2,
  queue: 2,
  circuit: { failures: 3, pauseMs: 5_000 },
  routes: [],
};

const REQUEST = {
  hook: "rpc",
  headers: { "messageloop-hook": "rpc" },
  contentType: "application/json",
  body: new TextEncoder().encode("{}"),
};

const NEVER: Cancellation = { cancelled: false, onCancel: () => {} };

/** How a request ends: the body, or why there is none. */
async function ended(fetch: Fetch, cancellation = NEVER, request = {}): Promise<string> {
  try {
    const sender = new FetchSender(CONFIG, fetch);
    const { body } = await sender.send({ ...REQUEST, ...request }, cancellation);
    return new TextDecoder().decode(body);
  } catch (error) {
    return error instanceof BackendFailure ? error.reason : `${error}`;
  }
}

test("a request is one POST, whose own headers stand above those that are set", async () => {
  const seen: Request[] = [];
  const fetch: Fetch = async (url, init) => {
    seen.push(new Request(url, init));
    return new Response("{}");
  };
  expect(await ended(fetch)).toBe("{}");
  expect(await ended(fetch, NEVER, { path: "/Service/RPC" })).toBe("{}");
  expect(seen.map(({ url }) => url)).toEqual([
    "https://shop.example/hooks/?tenant=1",
    "https://shop.example/hooks/Service/RPC?tenant=1",
  ]);
  const [request] = seen;
  expect([request?.method, request?.redirect]).toEqual(["POST", "manual"]);
  expect(Object.fromEntries(request?.headers ?? [])).toMatchObject({
    "content-type": "application/json",
    "accept-encoding": "identity",
    "messageloop-hook": "rpc",
    "x-tenant": "a",
  });
  expect(await request?.text()).toBe("{}");
});

test.each([
  ["redirect", () => new Response(null, { status: 302, headers: { location: "/" } })],
  [
    "encoding",
    () => new Response("x", { headers: { "content-encoding": "gzip" }, encodeBody: "manual" }),
  ],
  ["too_large", () => new Response("x".repeat(1_025))],
  ["too_large", () => new Response("x", { headers: { "content-length": "1025" } })],
  ["unreachable", () => Promise.reject(new Error("Network connection lost."))],
] as const)("%s", async (reason, answer) => {
  expect(await ended(async () => await answer())).toBe(reason);
});

test("of an answer without end no more is read than may be", async () => {
  let sent = 0;
  let aborted = false;
  const fetch: Fetch = async (_, { signal }) => {
    signal?.addEventListener("abort", () => {
      aborted = true;
    });
    const body = new ReadableStream({
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(512));
      },
    });
    return new Response(body);
  };
  expect(await ended(fetch)).toBe("too_large");
  expect(sent).toBeLessThan(10);
  expect(aborted).toBe(true);
});

test("a request that is cancelled is given up, before its answer and in the middle of it", async () => {
  const cancel: (() => void)[] = [];
  const state = { cancelled: false };
  const cancellation: Cancellation = {
    get cancelled() {
      return state.cancelled;
    },
    onCancel: (callback) => cancel.push(callback),
  };
  const heard: Fetch = (_, { signal }) =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const ending = ended(heard, cancellation);
  state.cancelled = true;
  for (const one of cancel.splice(0)) one();
  expect(await ending).toBe("cancelled");
});

test("only what can be fetched from is a service binding", async () => {
  const shop = { fetch: async (url: string) => new Response(url) };
  const bound = bindingOf({ SHOP: shop }, "SHOP");
  expect(await (await bound?.("https://backend/", {}))?.text()).toBe("https://backend/");
  for (const value of [undefined, null, "text", { get: () => {} }]) {
    expect(bindingOf({ SHOP: value }, "SHOP")).toBeUndefined();
  }
});
