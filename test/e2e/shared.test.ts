/** Tabs of real browsers that share a connection: by a SharedWorker, and by a leader that they elect. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import type { Browser as Firefox } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createCloudEvent } from "../../src/client/core/create-event.ts";
import { stands } from "../../src/client/core/patterns.ts";
import {
  createServer as createMessageServer,
  MessagingError,
  parseConfig,
  type Server,
  toWireEvent,
} from "../../src/server/index.ts";
import { eventually } from "../support/eventually.ts";
import { seed, seededRandom, steps } from "../support/random.ts";
import { launchAsUsed } from "./browsers.ts";
import type { state } from "./shared-page.ts";

type State = ReturnType<typeof state>;
type User = "ann" | "bob";

/** What drivers of both browsers have of a page. */
interface Tab {
  evaluate(script: string): Promise<unknown>;
  close(): Promise<void>;
}

const WORKER = "/worker.js";
const ELECTED = "";

let origin = "";
let server: Server;
let url = "";
let browser: Browser;
let firefox: Firefox | undefined;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const options = { bundle: true, write: false } as const;
  const [page, worker] = await Promise.all([
    build({
      ...{ ...options, format: "iife", globalName: "sdk" },
      entryPoints: [file("shared-page.ts")],
    }),
    build({
      ...{ ...options, format: "esm" },
      entryPoints: [file("../../src/client/shared/worker.ts")],
    }),
  ]);
  const scripts: Record<string, string | undefined> = {
    "/page.js": page.outputFiles[0]?.text,
    [WORKER]: worker.outputFiles[0]?.text,
  };
  const pages = createServer((request, response) => {
    const script = scripts[request.url ?? ""];
    const type = script === undefined ? "text/html" : "text/javascript";
    response.setHeader("Content-Type", `${type}; charset=utf-8`);
    const elsewhere = request.url === "/elsewhere";
    response.end(
      script ?? `<!doctype html>${elsewhere ? "elsewhere" : '<script src="/page.js"></script>'}`,
    );
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => pages.closeAllConnections());
  origin = `http://localhost:${(pages.address() as AddressInfo).port}`;
  const any = { addr: "127.0.0.1:0" };
  server = createMessageServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: { ...any, allowed_origins: [origin] }, grpc: any },
    }),
    backends: {
      authenticate: async ({ token }) => ({ userId: token.split(":")[0] ?? "" }),
      authorizeSubscribe: async ({ channel, caller }) => {
        const [room, owner] = channel.split(".");
        if (room !== "own" || owner === caller.userId) return;
        throw new MessagingError("ACL_ERROR", "not yours");
      },
    },
  });
  const { websocket } = await server.start();
  cleanups.push(() => server.stop());
  url = `ws://127.0.0.1:${websocket}/ws`;
  browser = await chromium.launch({
    executablePath: process.env["MESSAGELOOP_CHROMIUM"] as string,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  cleanups.push(() => browser.close());
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const opened: { close(): Promise<void> }[] = [];

// Whatever a test has left would be in the way of the next one.
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  await eventually(usersOf, (all) => all.length === 0, 30_000);
});

function stateOf(tab: Tab): Promise<State> {
  return tab.evaluate("sdk.state()") as Promise<State>;
}

async function start(tab: Tab, user: User, worker: string, ...names: string[]): Promise<void> {
  await tab.evaluate(`sdk.start("${url}", "${user}", "${worker}")`);
  for (const name of names) await tab.evaluate(`sdk.subscribe("${name}")`);
}

async function until(tab: Tab, holds: (seen: State) => boolean): Promise<State> {
  return await eventually(() => stateOf(tab), holds, 30_000);
}

const isLive = ({ subscribed }: State): boolean =>
  subscribed.every((text) => text.endsWith(" subscribed"));

async function publish(channel: string): Promise<number> {
  const event = createCloudEvent({ source: "/s", type: "t", data: "x" });
  return (await server.engine.publish(channel, toWireEvent(event))).position.offset;
}

/** Waits until every tab has the last message of each channel. */
async function untilHeard(tabs: readonly Tab[], ...channels: string[]): Promise<void> {
  const offsets = await Promise.all(
    channels.map(async (channel) => [channel, await publish(channel)] as const),
  );
  for (const tab of tabs) {
    await until(tab, ({ last }) =>
      Object.entries(last).every(([name, heard]) =>
        offsets.every(([channel, offset]) => !stands(name, channel) || heard[channel] === offset),
      ),
    );
  }
}

function usersOf(): string[] {
  return server.engine.sessions().map(({ userId }) => userId);
}

test("random steps of two users with three tabs each, over a SharedWorker in Chromium", async () => {
  const random = seededRandom(seed());
  const context = await browser.newContext();
  opened.push(context);
  const users = ["ann", "bob"] as const;
  const tabs: { page: Page; user: User; away: boolean }[] = [];
  const channelsOf = (user: User) => ["room.a", "room.b", `own.${user}.x`];
  const open = async (user: User): Promise<void> => {
    const page = await context.newPage();
    await page.goto(origin);
    await start(page, user, WORKER);
    tabs.push({ page, user, away: false });
  };
  for (const user of users) for (let i = 0; i < 3; i++) await open(user);
  const problems: string[] = [];
  const leave = async (place: number): Promise<void> => {
    const [tab] = tabs.splice(place, 1);
    if (tab === undefined || tab.away) return;
    problems.push(...(await stateOf(tab.page)).problems);
  };

  /** The browser may have kept the page, or not. */
  const comeBack = async (tab: (typeof tabs)[number]): Promise<void> => {
    if (!tab.away) return;
    tab.away = false;
    await tab.page.goBack({ waitUntil: "commit" });
    // Until its script has run there is nothing to ask.
    const look = (): Promise<unknown> => tab.page.evaluate("globalThis.sdk?.state().state");
    const found = await eventually(look, Boolean, 30_000);
    if (found === "none") await start(tab.page, tab.user, WORKER);
    else restored += 1;
    await until(tab.page, ({ state }) => state === "connected");
  };
  let restored = 0;

  // What only this tab has must end, though it says nothing any more.
  const crashed = await context.newPage();
  await crashed.goto(origin);
  await start(crashed, "ann", WORKER, "room.crashed");
  await until(crashed, isLive);
  await crashed.goto("chrome://crash").catch(() => {});
  const crashedAt = Date.now();

  const count = steps(500);
  for (let step = 0; step < count; step++) {
    const place = random.int(tabs.length);
    const tab = tabs[place];
    if (tab === undefined) break;
    const { page, user } = tab;
    if (tab.away) {
      await comeBack(tab);
      continue;
    }
    const channel = random.pick(channelsOf(user));
    const name = random.pick([...channelsOf(user), "room.*", `own.${user}.*`]);
    const kind = random.int(100);
    if (kind < 40) await page.evaluate(`sdk.publish("${channel}")`);
    else if (kind < 60) await publish(channel);
    else if (kind < 85) await page.evaluate(`sdk.subscribe("${name}")`);
    else if (kind < 94) await page.evaluate(`sdk.unsubscribe("${name}")`);
    else if (kind < 96) {
      await page.goto(`${origin}/elsewhere`);
      tab.away = true;
    } else if (kind < 98) {
      await leave(place);
      await page.close();
      await open(user);
    } else {
      // The network between the worker and the server; not that of the tab that has crashed, which is to be noticed.
      const mine = server.engine.sessions().find(({ userId }) => userId === "bob");
      if (mine !== undefined) await server.engine.disconnect(mine.id, 3000, "cut");
    }
  }
  for (const tab of tabs) {
    await comeBack(tab);
    await until(tab.page, (seen) => seen.state === "connected" && isLive(seen));
  }
  const pages = tabs.map(({ page }) => page);
  await untilHeard(pages, ...new Set(users.flatMap(channelsOf)));
  const seen = await Promise.all(pages.map(stateOf));
  for (const one of seen) problems.push(...one.problems, ...one.errors);
  expect(problems, `MESSAGELOOP_TEST_SEED=${seed()}`).toEqual([]);
  const heard = seen.reduce((sum, { total }) => sum + total, 0);
  expect(heard).toBeGreaterThan(100);
  expect(restored).toBeGreaterThan(0);
  // One session for each user, whatever its tabs.
  await eventually(usersOf, (all) => all.length === 2 && new Set(all).size === 2);
  for (const user of users) {
    const own = seen.filter(({ userId }) => userId === user);
    expect(own).toHaveLength(3);
    expect(new Set(own.map(({ sessionId }) => sessionId)).size).toBe(1);
  }
  const subscribed = () => server.engine.sessions().flatMap(({ channels }) => [...channels]);
  const wait = Math.max(1, crashedAt + 60_000 - Date.now());
  await eventually(subscribed, (all) => !all.includes("room.crashed"), wait);
  for (const page of pages.slice(1)) await page.evaluate("sdk.close()");
  await eventually(usersOf, (all) => all.length === 1);
  await pages[0]?.close();
  await eventually(usersOf, (all) => all.length === 0);
}, 240_000);

/** Tabs of one browser that know of no others. */
async function inChromium() {
  const context: BrowserContext = await browser.newContext();
  return {
    tab: async () => {
      const page = await context.newPage();
      await page.goto(origin);
      return page;
    },
    close: () => context.close(),
  };
}

async function inFirefox() {
  firefox ??= await startFirefox();
  const context = await firefox.createBrowserContext();
  return {
    tab: async () => {
      const page = await context.newPage();
      await page.goto(origin);
      return page;
    },
    close: () => context.close(),
  };
}

async function startFirefox(): Promise<Firefox> {
  const started = await launchAsUsed("Firefox");
  cleanups.push(() => started.close());
  return started;
}

test.each([
  ["Chromium", inChromium],
  ["Firefox", inFirefox],
] as const)(
  "in %s tabs elect one that has the connection, and another when it is left",
  async (_name, openIn) => {
    const context = await openIn();
    opened.push(context);
    const tabs: Tab[] = [];
    for (const user of ["ann", "ann", "ann", "bob"] as const) {
      const tab = await context.tab();
      await start(tab, user, ELECTED, "room.a", `own.${user}.*`);
      await until(tab, isLive);
      tabs.push(tab);
    }
    await eventually(usersOf, (all) => `${all.toSorted()}` === "ann,bob");
    await untilHeard(tabs, "room.a", "own.ann.x", "own.bob.x");
    // The first leads.
    const [leader, ...others] = tabs;
    const before = await stateOf(others[0] as Tab);
    await leader?.evaluate('location.href = "/elsewhere"');
    await publish("room.a");
    await until(others[0] as Tab, (seen) => {
      return seen.sessionId !== before.sessionId && isLive(seen);
    });
    await untilHeard(others, "room.a", "own.ann.x", "own.bob.x");
    await eventually(usersOf, (all) => `${all.toSorted()}` === "ann,bob");
    await others[0]?.close();
    await untilHeard(others.slice(1), "room.a", "own.ann.x", "own.bob.x");
    for (const tab of others.slice(1)) {
      const { problems, errors, gaps } = await stateOf(tab);
      expect({ problems, errors, gaps }).toEqual({ problems: [], errors: [], gaps: 0 });
    }
  },
);

test.each([
  ["Chromium", inChromium],
  ["Firefox", inFirefox],
] as const)(
  "in %s tabs share a connection over a SharedWorker, and go on by themselves without its script",
  async (_name, openIn) => {
    const context = await openIn();
    opened.push(context);
    const tabs: Tab[] = [];
    for (const worker of [WORKER, WORKER, "/missing.js"]) {
      const tab = await context.tab();
      await start(tab, "ann", worker, "room.a");
      await until(tab, isLive);
      tabs.push(tab);
    }
    await untilHeard(tabs, "room.a");
    const [one, two, other] = await Promise.all(tabs.map(stateOf));
    expect(one?.sessionId).toBe(two?.sessionId);
    expect(other?.sessionId).not.toBe(one?.sessionId);
    expect(usersOf()).toEqual(["ann", "ann"]);
  },
);
