/** The server API of the Worker: every case that any host shows, by plain HTTP and by generated clients. */
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { API_CASES, Api, CHANNELS, KEY_ENTRIES, KEYS, LIMITS } from "../http/api/cases.ts";
import { type ApiDriver, clientDriver, jsonDriver } from "../http/api/driver.ts";
import { CLOUDEVENTS_CASES } from "../http/cloudevents/cases.ts";
import {
  readContentTypes,
  refuseGarbage,
  refuseLongRequests,
  refuseSlowRequests,
} from "../http/refused-bodies.ts";
import { Client, type ConnectInit, valueAs } from "../support/client.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const PUBLISH = "messageloop.server.v1.APIService/Publish";
/** Beside the one that the Worker chooses. */
const GATEWAYS = ["weur-7", "apac-3"] as const;
let server: RunningServer;
/** What waits for half a minute: begun with the first test, so that the others run meanwhile, and told by its own. */
let slowRequests: Promise<void>;
let names = 0;
let elsewhere = 0;

beforeAll(async () => {
  server = await startWorkerd({
    main: "worker-api-entry",
    vars: {
      messageloop: { channels: CHANNELS, limits: LIMITS, server: { log_level: "debug" } },
      MESSAGELOOP_API_KEYS: JSON.stringify(KEY_ENTRIES),
    },
  });
  slowRequests = refuseSlowRequests(server.url);
  slowRequests.catch(() => {});
});

afterAll(async () => {
  await server?.stop();
});

async function connected({ capabilities, ...connect }: ConnectInit = {}, gateway?: string) {
  const query = gateway === undefined ? "" : `?gateway=${gateway}`;
  const url = `${server.url.replace("http", "ws")}/ws${query}`;
  const socket = new WebSocket(url, ["messageloop+json"]);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const extended = { extended: true, capabilities: capabilities ?? ["test"] };
  const client = new Client<WebSocket>(socket, { encoding: "json", ...extended });
  const reply = await client.connect(connect);
  return { client, id: valueAs(reply, "connected").sessionId };
}

/** Sessions on one gateway after the other. */
async function onAnother(connect?: ConnectInit) {
  elsewhere += 1;
  return await connected(connect, GATEWAYS[elsewhere % GATEWAYS.length]);
}

const DRIVERS: Readonly<Record<string, () => ApiDriver>> = {
  "JSON by plain HTTP": () => jsonDriver(server.url),
  "a generated Connect client": () =>
    clientDriver("connect", createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" })),
  "a generated gRPC-Web client": () =>
    clientDriver("grpc-web", createGrpcWebTransport({ baseUrl: server.url, httpVersion: "1.1" })),
};

describe.each(Object.entries(DRIVERS))("by %s", (_, driver) => {
  test.each(API_CASES.map((one) => [one.name, one] as const))("%s", async (_title, { run }) => {
    names += 1;
    const own = `w${names}`;
    const name = (word: string): string => `${word}-${own}`;
    await run(new Api({ driver: driver(), client: connected, elsewhere: onAnother, name }));
  });
});

describe("CloudEvents", () => {
  test.each(CLOUDEVENTS_CASES.map((one) => [one.name, one] as const))("%s", async (_, { run }) => {
    names += 1;
    const own = `c${names}`;
    await run({
      base: server.url,
      client: async () => (await connected()).client,
      name: (word) => `${word}-${own}`,
      resolvesDots: false,
    });
  });
});

async function post(init: RequestInit): Promise<Response> {
  return await fetch(`${server.url}/${PUBLISH}`, { method: "POST", ...init });
}

const authorized = { Authorization: `Bearer ${KEYS.all.key}` };
const json = { "Content-Type": "application/json", ...authorized };

test("native gRPC is refused with what there is instead", async () => {
  const answer = await post({
    headers: { ...authorized, "Content-Type": "application/grpc", TE: "trailers" },
    body: new Uint8Array(5),
  });
  expect([answer.status, answer.headers.get("grpc-status")]).toEqual([200, "12"]);
  expect(answer.headers.get("grpc-message")).toContain("gRPC-Web");
});

test("what is no call has a status, a code and a message", async () => {
  const cases = [
    [{ headers: { ...json, "Content-Type": "text/plain" }, body: "{}" }, 415, "UNSUPPORTED_TYPE"],
    [{ method: "GET", headers: json }, 405, "METHOD_NOT_ALLOWED"],
    [{ headers: json, body: "{" }, 400, "invalid_argument"],
    [{ headers: json, body: " ".repeat(5_000_000) }, 429, "resource_exhausted"],
    [{ headers: { "Content-Type": "application/json" }, body: "{}" }, 401, "unauthenticated"],
  ] as const;
  for (const [init, status, code] of cases) {
    const answer = await post(init);
    const body: unknown = await answer.json();
    expect([answer.status, body]).toEqual([
      status,
      expect.objectContaining({ code, message: expect.any(String) }),
    ]);
  }
});

test("content types are read with their parameters, and what is none of a call says so", async () => {
  await readContentTypes(server.url);
});

test("what cannot be decoded is refused in words of our own, by every call", async () => {
  await refuseGarbage(server.url);
}, 60_000);

test("who is refused hears why, however much there is still to send", async () => {
  await refuseLongRequests(server.url);
}, 120_000);

test("what is not whole after 30 s is refused, at every door alike", async () => {
  await slowRequests;
}, 60_000);

test("what there is to call is described for tools", async () => {
  const answer = await fetch(`${server.url}/openapi.json`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    openapi: "3.1.0",
    paths: { [`/${PUBLISH}`]: { post: { operationId: "Publish" } } },
  });
});

test("a page gets no preflight", async () => {
  const answer = await post({
    method: "OPTIONS",
    headers: { Origin: "https://a.example", "Access-Control-Request-Method": "POST" },
  });
  expect(answer.status).toBe(405);
  expect([...answer.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
});

test("no key is in the log, and whose a refused one was is", async () => {
  await post({ headers: { ...json, Authorization: `Bearer ${KEYS.all.key}x` }, body: "{}" });
  // What a Worker logs comes out a little later.
  await expect.poll(() => server.output(), { timeout: 10_000 }).toContain("API call refused");
  const secrets = Object.values(KEYS).map(({ key }) => key.slice(-20));
  expect(secrets.filter((secret) => server.output().includes(secret))).toEqual([]);
});
