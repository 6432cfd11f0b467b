/** Server-sent events on Workers: the stream ends in the Worker, and its gateway is left alone. */
import { createExecutionContext, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { hex } from "../../src/http/keys/key.ts";
import { webSha256 } from "../../src/http/keys/sha256.ts";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { Tickets } from "../../src/http/tickets/tickets.ts";
import type { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { API_KEYS, settingsOf, TICKET_KEYS } from "../../src/worker/settings.ts";
import { createWorker } from "../../src/worker/worker.ts";
import { EventReader } from "../support/event-reader.ts";
import { eventually } from "../support/eventually.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel } from "./socket.ts";

const KEY = `ml_reader_${"k".repeat(43)}`;
const AUTHORIZED = { Authorization: `Bearer ${KEY}` };
const TICKETS = JSON.stringify({ id: "t", secret: "the secret that tickets are signed with" });
let keys: string;

beforeAll(async () => {
  const digest = hex(await webSha256(KEY));
  keys = JSON.stringify([{ id: "reader", digest, rights: ["read"], patterns: ["**"] }]);
});

afterEach(() => vi.restoreAllMocks());

async function ticketFor(channels: readonly string[], age = 0): Promise<string> {
  const clock = { now: () => Date.now() - age };
  const { ticketKeys } = settingsOf({ [TICKET_KEYS]: TICKETS });
  const tickets = new Tickets({ keys: ticketKeys, hmac: webHmac, clock });
  return (await tickets.mint({ user: "ada", channels, ttlMs: 1_000 })).ticket;
}

interface Env0 {
  readonly messageloop?: unknown;
  readonly secrets?: Readonly<Record<string, string>>;
}

/** Takes requests with settings and secrets of the test's own. */
function workerWith({ messageloop = {}, secrets = {} }: Env0 = {}) {
  const { fetch } = createWorker();
  if (fetch === undefined) throw new Error("the Worker takes no requests");
  const env = { messageloop, [API_KEYS]: keys, [TICKET_KEYS]: TICKETS, ...secrets };
  return async (path: string, headers: Record<string, string> = AUTHORIZED): Promise<Response> => {
    const context = Object.assign(createExecutionContext(), { exports });
    const request = new Request(`https://own.example${path}`, { headers });
    return await fetch(request as never, env as unknown as Env, context);
  };
}

/** A stream that is read as it comes. */
class Stream {
  readonly reader = new EventReader();
  readonly response: Response;
  ended = false;
  readonly #body: ReadableStreamDefaultReader<Uint8Array>;

  constructor(response: Response) {
    this.response = response;
    if (response.body === null) throw new Error(`no stream: ${response.status}`);
    this.#body = response.body.getReader();
    this.#read().catch(() => {
      // It has been left.
    });
  }

  async leave(): Promise<void> {
    await this.#body.cancel();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#body.read();
      if (done) break;
      this.reader.feed(decoder.decode(value, { stream: true }));
    }
    this.ended = true;
  }
}

function sessionsOf(gateway: string): Promise<readonly string[]> {
  const stub = exports.GatewayDurableObject.getByName(gateway);
  return runInDurableObject(stub, (object: GatewayDurableObject) => {
    const { engine } = object as unknown as { engine: Engine };
    return engine.sessions().map(({ id }) => id);
  });
}

test("a stream goes on through a sleep of its gateway, and from its last event when it is left", async () => {
  const take = workerWith();
  const channel = freshChannel();
  const path = `/channels/${channel}/events`;
  const stream = new Stream(await take(path));
  expect(stream.response.headers.get("Content-Type")).toBe("text/event-stream");
  await eventually(() => stream.reader.named("subscribed").length === 1);
  const publisher = await Client.connect();
  await publisher.publish(channel, "1");
  await eventually(() => stream.reader.texts.length === 1);
  const sessionId = stream.reader.events[0]?.data.session_id ?? "";
  await evictDurableObject(exports.GatewayDurableObject.getByName(sessionId.split(".")[0] ?? ""));
  await publisher.publish(channel, "2");
  await eventually(() => stream.reader.texts.length === 2);
  expect(stream.reader.texts).toEqual(["1", "2"]);
  await stream.leave();
  await publisher.publish(channel, "3");
  const last = stream.reader.lastEventId ?? "";
  const again = new Stream(await take(path, { ...AUTHORIZED, "Last-Event-ID": last }));
  await eventually(() => again.reader.texts.length === 1);
  expect(again.reader.events.map(({ event }) => event)).toEqual(["subscribed", "message"]);
  expect(again.reader.texts).toEqual(["3"]);
  await again.leave();
});

test("the first byte waits for nothing that the gateway has to say", async () => {
  const gateway = exports.GatewayDurableObject.getByName("enam-0");
  vi.spyOn(Object.getPrototypeOf(gateway), "fetch").mockImplementation(async () => {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    return new Response(null, { status: 101, webSocket: client });
  });
  const { status, body } = await workerWith()(`/channels/${freshChannel()}/events`);
  const reader = body?.getReader();
  const { value } = (await reader?.read()) ?? {};
  expect([status, new TextDecoder().decode(value)]).toEqual([200, ":\n"]);
  await reader?.cancel();
});

test("a gateway that is lost ends its streams, and nothing is missing when they come back", async () => {
  const take = workerWith();
  const channel = freshChannel();
  const path = `/channels/${channel}/events`;
  const stream = new Stream(await take(path));
  await eventually(() => stream.reader.named("subscribed").length === 1);
  const sessionId = stream.reader.events[0]?.data.session_id ?? "";
  await abort(exports.GatewayDurableObject.getByName(sessionId.split(".")[0] ?? ""));
  await eventually(() => stream.ended);
  const end = stream.reader.events.at(-1);
  expect(end).toMatchObject({ event: "disconnect", data: { code: 1011, reconnect: true } });
  const publisher = await Client.connect();
  await publisher.publish(channel, "meanwhile");
  const again = new Stream(await take(path, { ...AUTHORIZED, "Last-Event-ID": end?.id ?? "" }));
  await eventually(() => again.reader.texts.length === 1);
  expect(again.reader.named("gap")).toEqual([]);
  await again.leave();
});

test("heartbeats find out who has left, and its session ends", async () => {
  const take = workerWith({
    messageloop: { transport: { stream: { heartbeat_interval: "50ms" } } },
  });
  const stream = new Stream(await take(`/channels/${freshChannel()}/events`));
  await eventually(() => stream.reader.heartbeats >= 3);
  const id = stream.reader.events[0]?.data.session_id ?? "";
  const gateway = id.split(".")[0] ?? "";
  expect(await sessionsOf(gateway)).toContain(id);
  await stream.leave();
  await eventually(async () => !(await sessionsOf(gateway)).includes(id));
});

test("a stream that is old ends with 3512 by itself", async () => {
  const take = workerWith({ messageloop: { transport: { stream: { lifetime: "1s" } } } });
  const stream = new Stream(await take(`/channels/${freshChannel()}/events`));
  await eventually(() => stream.ended);
  expect(stream.reader.events.map(({ event }) => event)).toEqual(["subscribed", "disconnect"]);
  expect(stream.reader.events[1]?.data).toMatchObject({ code: 3512, reconnect: true });
});

test("who reads says nothing, and is not called silent for it", async () => {
  const take = workerWith();
  const stream = new Stream(await take(`/channels/${freshChannel()}/events`));
  await eventually(() => stream.reader.named("subscribed").length === 1);
  const id = stream.reader.events[0]?.data.session_id ?? "";
  const gateway = id.split(".")[0] ?? "";
  const stub = exports.GatewayDurableObject.getByName(gateway);
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + 3_600_000);
  for (let round = 0; round < 2; round++) {
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (object, state) => {
      await state.storage.deleteAlarm();
      await (object as unknown as { alarm(): Promise<void> }).alarm();
    });
  }
  expect(await sessionsOf(gateway)).toContain(id);
  await stream.leave();
});

test("a client that does not read is closed, and so much at most waits for it in the Worker", async () => {
  const take = workerWith({ messageloop: { limits: { queue_bytes: 65_536 } } });
  const channel = freshChannel();
  const response = await take(`/channels/${channel}/events`);
  const body = response.body?.getReader();
  // The beginning alone is read.
  let text = "";
  const decoder = new TextDecoder();
  while (!text.includes("event: subscribed")) text += decoder.decode((await body?.read())?.value);
  const [, id = ""] = /"session_id":"([^"]+)"/.exec(text) ?? [];
  const publisher = await Client.connect();
  for (let i = 0; i < 6; i++) await publisher.publish(channel, "x".repeat(32_000));
  await eventually(async () => !(await sessionsOf(id.split(".")[0] ?? "")).includes(id));
  for (text = ""; ; ) {
    const { done = true, value } = (await body?.read()) ?? {};
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  expect(text).toMatch(/event: disconnect\nretry: \d+\ndata: \{"code":3510,/);
  expect(text.length).toBeLessThan(2 * 65_536);
});

test("no client can say for itself which door it comes by, or who it is", async () => {
  const client = await Client.open({
    open: async (request) => {
      request.headers.set("x-messageloop-door", "events");
      request.headers.set("x-messageloop-user", "root");
      return await exports.default.fetch(request);
    },
  });
  const { envelope } = await client.connect({ capabilities: ["control"] });
  expect(envelope).toMatchObject({ case: "connected", value: { userId: "" } });
  // Of a door's client this would be an order.
  client.sendRaw("close 3503");
  await client.ping();
  expect(client.close).toBeUndefined();
});

test("a Worker whose gateways are full sends readers away for a while", async () => {
  const take = workerWith();
  const gateway = exports.GatewayDurableObject.getByName("enam-0");
  vi.spyOn(Object.getPrototypeOf(gateway), "fetch").mockImplementation(
    async () => new Response("full", { status: 503 }),
  );
  const response = await take(`/channels/${freshChannel()}/events`);
  expect(response.status).toBe(200);
  const reader = new EventReader();
  reader.feed(await response.text());
  expect(reader.events).toMatchObject([{ event: "disconnect", id: "-", data: { code: 3504 } }]);
});

test("neither ticket nor key reaches the log, whatever becomes of the request", async () => {
  const lines: string[] = [];
  for (const level of ["debug", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((line) => {
      lines.push(`${line}`);
    });
  }
  const take = workerWith({ messageloop: { server: { log_level: "debug" } } });
  const ticket = await ticketFor(["a"]);
  const expired = await ticketFor(["a"], 2_000);
  for (const [path, headers] of [
    [`b/events?ticket=${ticket}`, {}],
    [`a/events?ticket=${ticket}x`, {}],
    [`a/events?ticket=${expired}`, {}],
    [`a..b/events?ticket=${ticket}`, {}],
    [`a/events?ticket=${ticket}`, { Origin: "https://else.example" }],
    [`a..b/events`, AUTHORIZED],
  ] as const) {
    const response = await take(`/channels/${path}`, headers);
    expect(response.status).not.toBe(200);
    lines.push(await response.text());
  }
  const gateway = exports.GatewayDurableObject.getByName("enam-0");
  vi.spyOn(Object.getPrototypeOf(gateway), "fetch").mockImplementation(async (request) => {
    throw new Error(`no ${(request as Request).url}`);
  });
  lines.push(await (await take(`/channels/a/events?ticket=${ticket}`, {})).text());
  const all = lines.join("\n");
  expect(all).toContain("events refused");
  expect(all).toContain("a gateway failed at an upgrade");
  for (const secret of [...ticket.split(".").slice(2), ...expired.split(".").slice(2), KEY]) {
    expect(all).not.toContain(secret);
  }
});

test.each([
  [API_KEYS, "[{}]"],
  [TICKET_KEYS, '{"id":"t","secret":"short and secret"}'],
])("a wrong secret %s is told by its name, and nothing of it", async (name, secret) => {
  const warnings: string[] = [];
  vi.spyOn(console, "warn").mockImplementation((line) => {
    warnings.push(JSON.stringify(line));
  });
  const response = await workerWith({ secrets: { [name]: secret } })("/channels/a/events");
  expect(response.status).toBe(500);
  expect(warnings.join()).toContain(name);
  expect(warnings.join()).not.toContain("short and secret");
});
