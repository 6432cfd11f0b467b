/** The client with a queue in IndexedDB, in a real Chromium and against a real server that goes and comes. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer as createMessageServer } from "../../src/server/server.ts";
import { settledPort } from "../support/ports.ts";

let browser: Browser;
let origin = "";
let program = "";
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  const entry = fileURLToPath(new URL("queue-client-page.ts", import.meta.url));
  const options = { bundle: true, format: "iife", globalName: "sdk", write: false } as const;
  program = (await build({ entryPoints: [entry], ...options })).outputFiles[0]?.text ?? "";
  const pages = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end("<!doctype html><title>sdk</title>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => pages.closeAllConnections());
  origin = `http://localhost:${(pages.address() as AddressInfo).port}`;
  browser = await chromium.launch({
    executablePath: process.env["MESSAGELOOP_CHROMIUM"] as string,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  cleanups.push(() => browser.close());
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function serve(port: number) {
  const any = { addr: "127.0.0.1:0" };
  const server = createMessageServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: {
        websocket: { addr: `127.0.0.1:${port}`, allowed_origins: [origin] },
        grpc: any,
      },
    }),
  });
  await server.start();
  return { stop: () => server.stop() };
}

async function open(page: Page, port: number): Promise<void> {
  await page.evaluate(program.replace("var sdk", "globalThis.sdk"));
  await page.evaluate(`sdk.start("ws://127.0.0.1:${port}/ws")`);
}

async function until(page: Page, condition: string): Promise<void> {
  const look = `(({ state, became, heard, errors }) => ${condition})(sdk.state())`;
  await expect.poll(() => page.evaluate(look), { timeout: 30_000 }).toBe(true);
}

test("what was published while the server was away is there when it is back, whatever page it was", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(origin);
  const port = await settledPort("serve");
  const first = await serve(port);
  await open(page, port);
  await until(page, 'state === "connected"');
  await page.evaluate('sdk.publish("one")');
  await until(page, 'became.one === "published" && heard.length === 1');
  await first.stop();
  for (const text of ["two", "three"]) await page.evaluate(`sdk.publish("${text}")`);
  await until(page, 'state === "connecting"');
  await page.reload();
  const second = await serve(port);
  cleanups.push(() => second.stop());
  await open(page, port);
  await page.evaluate('sdk.publish("four")');
  await until(page, "heard.length === 3");
  expect(await page.evaluate("sdk.state()")).toMatchObject({
    became: { four: "published" },
    heard: ["two", "three", "four"],
    errors: [],
  });

  // Left and kept by the browser, and back: the very client goes on.
  await page.goto(`${origin}/elsewhere`);
  await page.goBack({ waitUntil: "commit" });
  await until(page, 'state === "connected" && heard.length === 3');
  await page.evaluate('sdk.publish("five")');
  await until(page, 'became.five === "published" && heard.at(-1) === "five"');

  await page.evaluate("sdk.logOut()");
  expect(await page.evaluate("sdk.state().state")).toBe("closed");
  await context.close();
});
