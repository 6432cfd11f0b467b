/**
 * Traces of the self-hosted server, at a strict collector: one that begins with a publisher and ends with a subscriber and
 * with backends is one trace, by OpenTelemetry's SDK in both encodings. Without a collector there are no spans at all.
 */
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import {
  type Client,
  createCloudEvent,
  dial,
  type ReceivedMessage,
  type WebSocketConstructor,
  webSocket,
} from "../../src/index.ts";
import { createServer, parseConfig, type Server } from "../../src/server/index.ts";
import { ServerTracing } from "../../src/server/tracing/tracing.ts";
import { SamplingTracer } from "../../src/tracing/tracer.ts";
import { type Collector, collector } from "../support/otlp.ts";
import { serve } from "../support/proxy-service.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;
const ANSWER = JSON.stringify({
  payload: { id: "a", source: "/b", type: "t", text_data: "hello" },
});

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function collecting(status?: number): Promise<Collector> {
  const running = await collector(status);
  stops.push(() => running.stop());
  return running;
}

interface Running {
  readonly server: Server;
  readonly url: string;
  /** Headers of what the backend was asked. */
  readonly asked: Record<string, string | undefined>[];
  readonly warnings: [string, unknown][];
}

async function start(tracing: object | undefined, proxy?: readonly object[]): Promise<Running> {
  const asked: Running["asked"] = [];
  const backend = await serve((request, response) => {
    const { traceparent, tracestate, baggage } = request.headers;
    asked.push({
      traceparent: `${traceparent}`,
      tracestate: `${tracestate}`,
      baggage: `${baggage}`,
    });
    response.writeHead(200, { "content-type": "application/json" }).end(ANSWER);
  });
  stops.push(() => backend.stop());
  const any = { addr: "127.0.0.1:0" };
  const warnings: Running["warnings"] = [];
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: any, grpc: any },
      proxy: proxy ?? [
        {
          name: "shop",
          endpoint: `http://127.0.0.1:${backend.port}/hooks`,
          routes: [{ channel: "shop.*", method: "buy" }],
        },
      ],
      ...(tracing === undefined ? {} : { tracing }),
    }),
    logger: { warn: (message, fields) => warnings.push([message, fields]) },
  });
  const { websocket } = await server.start();
  stops.push(() => server.stop());
  return { server, url: `ws://127.0.0.1:${websocket}/ws`, asked, warnings };
}

function connect(url: string): Promise<Client> {
  return dial(url, { transport: webSocket(WebSocket as unknown as WebSocketConstructor) });
}

/** Publishes an event to another client, and sends one to the backend. */
async function exchange(url: string, extensions: Record<string, string>) {
  const [publisher, subscriber] = [await connect(url), await connect(url)];
  const { promise, resolve } = Promise.withResolvers<ReceivedMessage>();
  await subscriber.subscribe("shop.news", resolve).ready;
  const event = createCloudEvent({ source: "/s", type: "t", data: "hello", extensions });
  await publisher.publish("shop.news", event);
  const received = await promise;
  await publisher.rpc("shop.orders", "buy", event);
  await Promise.all([publisher.close(), subscriber.close()]);
  return { event, received: received.event };
}

test.each(["http/protobuf", "http/json"] as const)("%s: it is one trace", async (protocol) => {
  const at = await collecting();
  const { server, url, asked, warnings } = await start({
    endpoint: at.url,
    protocol,
    service_name: "rt",
    headers: { authorization: "Bearer x" },
  });
  const { event, received } = await exchange(url, { traceparent: TRACEPARENT, tracestate: "a=1" });
  expect(received).toEqual(event);
  await server.stop();
  expect(at.problems).toEqual([]);
  expect(warnings).toEqual([]);
  const type = protocol === "http/json" ? "application/json" : "application/x-protobuf";
  expect(at.requests[0]).toEqual({ type, authorization: "Bearer x" });
  const own = at.spans.filter(({ traceId }) => traceId === TRACE);
  expect(own.map(({ name, kind, service }) => `${service} ${name} ${kind}`).sort()).toEqual([
    "rt deliver 1",
    "rt publish 2",
    "rt rpc 2",
    "rt rpc 3",
  ]);
  const rpc = own.find(({ name, kind }) => name === "rpc" && kind === 2);
  const call = own.find(({ kind }) => kind === 3);
  for (const span of own) expect(span.parentSpanId).toBe(span === call ? rpc?.spanId : SPAN);
  expect(asked).toEqual([
    { traceparent: `00-${TRACE}-${call?.spanId}-01`, tracestate: "a=1", baggage: "undefined" },
  ]);
  expect(call?.attributes).toMatchObject({
    "messageloop.backend.name": "shop",
    "server.address": "127.0.0.1",
    "http.response.status_code": 200,
  });
  expect(at.spans.filter(({ name }) => name === "connect")).toHaveLength(2);
});

test("a backend over gRPC gets the span as metadata", async () => {
  const at = await collecting();
  const seen: unknown[] = [];
  const backend = createHttp2();
  backend.on("stream", (stream, { traceparent, tracestate }) => {
    seen.push({ traceparent, tracestate });
    const head = { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" };
    stream.respond(head, { endStream: true });
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  stops.push(async () => {
    backend.close();
  });
  const { port } = backend.address() as AddressInfo;
  const proxy = [{ name: "old", endpoint: `127.0.0.1:${port}`, grpc: { insecure: true } }];
  const routes = [{ channel: "*", method: "*" }];
  const { server, url } = await start({ endpoint: at.url }, [{ ...proxy[0], routes }]);
  const extensions = { traceparent: TRACEPARENT, tracestate: "a=1" };
  const event = createCloudEvent({ source: "/s", type: "t", data: "hello", extensions });
  const client = await connect(url);
  await expect(client.rpc("shop.orders", "buy", event)).rejects.toThrow("the backend failed");
  await client.close();
  await server.stop();
  const call = at.spans.find(({ kind }) => kind === 3);
  expect(seen).toEqual([{ traceparent: `00-${TRACE}-${call?.spanId}-01`, tracestate: "a=1" }]);
  expect(call).toMatchObject({ failed: true, attributes: { "error.type": "PROXY_ERROR" } });
});

test("a flag of a client brings nothing into the sample, and its event is as it was", async () => {
  const at = await collecting();
  const { server, url, asked } = await start({ endpoint: at.url, sample_ratio: 0 });
  const extensions = { traceparent: TRACEPARENT, tracestate: "a=1", baggage: "secret=1" };
  const { event, received } = await exchange(url, extensions);
  await server.stop();
  expect(received).toEqual(event);
  expect(asked).toEqual([
    { traceparent: "undefined", tracestate: "undefined", baggage: "undefined" },
  ]);
  expect(at.requests).toEqual([]);
});

test("without a collector no span is asked for, and with one each operation asks", async () => {
  const starts = vi.spyOn(SamplingTracer.prototype, "start");
  const opens = vi.spyOn(ServerTracing.prototype, "open");
  const { url } = await start(undefined);
  await exchange(url, { traceparent: TRACEPARENT });
  expect(starts).not.toHaveBeenCalled();
  expect(opens).not.toHaveBeenCalled();
  const at = await collecting();
  await exchange((await start({ endpoint: at.url })).url, { traceparent: TRACEPARENT });
  expect(starts.mock.calls.map(([operation]) => operation).sort()).toEqual([
    "connect",
    "connect",
    "deliver",
    "publish",
    "rpc",
    "rpc",
  ]);
});

test("a collector that refuses is a line in the log", async () => {
  const at = await collecting(400);
  const { server, url, warnings } = await start({ endpoint: at.url });
  await exchange(url, { traceparent: TRACEPARENT });
  await server.stop();
  expect(new Set(warnings.map(([message]) => message))).toEqual(
    new Set(["spans cannot be exported"]),
  );
});

test("without the SDK the server does not start, and says what to install", async () => {
  const terms = {
    url: "",
    protocol: "http/json",
    headers: {},
    serviceName: "",
    sampleRatio: 1,
  } as const;
  const host = { clock: { now: () => 0 }, logger: { warn: () => {} } };
  const missing = () =>
    Promise.reject(Object.assign(new Error("gone"), { code: "ERR_MODULE_NOT_FOUND" }));
  const tracing = new ServerTracing({ ...terms, spansPerSecond: 1 }, host, missing);
  await expect(tracing.open()).rejects.toThrow(
    /tracing\.endpoint is set, and OpenTelemetry's SDK is not installed: npm install @opentelemetry\/api/,
  );
});
