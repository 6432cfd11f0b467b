/**
 * Open and Send on the self-hosted server, beyond what the conformance suite shows of any host: every protocol of the
 * library on both listeners, bad input, pages, heartbeats, ends, and what is left behind.
 */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  MessagingService,
  type OutboundMessage,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_SEND_MESSAGES } from "../../src/protocol/limits.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { Client, type Kind, kindOf } from "../support/client.ts";
import { OpenSocket } from "../support/open-socket.ts";
import { seededRandom } from "../support/random.ts";

const SERVICE = "/messageloop.v1.MessagingService";
const EXTENDED: Kind = { encoding: "json", extended: true };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Settings {
  readonly stream?: Readonly<Record<string, unknown>>;
  readonly websocket?: Readonly<Record<string, unknown>>;
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
}

async function start({
  stream = {},
  websocket = {},
  limits = {},
  server: more = {},
}: Settings = {}) {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "2s", ...more },
    transport: { websocket: { ...listener, ...websocket }, grpc: listener, stream },
    limits,
  });
  const logged: string[] = [];
  const log = (message: string) => logged.push(message);
  const server = createServer({ config, logger: { warn: log, debug: log } });
  const ports = await server.start();
  cleanups.push(() => server.stop());
  return {
    server,
    logged,
    http1: `http://127.0.0.1:${ports.websocket}`,
    http2: `http://127.0.0.1:${ports.grpc}`,
  };
}
type Started = Awaited<ReturnType<typeof start>>;

function nothingLeft({ server }: Started): Promise<void> {
  return expect.poll(() => server.engine.sessionCount + server.connections).toBe(0);
}

/** A connected client. */
async function opened({ http1 }: Pick<Started, "http1">, capabilities = ["test"]) {
  const socket = new OpenSocket(http1, EXTENDED);
  cleanups.push(() => socket.terminate());
  const client = new Client(socket, { ...EXTENDED, capabilities });
  const reply = await client.connect({ subscriptions: [{ channel: "room" }] });
  expect(kindOf(reply)).toBe("connected");
  return client;
}

type Make = (urls: { http1: string; http2: string }, useBinaryFormat: boolean) => Transport;
const TRANSPORTS: Readonly<Record<string, Make>> = {
  "Connect over HTTP/1.1": ({ http1: baseUrl }, useBinaryFormat) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat }),
  "Connect over HTTP/2": ({ http2: baseUrl }, useBinaryFormat) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat }),
  "gRPC-Web over HTTP/1.1": ({ http1: baseUrl }, useBinaryFormat) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat }),
  "gRPC-Web over HTTP/2": ({ http2: baseUrl }, useBinaryFormat) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "2", useBinaryFormat }),
  "gRPC over HTTP/2": ({ http2: baseUrl }, useBinaryFormat) =>
    createGrpcTransport({ baseUrl, useBinaryFormat }),
};

const COMBINATIONS = Object.keys(TRANSPORTS).flatMap((name) =>
  [true, false].map((binary) => [name, binary ? "protobuf" : "JSON"] as const),
);

test.each(COMBINATIONS)("G7: %s, %s: a session", async (name, encoding) => {
  const urls = await start();
  const transport = TRANSPORTS[name]?.(urls, encoding === "protobuf") as Transport;
  const client = createClient(MessagingService, transport);
  const abort = new AbortController();
  const stream = client.open(
    { clientId: "c", capabilities: ["x"], subscriptions: [{ channel: "room" }] },
    { signal: abort.signal },
  );
  const seen: OutboundMessage[] = [];
  let ended: unknown;
  const reading = (async () => {
    for await (const message of stream) seen.push(message);
  })().catch((error: unknown) => {
    ended = error;
  });
  await expect
    .poll(() => seen.map(({ envelope }) => envelope.case))
    .toEqual(["opened", "connected"]);
  const [first] = seen;
  if (first?.envelope.case !== "opened") throw new Error("not opened");
  const { sessionId, secret } = first.envelope.value;
  const headers = { "Messageloop-Stream-Secret": secret };
  const publish = (id: string) => ({
    id,
    channel: "room",
    envelope: {
      case: "publish" as const,
      value: { id, source: "/s", type: "t", data: { case: "textData" as const, value: id } },
    },
  });
  expect(
    (await client.send({ sessionId, seq: 2n, messages: [publish("b")] }, { headers })).seq,
  ).toBe(0n);
  expect(
    (await client.send({ sessionId, seq: 1n, messages: [publish("a")] }, { headers })).seq,
  ).toBe(2n);
  await expect
    .poll(() =>
      seen.flatMap(({ envelope }) =>
        envelope.case === "publication" ? envelope.value.messages.map((m) => m.payload?.id) : [],
      ),
    )
    .toEqual(["a", "b"]);
  await expect(client.send({ sessionId, seq: 1n, messages: [] })).rejects.toMatchObject({
    code: Code.NotFound,
    rawMessage: "there is no such stream",
  });
  abort.abort();
  await reading;
  expect(ended).toMatchObject({ code: Code.Canceled });
  await nothingLeft(urls);
  expect(urls.logged.filter((line) => line.includes(secret))).toEqual([]);
});

/** A call as curl would make it. */
async function call(base: string, body: string, headers: Record<string, string> = {}, more = {}) {
  const response = await fetch(`${base}${SERVICE}/Send`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body,
    ...more,
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

const ping = (id: string) => `{"id":"${id}","ping":{}}`;

describe("a Send that is refused", () => {
  test("G10, G11: says why, by the table, and takes nothing", async () => {
    const started = await start();
    const { socket } = await opened(started);
    const { sessionId = "", secret = "" } = socket.opened ?? {};
    const send = (rest: string, headers = { "Messageloop-Stream-Secret": secret }) =>
      call(started.http1, `{"session_id":"${sessionId}",${rest}}`, headers);
    const many = Array.from({ length: MAX_SEND_MESSAGES + 1 }, () => ping("x")).join();
    const nowhere = '{"code":"not_found","message":"there is no such stream"';
    for (const [answer, status, begins] of [
      [
        send('"seq":0,"messages":[{}]'),
        400,
        '{"code":"invalid_argument","message":"seq counts from 1"',
      ],
      [send('"messages":[{}]'), 400, '{"code":"invalid_argument","message":"seq counts from 1"'],
      [
        send('"seq":"9007199254740992","messages":[{}]'),
        400,
        '{"code":"invalid_argument","message":"seq is beyond 2^53 - 1"',
      ],
      [
        send('"seq":"18446744073709551615","messages":[{},{}]'),
        400,
        '{"code":"invalid_argument","message":"seq is beyond 2^53 - 1"',
      ],
      [
        send(`"seq":1,"messages":[${many}]`),
        400,
        '{"code":"invalid_argument","message":"a Send holds at most 64 messages"',
      ],
      ...[
        '"seq":-1',
        '"seq":1.5',
        '"seq":"0x1"',
        '"seq":"18446744073709551616"',
        '"messages":{}',
        "x",
      ].map(
        (rest) =>
          [
            send(rest),
            400,
            '{"code":"invalid_argument","message":"Failed to decode message"',
          ] as const,
      ),
      [call(started.http1, "[]"), 400, '{"code":"invalid_argument"'],
      [call(started.http1, "{}"), 404, nowhere],
      [send('"seq":1', { "Messageloop-Stream-Secret": "" }), 404, nowhere],
      [send('"seq":1', { "Messageloop-Stream-Secret": `${secret}x` }), 404, nowhere],
      [send('"sessionId":"nobody","seq":1'), 400, '{"code":"invalid_argument"'],
      [
        call(started.http1, '{"session_id":"nobody"}', { "Messageloop-Stream-Secret": secret }),
        404,
        nowhere,
      ],
      [
        send(`"seq":1,"messages":[{"id":"${"x".repeat(300_000)}"}]`),
        429,
        '{"code":"resource_exhausted"',
      ],
      [
        call(started.http1, "{}", { "Content-Type": "text/plain" }),
        415,
        '{"code":"UNSUPPORTED_TYPE"',
      ],
      [call(started.http1, "{}", { "Content-Encoding": "br" }), 501, '{"code":"unimplemented"'],
    ] as const) {
      const { status: got, text } = await answer;
      expect([got, text.slice(0, begins.length)]).toEqual([status, begins]);
    }
    const get = await fetch(`${started.http1}${SERVICE}/Send?message={}&encoding=json`);
    expect(get.status).toBe(405);
    expect(socket.taken).toBe(0);
    socket.terminate();
    await nothingLeft(started);
    const { status, text } = await send('"seq":1');
    expect([status, text.slice(0, nowhere.length)]).toEqual([404, nowhere]);
  });

  test.each(["connect+json", "connect+proto"])(
    "an Open by %s that is no Connect has no session",
    async (type) => {
      const started = await start();
      const body = (text: string) => {
        const head = Buffer.alloc(5);
        head.writeUInt32BE(text.length, 1);
        return Buffer.concat([head, Buffer.from(text, "latin1")]);
      };
      const texts = type.endsWith("json")
        ? ["", "null", "[]", "7", '{},"publish":{}', '{"subscriptions":7}', "{", "\xff"]
        : ["\x2a\x01\xff", "\x0a\x01\xff", "\x0a", "\x0a\x05a"];
      for (const text of texts) {
        const response = await fetch(`${started.http1}${SERVICE}/Open`, {
          method: "POST",
          headers: { "Content-Type": `application/${type}` },
          body: body(text),
        });
        const { error } = JSON.parse((await response.text()).slice(5)) as {
          error: { code: string };
        };
        expect([text, error.code]).toEqual([text, "invalid_argument"]);
      }
      expect(started.server.engine.sessionCount).toBe(0);
    },
  );
});

test("G10: each message is read by the rules of a WebSocket's frame, and refused alone", async () => {
  const started = await start();
  const client = await opened(started);
  const { sessionId, secret } = client.socket.opened ?? {};
  const texts = [
    '{"id":"old","id":"re\\"peated]","ping":{}}',
    '{"id":"deep","x":[[{"messages":"}]"}]],"ping":{}}',
    '{"id":7}',
    '{"id":"time","time":"no time","ping":{}}',
    '{"id":"large","metadata":{"a":1e999},"ping":{}}',
    ' {"id":"last","ping":{}} ',
  ];
  const body = `{"messages":[{}], "messages" : 7, "\\u006dessages": [${texts.join(" , ")}],"seq":9,"seq":"1","session_id":"${sessionId}","x":{"messages":[]}}`;
  const answer = await call(started.http1, body.replaceAll("\\u", "\\u"), {
    "Messageloop-Stream-Secret": secret ?? "",
  });
  expect([answer.status, answer.text]).toEqual([200, '{"seq":"6"}']);
  const told = () =>
    client.log.map((message) => (message.envelope.case === "pong" ? message.id : kindOf(message)));
  await expect
    .poll(told)
    .toEqual([
      "connected",
      're"peated]',
      "deep",
      "error BAD_REQUEST",
      "time",
      "error BAD_REQUEST",
      "last",
    ]);
});

test("G8: a client whose calls are reordered, repeated, joined and lost loses nothing", async () => {
  const started = await start();
  const faults = seededRandom(7);
  const socket = new OpenSocket(started.http1, { ...EXTENDED, faults });
  cleanups.push(() => socket.terminate());
  const client = new Client(socket, EXTENDED);
  await client.connect({ subscriptions: [{ channel: "room" }] });
  const wanted = Array.from({ length: 40 }, (_, index) => `${index}`);
  await Promise.all(wanted.map((text) => client.publish("room", text)));
  const texts = client.messages.map(({ payload }) => payload?.data.value);
  expect(texts).toEqual(wanted);
});

const PAGE = "https://page.example";

describe.each(["HTTP/1.1", "HTTP/2"])("pages, over %s", (version) => {
  async function ask(
    started: Started,
    method: string,
    headers: Record<string, string>,
    path = "Send",
  ) {
    if (version === "HTTP/1.1") {
      const body = method === "POST" ? "{}" : null;
      const url = `${started.http1}${SERVICE}/${path}`;
      const response = await fetch(url, { method, headers, body });
      return { status: response.status, headers: Object.fromEntries(response.headers) };
    }
    const session = connectHttp2(started.http2);
    cleanups.push(() => session.destroy());
    const stream = session.request({
      ":method": method,
      ":path": `${SERVICE}/${path}`,
      ...headers,
    });
    stream.end(method === "POST" ? "{}" : undefined);
    const [answer] = (await once(stream, "response")) as [Record<string, string>];
    stream.resume();
    return { status: Number(answer[":status"]), headers: answer };
  }

  test("G15: those that may connect by WebSocket may call, and no others", async () => {
    const started = await start({ websocket: { allowed_origins: [PAGE] } });
    const { server, logged } = started;
    const asks = { "access-control-request-method": "POST" };
    for (const path of ["Open", "Send"]) {
      const preflight = await ask(started, "OPTIONS", { origin: PAGE, ...asks }, path);
      expect(preflight.status).toBe(204);
      expect(preflight.headers).toMatchObject({
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "POST",
        vary: "Origin",
      });
      const allowed = preflight.headers["access-control-allow-headers"]?.toLowerCase().split(", ");
      expect(allowed).toEqual(
        expect.arrayContaining([
          "content-type",
          "connect-protocol-version",
          "connect-timeout-ms",
          "x-grpc-web",
          "x-user-agent",
          "messageloop-stream-secret",
        ]),
      );
      for (const method of ["OPTIONS", "POST"]) {
        const refused = await ask(started, method, { origin: "https://x.example", ...asks }, path);
        expect(refused.status).toBe(403);
        expect(Object.keys(refused.headers).filter((name) => /^access|cookie/.test(name))).toEqual(
          [],
        );
        expect(refused.headers["vary"]).toBe("Origin");
      }
      expect(logged.splice(0)).toEqual(["call refused", "call refused"]);
    }
    const json = { "content-type": "application/json" };
    const own = version === "HTTP/1.1" ? started.http1 : started.http2;
    for (const origin of [PAGE, own]) {
      const { status, headers } = await ask(started, "POST", { origin, ...json, cookie: "a=b" });
      expect(status).toBe(404);
      expect(headers["access-control-allow-origin"]).toBe(origin);
      expect(headers["access-control-expose-headers"]?.toLowerCase()).toContain("grpc-status");
      expect(headers["access-control-allow-credentials"]).toBeUndefined();
      expect(headers["set-cookie"]).toBeUndefined();
      expect(headers["cache-control"]).toBe("no-store, no-transform");
    }
    expect((await ask(started, "POST", json)).headers["vary"]).toBe("Origin");
    expect((await ask(started, "OPTIONS", {})).status).toBe(405);
    expect(server.engine.sessionCount).toBe(0);
  });
});

describe("the life of a stream", () => {
  test("G9: what is held back for too long ends it", async () => {
    const started = await start();
    const client = await opened(started);
    const { sessionId, secret = "" } = client.socket.opened ?? {};
    const messages = Array.from({ length: MAX_SEND_MESSAGES }, () => ping("x")).join();
    const send = (seq: number) =>
      call(started.http1, `{"session_id":"${sessionId}","seq":${seq},"messages":[${messages}]}`, {
        "Messageloop-Stream-Secret": secret,
      });
    expect((await send(2)).text).toBe("{}");
    expect((await send(3)).status).toBe(404);
    expect(await client.closed()).toEqual({ code: 3501, reason: "bad request" });
  });

  test("G12: heartbeats come while there is nothing else to say, and are no frames", async () => {
    const started = await start({ stream: { heartbeat_interval: "20ms" } });
    const client = await opened(started);
    expect(client.socket.opened?.heartbeatIntervalMs).toBe(20);
    await expect.poll(() => client.socket.heartbeats).toBeGreaterThan(3);
    expect(client.log.map(kindOf)).toEqual(["connected"]);
  });

  test("G13: after its time the client is asked to come back", async () => {
    const started = await start({ stream: { lifetime: "200ms" } });
    const client = await opened(started, ["control"]);
    expect(await client.closed()).toEqual({ code: 3512, reason: "server going away" });
    const [last] = client.all("disconnect");
    expect(last).toMatchObject({ code: 3512, reconnect: true });
    expect(last?.retryAfterMs).toBeLessThan(5_000);
    await nothingLeft(started);
  });

  test("G14: a client that says nothing ends with 3511; a heartbeat is the server's word, not the client's", async () => {
    const started = await start({
      stream: { heartbeat_interval: "20ms" },
      server: { heartbeat: { idle_timeout: "600ms", ping_interval: "0s" } },
    });
    const client = await opened(started);
    expect(await client.closed()).toEqual({ code: 3511, reason: "idle timeout" });
  });

  test("a server that stops says so, and its connections end", async () => {
    const started = await start();
    const client = await opened(started);
    const stopping = started.server.stop();
    expect(await client.closed()).toEqual({ code: 3512, reason: "server going away" });
    await stopping;
  });

  test("one connection more than there may be is told 3504; twice as many are unavailable", async () => {
    const started = await start({ limits: { connections: 1 } });
    await opened(started);
    const second = new OpenSocket(started.http1, EXTENDED);
    const refused = new Client(second, EXTENDED);
    expect(await refused.connect().catch(() => refused.closed())).toEqual({
      code: 3504,
      reason: "connection limit",
    });
  });

  test.each(["HTTP/1.1", "HTTP/2"])(
    "when the client's TCP has ended the session has, over %s",
    async (version) => {
      const error = vi.spyOn(console, "error").mockImplementation(() => {});
      cleanups.push(() => error.mockRestore());
      const started = await start({ stream: { heartbeat_interval: "1s" } });
      if (version === "HTTP/1.1") {
        const client = await opened(started);
        client.socket.terminate();
      } else {
        const session = connectHttp2(started.http2);
        const stream = session.request({
          ":method": "POST",
          ":path": `${SERVICE}/Open`,
          "content-type": "application/connect+json",
        });
        stream.end(Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]));
        await once(stream, "response");
        expect(started.server.engine.sessionCount).toBe(1);
        session.destroy();
      }
      await nothingLeft(started);
      expect(error).not.toHaveBeenCalled();
    },
  );

  test("over HTTP/1.1 a client that does not read ends with 3510, and nothing of it is left", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    cleanups.push(() => error.mockRestore());
    const started = await start({ limits: { queue_bytes: 65_536 } });
    const { server, http1 } = started;
    const socket = connectTcp(Number(new URL(http1).port), "127.0.0.1");
    cleanups.push(() => socket.destroy());
    const connect = '{"subscriptions":[{"channel":"room"}]}';
    socket.write(
      `POST ${SERVICE}/Open HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nContent-Length: ${connect.length + 5}\r\n\r\n`,
    );
    socket.write(Buffer.concat([Buffer.from([0, 0, 0, 0, connect.length]), Buffer.from(connect)]));
    await expect.poll(() => server.engine.hub.subscribers("room").length).toBe(1);
    socket.pause();
    const reader = await opened(started);
    const text = "x".repeat(60_000);
    for (let i = 0; server.engine.stats().disconnects[3510] === undefined; i++) {
      await reader.publish("room", text);
      expect(i).toBeLessThan(500);
    }
    expect(server.engine.sessionCount).toBe(1);
    socket.destroy();
    await expect.poll(() => server.connections).toBe(1);
    expect(error).not.toHaveBeenCalled();
  });

  test.each([
    ["Connect", "connect-timeout-ms", "9999999999"],
    ["Connect", "connect-timeout-ms", "2000"],
  ])("%s: a deadline is the client's, however long: %s: %s", async (_, name, value) => {
    const started = await start();
    const socket = new OpenSocket(started.http1, { ...EXTENDED, headers: { [name]: value } });
    cleanups.push(() => socket.terminate());
    const client = new Client(socket, EXTENDED);
    expect(kindOf(await client.connect())).toBe("connected");
    expect(kindOf(await client.ping())).toBe("pong");
    if (value === "2000") {
      expect(await client.closed()).toMatchObject({
        reason: expect.stringMatching(/^deadline_exceeded/),
      });
      await nothingLeft(started);
    }
  });

  test("a quiet stream outlives the silence that a request may have", {
    timeout: 20_000,
  }, async () => {
    const started = await start({ stream: { heartbeat_interval: "1m" } });
    const client = await opened(started);
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    expect(kindOf(await client.ping())).toBe("pong");
  });
});
