/**
 * Server-sent events on the self-hosted server, beyond what the conformance suite shows of any host: both versions of
 * HTTP, what clients do by themselves, limits, ends, and what is left behind.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { Tickets } from "../../src/http/tickets/tickets.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { EventClient, eventsUrl } from "../support/event-client.ts";
import { EventReader } from "../support/event-reader.ts";
import { eventually } from "../support/eventually.ts";
import { dialRaw } from "./raw.ts";

const KEY = `ml_reader_${"k".repeat(43)}`;
const AUTHORIZED = { headers: { authorization: `Bearer ${KEY}` } };
const TICKET_SECRET = "the secret that tickets are signed with";
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Settings {
  readonly stream?: Readonly<Record<string, unknown>>;
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
  readonly channels?: readonly unknown[];
  readonly api?: Readonly<Record<string, unknown>>;
  readonly port?: number;
}

async function start({
  stream = {},
  limits = {},
  server: more = {},
  channels = [],
  api = {},
  port = 0,
}: Settings = {}) {
  const listener = { addr: "127.0.0.1:0" };
  const digest = createHash("sha256").update(KEY).digest("hex");
  const config = parseConfig({
    server: { http: listener, drain_timeout: "2s", ...more },
    transport: { websocket: { addr: `127.0.0.1:${port}` }, grpc: listener, stream },
    limits,
    channels,
    api: {
      keys: [{ id: "reader", digest, rights: ["read"], patterns: ["**"] }],
      ticket_keys: [{ id: "t", secret: TICKET_SECRET }],
      ...api,
    },
  });
  const logged: string[] = [];
  const log = (message: string, fields: unknown) => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const server = createServer({ config, logger: { warn: log, info: log, debug: log } });
  const ports = await server.start();
  cleanups.push(() => server.stop());
  const origin = `http://127.0.0.1:${ports.websocket}`;
  const open = async (
    channel: string,
    asked: Parameters<typeof EventClient.open>[2] = AUTHORIZED,
  ) => {
    const client = await EventClient.open(origin, channel, asked);
    cleanups.push(() => client.cut());
    return client;
  };
  return { server, ports, origin, logged, open };
}

async function publish(
  server: Server,
  channel: string,
  ...texts: readonly string[]
): Promise<void> {
  for (const text of texts) {
    const data = { case: "textData", value: text } as const;
    await server.engine.publish(
      channel,
      create(CloudEventSchema, { source: "/s", type: "t", data }),
    );
  }
}

async function ticketFor(user: string, channels: readonly string[], ttlMs = 60_000, age = 0) {
  const secret = new TextEncoder().encode(TICKET_SECRET);
  const clock = { now: () => Date.now() - age };
  const tickets = new Tickets({ keys: [{ id: "t", secret }], hmac: webHmac, clock });
  return (await tickets.mint({ user, channels, ttlMs })).ticket;
}

test("a stream begins at once, over HTTP/1.1 and HTTP/2 alike, and ends when its client leaves", async () => {
  const { server, ports, open } = await start();
  const first = await open("a");
  const session = connectHttp2(`http://127.0.0.1:${ports.grpc}`);
  cleanups.push(() => session.destroy());
  const path = "/channels/a/events";
  const stream = session.request({ ":path": path, authorization: `Bearer ${KEY}` });
  const second = new EventReader();
  const headers: Record<string, unknown> = {};
  stream.on("response", (all) => Object.assign(headers, all));
  stream.setEncoding("utf8").on("data", (text: string) => second.feed(text));
  await first.event("subscribed");
  await eventually(() => second.named("subscribed").length === 1);
  expect(first.reader.heartbeats).toBe(1);
  expect(second.heartbeats).toBe(1);
  for (const name of ["content-type", "cache-control", "referrer-policy", "vary"]) {
    expect(headers[name], name).toBe(first.headers[name]);
  }
  expect(headers[":status"]).toBe(200);
  await publish(server, "a", "1", "2");
  await first.texts(2);
  await eventually(() => second.texts.length === 2);
  expect(second.events.slice(1)).toEqual(first.reader.events.slice(1));
  expect(server.engine.sessions().map(({ userId }) => userId)).toEqual([
    "key:reader",
    "key:reader",
  ]);
  first.cut();
  stream.close();
  await eventually(() => server.engine.sessionCount === 0 && server.connections === 0);
});

test("who is silent is there all the same, and heartbeats say that the server is", async () => {
  const { server, open } = await start({
    server: { heartbeat: { idle_timeout: "300ms", ping_interval: "100ms" } },
    stream: { heartbeat_interval: "50ms" },
  });
  const client = await open("a");
  await eventually(() => client.reader.heartbeats >= 15);
  expect(client.ended).toBe(false);
  await publish(server, "a", "still there");
  expect(await client.texts(1)).toEqual(["still there"]);
});

test("a stream that has lived long enough ends, and its client goes on where it was", async () => {
  const { server, open } = await start({ stream: { lifetime: "2s" } });
  const client = await open("a");
  await publish(server, "a", "1");
  const end = await client.event("disconnect");
  await client.end();
  expect(end.data).toMatchObject({ code: 3512, reconnect: true, retry_after_ms: end.retry });
  await publish(server, "a", "2");
  const again = await open("a", { headers: { ...AUTHORIZED.headers, "last-event-id": end.id } });
  expect(await again.texts(1)).toEqual(["2"]);
  expect(again.reader.named("gap")).toEqual([]);
});

test("at the limit the answer is a pause and an end, which no client takes for good", async () => {
  const { server, open } = await start({ limits: { connections: 1 } });
  const first = await open("a");
  await first.event("subscribed");
  for (const lastEventId of ["", "e-7"]) {
    const headers = { ...AUTHORIZED.headers, "last-event-id": lastEventId };
    const second = await open("a", { headers });
    await second.end();
    expect(second.status).toBe(200);
    expect(second.reader.events).toEqual([
      expect.objectContaining({ event: "disconnect", id: lastEventId || "-" }),
    ]);
    expect(second.reader.events[0]?.data.code).toBe(3504);
  }
  expect(server.engine.sessionCount).toBe(1);
});

test("streams and WebSockets count together", async () => {
  const { ports, open } = await start({ limits: { connections: 1 } });
  const dial = (): WebSocket => {
    const socket = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`, ["messageloop+json"]);
    cleanups.push(() => socket.terminate());
    return socket;
  };
  const socket = dial();
  await once(socket, "open");
  const refused = await open("a");
  await refused.end();
  expect(refused.reader.events).toMatchObject([{ event: "disconnect", data: { code: 3504 } }]);
  socket.terminate();
  const stream = await eventually(async () => {
    const next = await open("a");
    await eventually(() => next.reader.events.length > 0);
    return next.reader.named("subscribed").length === 1 ? next : undefined;
  });
  const [code] = (await once(dial(), "close")) as [number];
  expect(code).toBe(3504);
  expect(stream?.ended).toBe(false);
});

test("a server that stops says so, on streams and to who comes meanwhile", async () => {
  const { server, ports, open } = await start();
  const client = await open("a");
  await client.event("subscribed");
  // A connection from before the stop, on which a request comes after it.
  const late = dialRaw(ports.websocket);
  let answer = "";
  late.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  const request = `GET /channels/a/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n`;
  late.write(request);
  await once(late, "connect");
  // The server has accepted it, and read what there is, after some turns of this process.
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  const stopped = server.stop();
  late.write("\r\n");
  await client.end();
  const [end] = client.reader.named("disconnect");
  expect(end?.data).toMatchObject({ code: 3512, reason: "server going away", reconnect: true });
  await eventually(() => answer.includes("event: disconnect"));
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).toContain('"code":3512');
  await stopped;
});

test("a client that does not read is a slow consumer, whom others do not notice", async () => {
  const { server, open } = await start({ limits: { queue_bytes: 65_536 } });
  const [slow, quick] = [await open("a"), await open("a")];
  await slow.event("subscribed");
  slow.pause();
  const body = "x".repeat(30_000);
  let sent = 0;
  while (server.engine.sessionCount === 2 && sent < 2_000) {
    await publish(server, "a", `${sent} ${body}`);
    sent += 1;
    if (sent % 50 === 0) await quick.texts(sent);
  }
  expect(server.engine.sessionCount).toBe(1);
  slow.resume();
  const end = await slow.event("disconnect");
  expect(end.data).toMatchObject({ code: 3510, reconnect: true });
  await slow.end();
  expect((await quick.texts(sent)).length).toBe(sent);
});

test("a second request on the connection of a stream waits for its end, and opens nothing", async () => {
  const { server, ports } = await start();
  const one = `GET /channels/a/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n\r\n`;
  const socket = dialRaw(ports.websocket, one + one);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await eventually(() => text.includes("event: subscribed"));
  await publish(server, "a", "1");
  await eventually(() => text.includes("text_data"));
  expect(server.engine.sessionCount).toBe(1);
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  socket.destroy();
  await eventually(() => server.engine.sessionCount === 0 && server.connections === 0);
});

test("a client that has gone before its answer leaves nothing behind", async () => {
  const { server, ports } = await start();
  const request = `GET /channels/a/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${KEY}\r\n\r\n`;
  for (let i = 0; i < 50; i++) dialRaw(ports.websocket, request).destroySoon();
  await eventually(() => server.engine.stats().sessions === 0 && server.connections === 0);
});

test("streams of a revoked user end, and a ticket that was made before opens no other", async () => {
  const { server, open } = await start();
  const ticket = await ticketFor("ada", ["a"]);
  const client = await open("a", { query: { ticket } });
  await client.event("subscribed");
  const other = await open("a", { query: { ticket: await ticketFor("bob", ["a"]) } });
  await server.engine.revoke("ada");
  expect((await client.event("disconnect")).data).toMatchObject({ code: 3500, reconnect: false });
  const again = await open("a", { query: { ticket } });
  expect((await again.event("disconnect")).data).toMatchObject({ code: 3500, reconnect: false });
  const fresh = await open("a", {
    query: { ticket: await ticketFor("ada", ["a"], 60_000, -1_000) },
  });
  await fresh.event("subscribed");
  await publish(server, "a", "1");
  await other.texts(1);
});

test("neither ticket nor key reaches the log or the metrics, whatever becomes of the request", async () => {
  const { logged, origin, ports, open } = await start({ limits: { connections: 1 } });
  const ticket = await ticketFor("ada", ["a"]);
  const expired = await ticketFor("ada", ["a"], 1_000, 2_000);
  const client = await open("a", { query: { ticket } });
  await client.event("subscribed");
  for (const [path, query] of [
    ["a", { ticket }],
    ["b", { ticket }],
    ["a", { ticket: `${ticket}x` }],
    ["a", { ticket: expired }],
    ["a..b", { ticket }],
  ] as const) {
    await (await fetch(eventsUrl(origin, path, query))).text();
  }
  await (
    await fetch(eventsUrl(origin, "a", { ticket }), { headers: { origin: "http://e.test" } })
  ).text();
  client.cut();
  const metrics = await (await fetch(`http://127.0.0.1:${ports.http}/metrics`)).text();
  const all = `${logged.join("\n")}\n${metrics}`;
  expect(all).toContain("events refused");
  expect(metrics).toContain("messageloop_");
  for (const text of [ticket, expired]) {
    for (const part of text.split(".").slice(2)) expect(all).not.toContain(part);
  }
  expect(all).not.toContain(KEY);
});

test("what a ticket is for is reading: every other door takes it for a wrong key", async () => {
  const { ports, origin } = await start({ api: { public: true } });
  const ticket = await ticketFor("ada", ["a"]);
  const authorization = `Bearer ${ticket}`;
  const event = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
  for (const [url, headers] of [
    [`${origin}/channels/a?ticket=${ticket}`, event],
    [`${origin}/channels/a`, { ...event, authorization }],
    [`${origin}/messageloop.server.v1.APIService/Channels`, { authorization }],
    [`http://127.0.0.1:${ports.http}/channels/a`, { ...event, authorization }],
  ] as const) {
    const json = { "content-type": "application/json" };
    const answer = await fetch(url, {
      method: "POST",
      headers: { ...headers, ...json },
      body: "{}",
    });
    expect(answer.status, url).toBe(401);
  }
});
