/** Pages of real browsers without WebSocket talk by Open and Send, on both hosts, across origins too. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer as createMessageServer } from "../../src/server/server.ts";
import { BROWSERS, type Browser, launch } from "./browsers.ts";
import type { Talk } from "./open-page.ts";

const NO_WEBSOCKET = "delete globalThis.WebSocket";
const cleanups: (() => unknown)[] = [];

const browsers = new Map<string, Browser>();
/** The page's program, as a script that leaves `page`. */
let program = "";
/** Such as `http://127.0.0.1:9080`. */
let self = "";
/** Another origin, whose pages may call. */
let elsewhere = "";

beforeAll(async () => {
  const entry = fileURLToPath(new URL("open-page.ts", import.meta.url));
  const options = { bundle: true, format: "iife", globalName: "page", write: false } as const;
  const { outputFiles } = await build({ entryPoints: [entry], ...options });
  program = (outputFiles[0]?.text ?? "").replace("var page", "globalThis.page");

  const pages = createServer((_, response) => response.end("a page"));
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => pages.close());
  elsewhere = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  const any = { addr: "127.0.0.1:0" };
  const server = createMessageServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: { ...any, allowed_origins: [elsewhere] }, grpc: any },
    }),
  });
  self = `http://127.0.0.1:${(await server.start()).websocket}`;
  cleanups.push(() => server.stop());

  for (const name of BROWSERS) {
    const browser = await launch(name);
    cleanups.push(() => browser.close());
    browsers.set(name, browser);
  }
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** Where the page is from, and whom it calls. */
const WAYS: readonly (readonly [name: string, from: () => string, to: () => string])[] = [
  ["the Worker's own page", () => inject("url"), () => inject("url")],
  ["the self-hosted server's own page", () => self, () => self],
  ["a page of an origin that is allowed", () => elsewhere, () => self],
];

describe.each(BROWSERS)("%s", (browser) => {
  test.each(WAYS)("%s subscribes and publishes without WebSocket", async (_, from, to) => {
    // A page that the server does not have is a page of its origin all the same.
    const page = await browsers.get(browser)?.open(`${from()}/a/page`, NO_WEBSOCKET);
    if (page === undefined) throw new Error(`${browser} was not started`);
    onTestFinished(() => page.close());
    await page.evaluate(program);
    for (const protocol of ["Connect", "gRPC-Web"] as const) {
      for (const useBinaryFormat of [true, false]) {
        const channel = `page.${crypto.randomUUID()}`;
        const talk: Talk = { baseUrl: to(), protocol, useBinaryFormat, channel };
        expect(await page.evaluate(`page.talk(${JSON.stringify(talk)})`)).toEqual(["one", "two"]);
      }
    }
  });
});
