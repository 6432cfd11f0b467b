/** The SDK in real browsers behind a proxy that lets no WebSocket through: all is delivered, and the page remembers. */
import { createServer as createPages } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser as Chromium, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connectStream } from "../../src/client/stream/index.ts";
import { dial } from "../../src/index.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { HttpProxy } from "../support/http-proxy.ts";
import { startWorkerd } from "../support/workerd.ts";
import { BROWSERS, type Browser, type BrowserPage, launch } from "./browsers.ts";

const PATIENCE = { timeout: 60_000 };
const cleanups: (() => unknown)[] = [];
const ended: (() => unknown)[] = [];
const browsers = new Map<string, Browser>();
const ports = new Map<string, number>();
let server: Server;
let program = "";
/** Another origin, whose pages may call. */
let elsewhere = "";

beforeAll(async () => {
  const entry = fileURLToPath(new URL("sdk-stream-page.ts", import.meta.url));
  const options = { bundle: true, format: "iife", globalName: "sdk", write: false } as const;
  const built = await build({ entryPoints: [entry], ...options });
  program = (built.outputFiles[0]?.text ?? "").replace("var sdk", "globalThis.sdk");
  const pages = createPages((_, response) => response.end("a page"));
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => pages.closeAllConnections());
  elsewhere = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  const any = { addr: "127.0.0.1:0" };
  server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: { ...any, allowed_origins: [elsewhere] }, grpc: any },
    }),
  });
  ports.set("the self-hosted server", (await server.start()).websocket);
  cleanups.push(() => server.stop());
  const worker = await startWorkerd();
  ports.set("the Worker", Number(new URL(worker.url).port));
  cleanups.push(() => worker.stop());
  for (const name of BROWSERS) {
    const browser = await launch(name);
    cleanups.push(() => browser.close());
    browsers.set(name, browser);
  }
});

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** A proxy that lets no WebSocket through. */
async function blockade(host: string): Promise<HttpProxy> {
  const proxy = await HttpProxy.to(ports.get(host) ?? 0);
  proxy.upgrades = "refuse";
  ended.push(() => proxy.stop());
  return proxy;
}

/** Of either driver. */
type Evaluate = Pick<BrowserPage, "evaluate">;

/** @param room what the channels of the test begin with: of others a gap may be told */
async function start(page: Evaluate, room: string, url = "/ws"): Promise<void> {
  await page.evaluate(program);
  await page.evaluate(`sdk.start(${JSON.stringify(url)}, ${JSON.stringify(`${room}.*`)})`);
  await until(page, 'state === "connected"');
}

async function until(page: Evaluate, condition: string): Promise<void> {
  const look = `(({ state, heard, problems, restored }) => ${condition})(sdk.state())`;
  await expect.poll(() => page.evaluate(look), PATIENCE).toBe(true);
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);
const upgrades = ({ asked }: HttpProxy): number => asked.filter((one) => one === "upgrade").length;

describe.each(BROWSERS)("%s", (name) => {
  test.each([
    ["the self-hosted server", "another origin"],
    ["the Worker", "its own origin"],
  ])(
    "a page talks with %s from %s by a stream, and goes on where it is cut",
    async (host, from) => {
      const proxy = await blockade(host);
      const origin = from === "another origin" ? elsewhere : proxy.origin;
      const page = await browsers.get(name)?.open(`${origin}/a/page`);
      if (page === undefined) throw new Error(`${name} was not started`);
      ended.push(() => page.close());
      const room = crypto.randomUUID();
      await start(page, room, `${proxy.origin}/ws`);
      const channel = `${room}.one`;
      const say = (...all: string[]) =>
        page.evaluate(`sdk.publish(${JSON.stringify(channel)}, ...${JSON.stringify(all)})`);
      await say(...texts(50));
      await until(page, "heard.length === 50");
      const other = await dial(`ws://127.0.0.1:${ports.get(host)}/ws`);
      ended.push(() => other.close());
      for (const text of ["cut", "again"]) {
        proxy.cut();
        await other.publish(channel, text);
      }
      await until(page, "heard.length === 52");
      await say("back");
      await until(page, "heard.length === 53");
      const all = [...texts(50), "cut", "again", "back"];
      expect(await page.evaluate("sdk.state()")).toMatchObject({
        heard: all.map((text, i) => `${channel} ${i + 1} ${text}`),
        problems: [],
      });
    },
  );
});

describe("in Chromium's own ways", () => {
  let browser: Chromium;

  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: process.env["MESSAGELOOP_CHROMIUM"] as string,
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    cleanups.push(() => browser.close());
  });

  async function open(proxy: HttpProxy, origin = proxy.origin): Promise<Page> {
    const context = await browser.newContext();
    ended.push(() => context.close());
    const page = await context.newPage();
    await page.goto(`${origin}/a/page`);
    await start(page, "room", `${proxy.origin}/ws`);
    return page;
  }

  test("what is blocked is remembered for the tab's session, and no longer", async () => {
    const proxy = await blockade("the self-hosted server");
    const page = await open(proxy);
    expect(upgrades(proxy)).toBe(1);
    for (const expected of [2, 2, 2]) {
      await page.reload();
      await start(page, "room");
      expect(upgrades(proxy)).toBe(expected);
    }
    // A new tab asks again, and has what there is by then.
    proxy.upgrades = "pass";
    const opens = () => proxy.asked.filter((one) => one.endsWith("/Open")).length;
    const before = opens();
    await open(proxy);
    expect([upgrades(proxy), opens()]).toEqual([3, before]);
  });

  test("a page that is left lets go of its stream, and goes on when it is shown again", async () => {
    const proxy = await blockade("the self-hosted server");
    // The server's own page of this address is 404, and no browser keeps such a page.
    const page = await open(proxy, elsewhere);
    // Those of other tests may still be ending.
    await expect.poll(() => server.engine.sessionCount, PATIENCE).toBe(1);
    await page.goto(`${elsewhere}/another`);
    await expect.poll(() => server.engine.sessionCount, PATIENCE).toBe(0);
    const channel = "room.one";
    const other = await dial(proxy.origin, { transport: connectStream() });
    ended.push(() => other.close());
    await other.publish(channel, "meanwhile");
    await page.goBack({ waitUntil: "commit" });
    await until(page, 'restored && state === "connected" && heard.length === 1');
    await other.publish(channel, "now");
    await until(page, "heard.length === 2");
    expect(await page.evaluate("sdk.state()")).toMatchObject({
      heard: [`${channel} 1 meanwhile`, `${channel} 2 now`],
      problems: [],
    });
  });
});
