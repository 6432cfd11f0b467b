/**
 * A trace that begins in a page's publish and ends in another page's handler and in a backend over HTTP is one trace, at a strict
 * collector: on both hosts, by settings alone.
 */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { eventually } from "../support/eventually.ts";
import { collector } from "../support/otlp.ts";
import { serve } from "../support/proxy-service.ts";
import { startWorkerd } from "../support/workerd.ts";
import { type Browser, type BrowserPage, launch } from "./browsers.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const EXTENSIONS = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a=1" };
const ANSWER = JSON.stringify({ payload: { id: "a", source: "/b", type: "t", text_data: "hi" } });

let browser: Browser;
let program = "";
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  const entryPoints = [fileURLToPath(new URL("../../src/index.ts", import.meta.url))];
  const options = { bundle: true, format: "iife", globalName: "sdk", write: false } as const;
  const built = await build({ entryPoints, ...options, conditions: ["browser"] });
  program = (built.outputFiles[0]?.text ?? "").replace("var sdk", "globalThis.sdk");
  browser = await launch("Chromium");
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

afterAll(async () => {
  await browser?.close();
});

/** A host, by its address. */
async function host(name: "self-hosted" | "Worker", settings: object): Promise<string> {
  if (name === "Worker") {
    const worker = await startWorkerd({ vars: { messageloop: settings } });
    stops.push(() => worker.stop());
    return worker.url;
  }
  const any = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: any, drain_timeout: "1s" },
    transport: { websocket: any, grpc: any },
    ...settings,
  });
  const server = createServer({ config });
  stops.push(() => server.stop());
  return `http://127.0.0.1:${(await server.start()).websocket}`;
}

async function page(url: string): Promise<BrowserPage> {
  const opened = await browser.open(`${url}/health`);
  stops.push(() => opened.close());
  await opened.evaluate(program);
  await opened.evaluate('sdk.dial("/ws").then((client) => void (globalThis.client = client))');
  return opened;
}

test.each([
  ["self-hosted", "http/protobuf"],
  ["Worker", "http/protobuf"],
  ["Worker", "http/json"],
] as const)("%s, %s: it is one trace", async (name, protocol) => {
  const at = await collector();
  stops.push(() => at.stop());
  const asked: unknown[] = [];
  const backend = await serve((request, response) => {
    const { traceparent, tracestate } = request.headers;
    asked.push({ traceparent, tracestate });
    response.writeHead(200, { "content-type": "application/json" }).end(ANSWER);
  });
  stops.push(() => backend.stop());
  const endpoint = `http://127.0.0.1:${backend.port}/hooks`;
  const routes = [{ channel: "shop.*", method: "buy" }];
  const url = await host(name, {
    tracing: { endpoint: at.url, protocol },
    proxy: [{ name: "shop", endpoint, routes }],
  });
  const [publisher, subscriber] = [await page(url), await page(url)];
  await subscriber.evaluate(
    `new Promise((ready) => {
      globalThis.heard = new Promise((resolve) => {
        client.subscribe("shop.news", ({ event }) => resolve(event)).ready.then(ready);
      });
    })`,
  );
  const event = { source: "/s", type: "t", data: "hello", extensions: EXTENSIONS };
  await publisher.evaluate(
    `globalThis.made = sdk.createCloudEvent(${JSON.stringify(event)});
    client.publish("shop.news", made).then(() => client.rpc("shop.orders", "buy", made))`,
  );
  expect(await subscriber.evaluate("heard")).toEqual(await publisher.evaluate("made"));
  expect(await subscriber.evaluate("heard")).toMatchObject(EXTENSIONS);
  const own = () => at.spans.filter(({ traceId }) => traceId === TRACE);
  await eventually(() => own().length >= 4);
  expect(at.problems).toEqual([]);
  const names = own().map(({ name, kind }) => `${name} ${kind}`);
  expect(names.sort()).toEqual(["deliver 1", "publish 2", "rpc 2", "rpc 3"]);
  const rpc = own().find((span) => span.name === "rpc" && span.kind === 2);
  const call = own().find(({ kind }) => kind === 3);
  for (const span of own()) expect(span.parentSpanId).toBe(span === call ? rpc?.spanId : SPAN);
  const traceparent = `00-${TRACE}-${call?.spanId}-01`;
  expect(asked).toEqual([{ traceparent, tracestate: "a=1" }]);
});
