import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { LogFields } from "../../src/engine/ports/platform.ts";
import { FAILURES_AT_ONCE } from "../../src/http/keys/failures.ts";
import { APIService } from "../../src/protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_API_REQUEST_BYTES } from "../../src/protocol/limits.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server, type ServerPorts } from "../../src/server/server.ts";
import {
  API_CASES,
  Api,
  authenticate,
  CHANNELS,
  event,
  KEY_ENTRIES,
  KEYS,
  LIMITS,
} from "../http/api/cases.ts";
import { type ApiDriver, clientDriver, jsonDriver } from "../http/api/driver.ts";
import { CLOUDEVENTS_CASES } from "../http/cloudevents/cases.ts";
import {
  readContentTypes,
  refuseGarbage,
  refuseLongRequests,
  refuseLongRequestsByHttp2,
  refuseSlowRequests,
} from "../http/refused-bodies.ts";
import { Client, type ConnectInit, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { dialRaw, gone } from "./raw.ts";

const ANY = { addr: "127.0.0.1:0" };
const METHOD = "messageloop.server.v1.APIService/Publish";
let server: Server;
let ports: ServerPorts;
let admin: string;
/** What waits for half a minute: begun with the first test, so that the others run meanwhile, and told by its own. */
let slowRequests: Promise<void>;
const lines: string[] = [];
let names = 0;

beforeAll(async () => {
  const note = (message: string, fields?: LogFields): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  server = createServer({
    config: parseConfig({
      api: { keys: KEY_ENTRIES, public: true },
      channels: CHANNELS,
      limits: LIMITS,
      server: { http: ANY, drain_timeout: "1s" },
      transport: { websocket: ANY, grpc: ANY },
    }),
    backends: { authenticate },
    logger: { warn: note, info: note, audit: note, debug: note },
  });
  ports = await server.start();
  admin = `http://127.0.0.1:${ports.http}`;
  slowRequests = refuseSlowRequests(`http://127.0.0.1:${ports.websocket}`);
  slowRequests.catch(() => {});
});

afterAll(async () => {
  await server.stop();
});

async function client({ capabilities, ...connect }: ConnectInit = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`, ["messageloop+json"]);
  await new Promise((resolve) => socket.once("open", resolve));
  const extended = { extended: true, capabilities: capabilities ?? ["test"] };
  const made = new Client<WebSocket>(socket, { encoding: "json", ...extended });
  const reply = await made.connect(connect);
  return { client: made, id: valueAs(reply, "connected").sessionId };
}

const DRIVERS: Readonly<Record<string, () => ApiDriver>> = {
  "JSON by plain HTTP on the admin port": () => jsonDriver(admin),
  "JSON by plain HTTP on the clients' port": () =>
    jsonDriver(`http://127.0.0.1:${ports.websocket}`),
  "a generated Connect client": () =>
    clientDriver("connect", createConnectTransport({ baseUrl: admin, httpVersion: "1.1" })),
  "a generated gRPC-Web client": () =>
    clientDriver("grpc-web", createGrpcWebTransport({ baseUrl: admin, httpVersion: "1.1" })),
  "a generated gRPC client": () =>
    clientDriver("grpc", createGrpcTransport({ baseUrl: `http://127.0.0.1:${ports.grpc}` })),
};

describe.each(Object.entries(DRIVERS))("by %s", (_, driver) => {
  test.each(API_CASES.map((one) => [one.name, one] as const))("%s", async (_name, { run }) => {
    names += 1;
    const own = `n${names}`;
    await run(
      new Api({ driver: driver(), client, elsewhere: client, name: (word) => `${word}-${own}` }),
    );
  });
});

describe("a survey whose request is broken off is over at once", () => {
  const headers = { authorization: `Bearer ${KEYS.all.key}` };
  const channel = "broken-off";
  const requests: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    "JSON by plain HTTP": (signal) =>
      fetch(`${admin}/${APIService.typeName}/Survey`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ channel, payload: event("?"), timeout_ms: 60_000 }),
        signal,
      }),
    "a generated gRPC client": (signal) => {
      const baseUrl = `http://127.0.0.1:${ports.grpc}`;
      const api = createClient(APIService, createGrpcTransport({ baseUrl }));
      return api.survey({ channel, timeoutMs: 60_000 }, { headers, signal });
    },
  };
  test.each(Object.entries(requests))("by %s", async (_, request) => {
    const { client: member } = await client({ subscriptions: [{ channel }] });
    const broken = new AbortController();
    const asking = request(broken.signal);
    await member.next("surveyRequest");
    expect(server.engine.surveys.size).toBe(1);
    broken.abort();
    await expect(asking).rejects.toThrow();
    await eventually(() => server.engine.surveys.size === 0);
    expect(member.close).toBeUndefined();
    member.socket.close();
  });
});

describe.each(["http", "websocket"] as const)("CloudEvents on the %s port", (listener) => {
  test.each(CLOUDEVENTS_CASES.map((one) => [one.name, one] as const))("%s", async (_, { run }) => {
    names += 1;
    const own = `c${names}`;
    await run({
      base: `http://127.0.0.1:${ports[listener]}`,
      client: async () => (await client()).client,
      name: (word) => `${word}-${own}`,
    });
  });
});

async function post(path: string, init: RequestInit = {}, base = admin): Promise<Response> {
  return await fetch(`${base}/${path}`, { method: "POST", ...init });
}

const authorized = { Authorization: `Bearer ${KEYS.all.key}` };
const json = { "Content-Type": "application/json", ...authorized };

describe("what is no call", () => {
  test.each([
    [
      "another content type",
      { headers: { ...json, "Content-Type": "text/plain" }, body: "{}" },
      415,
      "UNSUPPORTED_TYPE",
    ],
    ["none", { headers: authorized }, 415, "UNSUPPORTED_TYPE"],
    ["another method", { method: "PUT", headers: json, body: "{}" }, 405, "METHOD_NOT_ALLOWED"],
    ["GET", { method: "GET", headers: json }, 405, "METHOD_NOT_ALLOWED"],
    ["no JSON", { headers: json, body: "{" }, 400, "invalid_argument"],
    ["a list", { headers: json, body: "[]" }, 400, "invalid_argument"],
    ["an empty body", { headers: json }, 400, "invalid_argument"],
    [
      "a field of another type",
      { headers: json, body: '{"publications":1}' },
      400,
      "invalid_argument",
    ],
    [
      "30 February",
      {
        headers: json,
        body: '{"publications":[{"payload":{"attributes":{"time":{"ce_timestamp":"2026-02-30T00:00:00Z"}}}}]}',
      },
      400,
      "invalid_argument",
    ],
    [
      "more than a request may have",
      { headers: json, body: " ".repeat(5_000_000) },
      429,
      "resource_exhausted",
    ],
  ] as const)("%s", async (_, init, status, code) => {
    const answer = await post(METHOD, init);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("Content-Type")).toMatch(/^application\/json/);
    expect(await answer.json()).toMatchObject({ code, message: expect.any(String) });
    if (status === 405) expect(answer.headers.get("Allow")).toBe("POST");
  });

  test("without a key nothing of the request is read", async () => {
    const answer = await post(METHOD, {
      headers: { "Content-Type": "application/json" },
      body: " ".repeat(5_000_000),
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("WWW-Authenticate")).toBe("Bearer");
    expect(await answer.json()).toMatchObject({ code: "unauthenticated" });
  });

  test("a repeated key of JSON takes its last value, as on every other door", async () => {
    const answer = await post(METHOD, {
      headers: json,
      body: '{"request_id":"a","publications":[{"id":"1"}],"publications":[{"id":"2"},{"id":"3"}]}',
    });
    expect(await answer.json()).toMatchObject({ results: [{ id: "2" }, { id: "3" }] });
  });

  test("a page gets no preflight", async () => {
    const answer = await fetch(`${admin}/${METHOD}`, {
      method: "OPTIONS",
      headers: { Origin: "https://a.example", "Access-Control-Request-Method": "POST" },
    });
    expect(answer.status).toBe(405);
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
  });

  test("a method that there is not", async () => {
    for (const base of [admin, `http://127.0.0.1:${ports.websocket}`]) {
      const answer = await post(
        "messageloop.server.v1.APIService/Nothing",
        { headers: json, body: "{}" },
        base,
      );
      expect(answer.status).toBe(404);
    }
  });
});

test("the OpenAPI document has every call, wherever the API is", async () => {
  const texts = await Promise.all(
    [admin, `http://127.0.0.1:${ports.websocket}`].map(async (base) => {
      const answer = await fetch(`${base}/openapi.json`);
      expect(answer.headers.get("Content-Type")).toMatch(/^application\/json/);
      return await answer.text();
    }),
  );
  expect(texts[0]).toBe(texts[1]);
  const { openapi, paths } = JSON.parse(texts[0] ?? "") as { openapi: string; paths: object };
  expect(openapi).toBe("3.1.0");
  expect(Object.keys(paths)).toEqual(
    APIService.methods.map(({ name }) => `/messageloop.server.v1.APIService/${name}`),
  );
});

test("a call may take longer than a connection may be silent", async () => {
  const room = "patient-room";
  const { id } = await client({ subscriptions: [{ channel: room }] });
  // The listener cuts a connection on which nothing moves for 4 s, or 8.
  const asked = { channel: room, payload: event("?"), timeout_ms: 9_000 };
  const answers = await Promise.all(
    [DRIVERS["a generated gRPC client"], DRIVERS["JSON by plain HTTP on the admin port"]].map(
      (driver) => driver?.().call("survey", asked, KEYS.all.key),
    ),
  );
  for (const answer of answers) expect(answer?.body).toEqual({ silent: [id] });
});

test("a deadline of a month is none that is over at once", async () => {
  const answer = await post("messageloop.server.v1.APIService/Channels", {
    headers: { ...json, "Connect-Timeout-Ms": "2592000000" },
    body: "{}",
  });
  expect(answer.status).toBe(200);
});

test("an address that brings too many wrong keys has to wait, on every listener, and a good one passes", async () => {
  const other = createServer({
    config: parseConfig({
      api: { keys: KEY_ENTRIES, public: true },
      server: { http: ANY, drain_timeout: "1s" },
      transport: { websocket: ANY, grpc: ANY },
    }),
  });
  const { http, websocket } = await other.start();
  const at = async (port: number, key: string): Promise<Response> =>
    await post(
      METHOD,
      { headers: { ...json, Authorization: `Bearer ${key}` }, body: "{}" },
      `http://127.0.0.1:${port}`,
    );
  for (let i = 0; i < FAILURES_AT_ONCE; i++) {
    expect((await at(i % 2 === 0 ? http : websocket, "wrong")).status).toBe(401);
  }
  for (const port of [http, websocket]) {
    expect((await at(port, KEYS.all.key)).status).toBe(200);
    const answer = await at(port, "wrong");
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await answer.json()).toMatchObject({ code: "resource_exhausted" });
  }
  await other.stop();
});

test("calls are counted by method and code, whichever way they come", async () => {
  const counts = async (): Promise<Map<string, number>> => {
    const text = await (await fetch(`${admin}/metrics`)).text();
    const samples = text.matchAll(
      /^messageloop_api_calls_total\{method="Presence",code="(\w+)"\} (\d+)$/gm,
    );
    return new Map([...samples].map(([, code = "", value]) => [code, Number(value)]));
  };
  const before = await counts();
  const path = METHOD.replace("Publish", "Presence");
  for (const type of ["application/json", "application/grpc-web+json"]) {
    const ask = async (body: string, key = KEYS.all.key) => {
      const head = Buffer.alloc(type.includes("grpc") ? 5 : 0);
      if (head.length > 0) head.writeUInt32BE(body.length, 1);
      await post(path, {
        headers: { "Content-Type": type, Authorization: `Bearer ${key}` },
        body: Buffer.concat([head, Buffer.from(body)]),
      });
    };
    await ask('{"channel":"counted"}');
    await ask('{"channel":"hidden.counted"}');
    await ask('{"channel":7}');
    await ask('{"channel":"counted"}', KEYS.publish.key);
    await ask('{"channel":"counted"}', "wrong");
    await ask(" ".repeat(5_000_000));
  }
  const after = await counts();
  const more = [...after].map(([code, value]) => [code, value - (before.get(code) ?? 0)] as const);
  expect(Object.fromEntries(more.filter(([, value]) => value > 0))).toEqual({
    ok: 2,
    invalid_argument: 4,
    permission_denied: 2,
    unauthenticated: 2,
    resource_exhausted: 2,
  });
});

test("no key is in the log, in metrics or in an error", async () => {
  const wrong = `${KEYS.all.key}x`;
  const answer = await post(METHOD, {
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${wrong}` },
    body: "{}",
  });
  const told = `${await answer.text()} ${JSON.stringify([...answer.headers])}`;
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  const secrets = Object.values(KEYS).map(({ key }) => key.slice(-20));
  expect(lines.some((line) => line.startsWith("API call refused"))).toBe(true);
  for (const secret of secrets) {
    expect([told, metrics, lines.join()].filter((text) => text.includes(secret))).toEqual([]);
  }
});

test("CloudEvents over HTTP/2 on the gRPC port", async () => {
  const session = connectHttp2(`http://127.0.0.1:${ports.grpc}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/channels/http2%2Fa",
    authorization: `Bearer ${KEYS.publish.key}`,
    "content-type": "application/cloudevents+json",
  });
  stream.end('{"specversion":"1.0","id":"1","source":"/s","type":"t"}');
  const [headers] = (await once(stream, "response")) as [{ ":status": number }];
  const chunks = await stream.setEncoding("utf8").toArray();
  session.close();
  expect([headers[":status"], JSON.parse(chunks.join(""))]).toMatchObject([200, { id: "1" }]);
});

test("content types are read with their parameters, and what is none of a call says so", async () => {
  await readContentTypes(`http://127.0.0.1:${ports.websocket}`);
});

test("a body that says that it is too long is refused before it comes", async () => {
  const head = [
    `POST /${METHOD} HTTP/1.1`,
    "Host: a",
    `Authorization: Bearer ${KEYS.all.key}`,
    "Content-Type: application/json",
    `Content-Length: ${MAX_API_REQUEST_BYTES + 1}`,
  ];
  const socket = dialRaw(ports.http, `${head.join("\r\n")}\r\n\r\n{`);
  const began = performance.now();
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 429 /);
  expect(performance.now() - began).toBeLessThan(5_000);
  socket.destroy();
});

test("what the bearer of a key changes is in the log each time, done or refused, and reading is not", async () => {
  const driver = jsonDriver(admin);
  const channel = `audited-${crypto.randomUUID()}`;
  // More than there may be of one kind of info at once.
  for (let i = 0; i < 40; i++) await driver.call("removeHistory", { channel }, KEYS.all.key);
  await driver.call("removeHistory", { channel }, KEYS.read.key);
  await driver.call("history", { channel }, KEYS.read.key);
  const audited = lines.filter((line) => line.includes(channel));
  expect(audited).toHaveLength(41);
  expect(audited[0]).toContain('"method":"RemoveHistory","key":"all"');
  expect(audited[0]).toContain('"outcome":"ok"');
  expect(audited[40]).toContain('"key":"read"');
  expect(audited[40]).toContain('"outcome":"permission_denied"');
  expect(lines.join()).not.toContain(KEYS.all.key);
});

test("the admin port has streams of events for its keys, whatever names clients' ports have", async () => {
  const answer = await fetch(`${admin}/channels/room/events`, { headers: authorized });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("Content-Type")).toBe("text/event-stream");
  await answer.body?.cancel();
  expect((await fetch(`${admin}/channels/room/events`)).status).toBe(401);
});

test("what cannot be decoded is refused in words of our own, by every call", async () => {
  await refuseGarbage(`http://127.0.0.1:${ports.websocket}`);
}, 60_000);

test("who is refused hears why, however much there is still to send", async () => {
  await refuseLongRequests(`http://127.0.0.1:${ports.websocket}`);
  await refuseLongRequestsByHttp2(`http://127.0.0.1:${ports.grpc}`);
}, 120_000);

describe("slow bodies", () => {
  const REQUESTS = [
    [
      "/channels/slow",
      "application/cloudevents+json",
      '{"specversion":"1.0","id":"1","source":"/s","type":"t"}',
    ],
    [`/${METHOD}`, "application/json", '{"request_id":"1","publications":[]}'],
  ] as const;
  /** A connection that has sent a request without the end of its body. */
  const begun = ([path, type, body]: (typeof REQUESTS)[number], key: string) =>
    dialRaw(
      ports.http,
      [
        `POST ${path} HTTP/1.1`,
        "Host: a",
        `Authorization: Bearer ${key}`,
        `Content-Type: ${type}`,
        `Content-Length: ${body.length}`,
        "",
        body.slice(0, 9),
      ].join("\r\n"),
    );

  test("who has shown a key may be silent for longer than a connection may be", async () => {
    const sockets = REQUESTS.map((request) => begun(request, KEYS.publish.key));
    // Longer than the listener waits for anybody else.
    await sleep(5_000);
    for (const [i, socket] of sockets.entries()) {
      socket.write(REQUESTS[i]?.[2].slice(9) ?? "");
      const [answer] = (await once(socket, "data")) as [Buffer];
      expect(answer.toString()).toMatch(/^HTTP\/1.1 200 /);
    }
  });

  test("what is not whole after 30 s is refused, at every door alike", async () => {
    await slowRequests;
  }, 60_000);

  test("who has not is answered at once, and gone soon", async () => {
    const took = await Promise.all(
      REQUESTS.map(async (request) => {
        const socket = begun(request, "ml_a_b");
        const end = gone(socket);
        const [answer] = (await once(socket, "data")) as [Buffer];
        expect(answer.toString()).toMatch(/^HTTP\/1.1 401 /);
        return await end;
      }),
    );
    expect(Math.max(...took)).toBeLessThan(10_000);
  });
});

describe("a call that is refused in the middle of its body, over HTTP/1.1", () => {
  const SEND = "/messageloop.v1.MessagingService/Send";
  test.each([
    [SEND, "application/proto", 429],
    [SEND, "application/grpc-web+proto", 200],
    [`/${METHOD}`, "application/grpc-web+proto", 200],
  ])("%s as %s: the next call on the connection is answered", async (path, type, status) => {
    const body = Buffer.alloc(MAX_API_REQUEST_BYTES + 65_536);
    // The length of a message; it means nothing where there is but one.
    body.writeUInt32BE(body.length - 5, 1);
    const socket = dialRaw(
      ports.websocket,
      [
        `POST ${path} HTTP/1.1`,
        "Host: a",
        `Authorization: Bearer ${KEYS.all.key}`,
        `Content-Type: ${type}`,
        `Content-Length: ${body.length}`,
        "",
        "",
      ].join("\r\n"),
    );
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    socket.write(body);
    await eventually(() => text.startsWith(`HTTP/1.1 ${status} `));
    socket.write("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n");
    // An unanswered connection is cut after six seconds.
    await eventually(() => text.includes('"openapi":"3.1'), Boolean, 5_500);
  });
});
