/** Requests of a Worker to a backend, in the true runtime: what is read of an answer, and when it is given up. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BackendFailure, type Cancellation } from "../../src/engine/ports/backends.ts";
import type { LogFields } from "../../src/engine/ports/platform.ts";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { BackendConfig, ProxyConfig } from "../../src/proxy/backend-config.ts";
import { gatewayBackends } from "../../src/worker/backends/backends.ts";
import type { Fetch } from "../../src/worker/backends/binding.ts";
import { bindingOf } from "../../src/worker/backends/binding.ts";
import { REPORT_EVERY_MS } from "../../src/worker/backends/call-report.ts";
import { FetchSender } from "../../src/worker/backends/fetch.ts";
import { random, timers } from "../../src/worker/platform.ts";

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

test("the headers of an event are read where a backend is asked with CloudEvents, and count among its bytes", async () => {
  const headers = { "ce-id": "1", "ce-subject": "x".repeat(900), "x-other": "y" };
  const cloudevents: BackendConfig = { ...CONFIG, payload: "cloudevents" };
  const sent = async (config: BackendConfig, body: string) => {
    const sender = new FetchSender(config, async () => new Response(body, { headers }));
    return await sender.send(REQUEST, NEVER);
  };
  const { attributes } = await sent(cloudevents, "x".repeat(90));
  expect(attributes?.areText).toBe(true);
  expect([...(attributes?.values ?? [])]).toEqual([
    ["id", "1"],
    ["subject", "x".repeat(900)],
  ]);
  await expect(sent(cloudevents, "x".repeat(124))).rejects.toMatchObject({ reason: "too_large" });
  expect((await sent(CONFIG, "x".repeat(124))).attributes).toBeUndefined();
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

test("what calls of a backend have come to is told in the log, once a minute at most", async () => {
  const lines: [message: string, fields: unknown][] = [];
  const clock = { time: 1_000_000, now: () => clock.time };
  let status = 200;
  const config: ProxyConfig = {
    backends: [{ ...CONFIG, binding: "SHOP", routes: [{ channel: "*", method: "*" }] }],
    hooks: { authenticate: "shop", subscribe: undefined, events: {}, byRoutes: false },
    rpcEcho: false,
    warnings: [],
  };
  const body = JSON.stringify({ user_info: { id: "ada" } });
  const headers = { "content-type": "application/json" };
  const bindings = { SHOP: { fetch: async () => new Response(body, { status, headers }) } };
  const logger = {
    warn: () => {},
    info: (message: string, fields?: LogFields) => lines.push([message, fields]),
  };
  const { authenticate, rpc } = gatewayBackends({}, config, bindings, {
    clock,
    timers,
    random,
    hmac: webHmac,
    logger,
  });
  const caller = { sessionId: "s", clientId: "c", clientType: "", userId: "ada" };
  const payload = create(CloudEventSchema, { id: "e", source: "/", type: "t" });
  const request = { id: "1", channel: "a", method: "m", payload, metadata: {}, caller };
  const ask = async () => await rpc?.(request, NEVER).catch(() => {});
  await ask();
  const client = { token: "t", clientId: "c", clientType: "", version: "", address: "" };
  await authenticate?.({ ...client, sessionId: "s" }, NEVER);
  clock.time += REPORT_EVERY_MS - 1;
  await ask();
  expect(lines).toEqual([]);
  status = 503;
  clock.time += 1;
  await ask();
  const rest = { seconds: 60, waiting: 0, circuit: "closed" };
  expect(lines).toEqual([
    ["backend calls", { backend: "shop", calls: "rpc", answered: 2, status: 1, ...rest }],
    ["backend calls", { backend: "shop", calls: "access", answered: 1, ...rest }],
  ]);
  // What has been told is not told again, and nothing is told of what there was none of.
  lines.length = 0;
  await ask();
  clock.time += REPORT_EVERY_MS;
  status = 200;
  await ask();
  expect(lines).toEqual([
    ["backend calls", { backend: "shop", calls: "rpc", answered: 1, status: 1, ...rest }],
  ]);
});
