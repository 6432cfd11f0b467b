/**
 * Tabs as people have them, in Chromium and Firefox, with what drivers switch off for their own sake: a tab behind another
 * one is hidden and slowed down, and a page that was left may be kept.
 */
import { createServer as createPages } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, expect, inject, test } from "vitest";
import { createCloudEvent } from "../../src/client/core/create-event.ts";
import {
  createServer as createMessageServer,
  parseConfig,
  type Server,
  toWireEvent,
} from "../../src/server/index.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { HttpProxy } from "../support/http-proxy.ts";
import { BROWSERS, launchAsUsed } from "./browsers.ts";
import type { state } from "./tabs-page.ts";

type State = ReturnType<typeof state>;

const PATIENCE_MS = 30_000;
/** How long a client may be silent, in seconds. */
const IDLE_S = 6;

const cleanups: (() => unknown)[] = [];
const browsers = new Map<string, Browser>();
const opened: Page[] = [];
let origin = "";
let server: Server;
let proxy: HttpProxy;

beforeAll(async () => {
  const entryPoints = [fileURLToPath(new URL("tabs-page.ts", import.meta.url))];
  const options = { bundle: true, format: "iife", globalName: "page", write: false } as const;
  const { outputFiles } = await build({ ...options, entryPoints });
  const pages = createPages(({ url = "" }, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    const script = url.startsWith("/elsewhere") ? "" : outputFiles[0]?.text;
    response.end(`<!doctype html><title>tab</title><script>${script}</script>`);
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => pages.closeAllConnections());
  origin = `http://localhost:${(pages.address() as AddressInfo).port}`;
  const any = { addr: "127.0.0.1:0" };
  server = createMessageServer({
    config: parseConfig({
      server: {
        http: any,
        drain_timeout: "1s",
        heartbeat: { idle_timeout: `${IDLE_S}s`, ping_interval: "1s" },
      },
      transport: { websocket: { ...any, allowed_origins: [origin] }, grpc: any },
    }),
  });
  const { websocket } = await server.start();
  cleanups.push(() => server.stop());
  proxy = await HttpProxy.to(websocket);
  cleanups.push(() => proxy.stop());
  for (const name of BROWSERS) {
    const browser = await launchAsUsed(name);
    cleanups.push(() => browser.close());
    browsers.set(name, browser);
  }
});

afterEach(async () => {
  for (const tab of opened.splice(0)) await tab.close();
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function stateOf(tab: Page): Promise<State> {
  return (await tab.evaluate("page.state()")) as State;
}

async function until(tab: Page, holds: (seen: State) => boolean): Promise<State> {
  return await eventually(() => stateOf(tab), holds, PATIENCE_MS);
}

async function publish(channel: string, text: string): Promise<void> {
  const event = createCloudEvent({ source: "/s", type: "t", data: text });
  await server.engine.publish(channel, toWireEvent(event));
}

/** How many times a page has ticked within some seconds. */
async function ticksIn(tab: Page, seconds: number): Promise<number> {
  const { ticks } = await stateOf(tab);
  await sleep(seconds * 1_000);
  return (await stateOf(tab)).ticks - ticks;
}

/** A tab whose client is connected. */
async function open(name: (typeof BROWSERS)[number], channel: string): Promise<Page> {
  const tab = await blank(name);
  const url = `${proxy.origin.replace("http", "ws")}/ws`;
  await tab.goto(`${origin}/?${new URLSearchParams({ channel, url })}`);
  await until(tab, ({ state }) => state === "connected");
  return tab;
}

async function blank(name: (typeof BROWSERS)[number]): Promise<Page> {
  const tab = await (browsers.get(name) as Browser).newPage();
  opened.push(tab);
  return tab;
}

test.each(BROWSERS)("in %s two tabs hear each other's bytes", async (name) => {
  const channel = crypto.randomUUID();
  const tabs = [await open(name, channel), await open(name, channel)];
  for (const [i, tab] of tabs.entries()) await tab.evaluate(`page.publish(0, 128, 255, ${i})`);
  for (const tab of tabs) {
    const { heard, problems } = await until(tab, (seen) => seen.heard.length === 2);
    expect({ heard, problems }).toEqual({
      heard: ["bytes 0 128 255 0", "bytes 0 128 255 1"],
      problems: [],
    });
  }
});

test.each(BROWSERS)("in %s a tab that is offline comes back, and misses nothing", async (name) => {
  const channel = crypto.randomUUID();
  const tab = await open(name, channel);
  await publish(channel, "before");
  await until(tab, ({ heard }) => heard.length === 1);
  await tab.setOfflineMode(true);
  // No browser cuts what is open by then.
  proxy.cut();
  await until(tab, ({ state, isOnline }) => state === "connecting" && !isOnline);
  await publish(channel, "meanwhile");
  await tab.setOfflineMode(false);
  const { heard, problems } = await until(tab, (seen) => seen.heard.length === 2);
  expect({ heard, problems }).toEqual({ heard: ["before", "meanwhile"], problems: [] });
});

test("a hidden tab whose timers are slowed down keeps its connection, and hears", async () => {
  await Promise.all(
    BROWSERS.map(async (name) => {
      const channel = crypto.randomUUID();
      const tab = await open(name, channel);
      await tab.bringToFront();
      await until(tab, ({ visibility }) => visibility === "visible");
      const quick = await ticksIn(tab, 2);
      await (await blank(name)).bringToFront();
      const { sessionId } = await until(tab, ({ visibility }) => visibility === "hidden");
      const slow = await ticksIn(tab, IDLE_S + 2);
      // Else this would show nothing.
      expect(quick, name).toBeGreaterThan(10);
      expect(slow, name).toBeLessThan((IDLE_S + 2) * 2);
      await publish(channel, "hello");
      const seen = await until(tab, ({ heard }) => heard.length === 1);
      expect(seen, name).toMatchObject({
        ...{ sessionId, visibility: "hidden", state: "connected" },
        ...{ states: ["connected"], heard: ["hello"], problems: [] },
      });
    }),
  );
});

test.each(BROWSERS)("in %s a tab that was left connects when it is shown again", async (name) => {
  const channel = crypto.randomUUID();
  const tab = await open(name, channel);
  await publish(channel, "before");
  const { sessionId } = await until(tab, ({ heard }) => heard.length === 1);
  await tab.goto(`${origin}/elsewhere`);
  const ids = () => server.engine.sessions().map(({ id }) => id);
  await eventually(ids, (all) => !all.includes(sessionId), PATIENCE_MS);
  await publish(channel, "meanwhile");
  // A page that was kept fires no `load`, which the driver would wait for.
  await tab.evaluate("void setTimeout(() => history.back())");
  const look = () => tab.evaluate("globalThis.page?.state().state").catch(() => undefined);
  await eventually(look, (state) => state === "connected", PATIENCE_MS);
  await publish(channel, "after");
  const { heard, restored, problems } = await until(tab, (seen) => seen.heard.includes("after"));
  // Firefox keeps no page that has had a WebSocket: it is loaded anew, and begins anew.
  expect(restored).toBe(name === "Chromium");
  expect({ heard, problems }).toEqual({
    heard: restored ? ["before", "meanwhile", "after"] : ["after"],
    problems: [],
  });
});

test.each(BROWSERS)("in %s two windows of the page at / talk, in both encodings", async (name) => {
  const channel = `chat.${crypto.randomUUID()}`;
  const windows = [await blank(name), await blank(name)];
  for (const [i, window] of windows.entries()) {
    const query = { name: `Window ${i}`, channel, encoding: ["json", "proto"][i] ?? "" };
    await window.goto(`${inject("url")}/?${new URLSearchParams(query)}`);
    await window.waitForSelector('#status[data-state="online"]');
  }
  for (const [i, window] of windows.entries()) {
    await window.bringToFront();
    await window.type("#text", `Hello ${i} \u{1f600}`);
    await window.keyboard.press("Enter");
    await window.waitForSelector(`#messages li[data-offset]:nth-child(${i + 1})`);
  }
  for (const window of windows) {
    await window.waitForSelector("#messages li[data-offset]:nth-child(2)");
    const texts = "[...document.querySelectorAll('#messages .text')].map((e) => e.textContent)";
    expect(await window.evaluate(texts)).toEqual(["Hello 0 \u{1f600}", "Hello 1 \u{1f600}"]);
    await window.waitForSelector("#members li:nth-child(2)");
  }
});
