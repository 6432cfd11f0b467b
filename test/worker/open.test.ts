/** Open and Send on Workers: the stream ends in the Worker, and its gateway is left alone (G7 to G15). */
import { createExecutionContext, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { MessagingService } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { answerCall } from "../../src/worker/doors/services.ts";
import type { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { createWorker } from "../../src/worker/worker.ts";
import { valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { abort } from "./abort.ts";
import { enveloped, type Fetch, OpenStream, openResponse, sendCall } from "./open-call.ts";
import { Client, freshChannel } from "./socket.ts";

const EXTENDED = { capabilities: ["control"] };
const SERVICE = `http://localhost/${MessagingService.typeName}`;

/** The Worker with settings of the test's own. */
function workerWith(messageloop: unknown): Fetch {
  const { fetch } = createWorker();
  if (fetch === undefined) throw new Error("the Worker takes no requests");
  return async (request) => {
    const context = Object.assign(createExecutionContext(), { exports });
    return await fetch(request as never, { messageloop } as unknown as Env, context);
  };
}

/** What a publish of a text is in JSON. */
function publish(channel: string, text: string): unknown {
  const event = { id: text, source: "/s", type: "t", spec_version: "1.0", text_data: text };
  return { id: text, channel, publish: event };
}

/** What a session hears of a channel. */
function heard({ log }: OpenStream): string[] {
  return log.flatMap(({ envelope }) =>
    envelope.case === "publication"
      ? envelope.value.messages.map(({ payload }) => `${payload?.data.value}`)
      : [],
  );
}

test("a client subscribes and publishes by Open and Send, through a sleep of its gateway", async () => {
  const channel = freshChannel();
  const stream = await OpenStream.open({ ...EXTENDED, subscriptions: [{ channel }] });
  const { sessionId, heartbeatIntervalMs, secret } = await stream.opened();
  expect(heartbeatIntervalMs).toBe(15_000);
  expect(secret.length).toBeGreaterThanOrEqual(22);
  await stream.until("connected");
  expect(await stream.send(publish(channel, "one"))).toEqual({ status: 200, body: { seq: "1" } });
  await eventually(() => heard(stream).length === 1);
  const gateway = exports.GatewayDurableObject.getByName(sessionId.split(".")[0] ?? "");
  await evictDurableObject(gateway);
  const publisher = await Client.connect();
  await publisher.publish(channel, "two");
  await eventually(() => heard(stream).length === 2);
  expect(await stream.send(publish(channel, "three"))).toEqual({ status: 200, body: { seq: "2" } });
  await eventually(() => heard(stream).length === 3);
  expect(heard(stream)).toEqual(["one", "two", "three"]);
  expect(stream.kinds()[0]).toBe("opened");
  await stream.leave();
  // Its session ends with it.
  await eventually(async () => (await stream.send({ ping: {} })).status === 404);
});

test("a stream is told that it is there, and ends with a hint after its time", async () => {
  const take = workerWith({
    transport: { stream: { heartbeat_interval: "20ms", lifetime: "1s" } },
  });
  const stream = await OpenStream.open(EXTENDED, take);
  expect(await stream.opened()).toMatchObject({ heartbeatIntervalMs: 20 });
  expect(await stream.ended()).toEqual({});
  const beats = stream.log.filter(({ envelope }) => envelope.case === "pong");
  expect(beats.length).toBeGreaterThan(2);
  expect(beats[0]).toMatchObject({ id: "", time: 0n });
  const [farewell, last] = stream.log.slice(-2);
  const disconnect = farewell && valueAs(farewell, "disconnect");
  expect(disconnect).toMatchObject({ code: 3512, reconnect: true });
  expect(disconnect?.retryAfterMs).toBeLessThan(5_000);
  expect(last && valueAs(last, "error")).toMatchObject({
    code: "DISCONNECT_ERROR",
    metadata: { code: 3512 },
  });
  expect((await stream.send({ ping: {} })).status).toBe(404);
});

test("a session that its server ends tells its client why", async () => {
  const stream = await OpenStream.open({ client_id: "x", subscriptions: [{ channel: "a..b" }] });
  expect(await stream.ended()).toEqual({});
  expect(stream.kinds()).toEqual(["opened", "error", "error"]);
  expect(stream.log.at(-1)?.envelope.value).toMatchObject({
    code: "DISCONNECT_ERROR",
    metadata: { code: 3501 },
  });
});

test("a client that does not read is closed, and so much at most waits for it in the Worker", async () => {
  const channel = freshChannel();
  const take = workerWith({ limits: { queue_bytes: 65_536 } });
  const response = await openResponse({ ...EXTENDED, subscriptions: [{ channel }] }, {}, take);
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value)).toContain("opened");
  const publisher = await Client.connect();
  for (let i = 0; i < 4; i++) await publisher.publish(channel, "x".repeat(32_000));
  const gateway = exports.GatewayDurableObject.getByName("enam-0");
  await eventually(() =>
    runInDurableObject(gateway, (object: GatewayDurableObject) => {
      const { engine } = object as unknown as { engine: Engine };
      return (engine.stats().disconnects[3510] ?? 0) > 0;
    }),
  );
  // What waits when it reads at last is the reason alone.
  const rest: Uint8Array[] = [];
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {};
    if (done || value === undefined) break;
    rest.push(value);
  }
  const text = await new Blob(rest as Uint8Array<ArrayBuffer>[]).text();
  expect(text).toContain("slow consumer");
  expect(text.length).toBeLessThan(65_536);
});

test("a deadline of the client's ends the stream, one of weeks does not", async () => {
  const headers = (ms: number) => ({ "Connect-Timeout-Ms": `${ms}` });
  const short = await openResponse({}, headers(100));
  expect(await short.text()).toContain("deadline_exceeded");
  const long = await openResponse({}, headers(30 * 24 * 3_600_000));
  const reader = long.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("opened");
  await reader?.cancel();
});

test("a stream whose gateway cannot be had is unavailable, and says when to come back", async () => {
  const busy = async () => new Response("busy", { status: 503 });
  const ctx = { exports, abort: () => {}, waitUntil: () => {} };
  const keepAlive = (): void => {};
  const caller = { ctx, keepAlive, gateways: () => ({ fetch: busy }), region: "enam" as const };
  const take: Fetch = (request) => answerCall(request, settingsOf({}), caller);
  const response = await openResponse({}, {}, take);
  expect(await response.text()).toMatch(/"unavailable".*"retry-after":\["\d+"\]/i);
});

test("a stream whose gateway is lost ends as what can be tried again", async () => {
  const stream = await OpenStream.open({ capabilities: ["control"] });
  const { sessionId } = await stream.opened();
  const gateway = exports.GatewayDurableObject.getByName(sessionId.split(".")[0] ?? "");
  await abort(gateway);
  expect(await stream.ended()).toMatchObject({ error: { code: "unavailable" } });
});

test.each([
  ["no secret", undefined, {}],
  ["another secret", "another", {}],
  ["a session of no gateway", "x", { session_id: "moon-1.x" }],
  ["no session", "x", { session_id: "" }],
])("a Send with %s finds no stream, in the same words", async (_, secret, change) => {
  const stream = await OpenStream.open(EXTENDED);
  const { sessionId } = await stream.opened();
  const request = { session_id: sessionId, seq: 1, messages: [{ ping: {} }], ...change };
  const { status, body } = await sendCall(request, secret);
  expect(status).toBe(404);
  expect(body).toMatchObject({ code: "not_found", message: "there is no such stream" });
  await stream.leave();
});

test("what this host does not have is said in the call's own protocol, with what it has", async () => {
  const call = async (contentType: string) => {
    const response = await exports.default.fetch(`${SERVICE}/MessageLoop`, {
      method: "POST",
      headers: { "Content-Type": contentType },
      body: enveloped({}),
    });
    return { response, text: new TextDecoder().decode(await response.arrayBuffer()) };
  };
  const connect = await call("application/connect+json");
  expect(connect.text).toMatch(/"unimplemented".*Open with Send, or a WebSocket/);
  const web = await call("application/grpc-web+json");
  expect(web.text).toMatch(/grpc-status: 12/i);
  const grpc = await call("application/grpc+proto");
  expect(grpc.response.headers.get("grpc-status")).toBe("12");
  expect(grpc.response.headers.get("grpc-message")).toContain("gRPC-Web");
  const unknown = await exports.default.fetch(`${SERVICE}/Nothing`, { method: "POST" });
  expect(unknown.status).toBe(404);
});

test("pages of allowed origins may call, all others are refused before any work", async () => {
  const take = workerWith({
    transport: { websocket: { allowed_origins: ["https://app.example"] } },
  });
  const preflight = (origin: string) =>
    take(
      new Request(`${SERVICE}/Send`, {
        method: "OPTIONS",
        headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
      }),
    );
  const allowed = await preflight("https://app.example");
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get("Access-Control-Allow-Origin")).toBe("https://app.example");
  expect(allowed.headers.get("Access-Control-Allow-Headers")).toMatch(/Messageloop-Stream-Secret/);
  expect((await preflight("https://evil.example")).status).toBe(403);
  const opened = await openResponse({}, { Origin: "https://app.example" }, take);
  expect(opened.headers.get("Access-Control-Allow-Origin")).toBe("https://app.example");
  await opened.body?.cancel();
  expect((await openResponse({}, { Origin: "https://evil.example" }, take)).status).toBe(403);
});
