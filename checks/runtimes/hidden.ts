/** The SDK in a tab that stays hidden so long that Chromium runs its timers once a minute. */
import { createServer as createPages } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page } from "puppeteer-core";
import { createCloudEvent } from "../../src/client/core/create-event.ts";
import { createServer, parseConfig, toWireEvent } from "../../src/server/index.ts";
import { launchAsUsed } from "../../test/e2e/browsers.ts";
import type { state } from "../../test/e2e/tabs-page.ts";
import { pause, type Report } from "../report.ts";

/** How long a client may be silent: no less is recommended. */
const IDLE_S = 90;
/** How long the tab is watched, in seconds. */
const HIDDEN_S = 200;
/** Chromium waits five minutes by itself until it slows down a hidden tab so far. */
const SOON = "IntensiveWakeUpThrottling:grace_period_seconds/1";
/** Ticks that a page may make meanwhile, which would make ten a second. */
const MOST_TICKS = 10;
const CHANNEL = "hidden";
const LOOK_MS = 100;
const PATIENCE_MS = 30_000;

type State = ReturnType<typeof state>;

/** The connection is kept, and a message comes while the tab is hidden. @param plant sends no pings */
export async function hiddenTabs(report: Report, plant: boolean): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../../test/e2e/tabs-page.ts", import.meta.url))],
    bundle: true,
    format: "iife",
    globalName: "page",
    write: false,
  });
  const pages = createPages((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(`<!doctype html><script>${outputFiles[0]?.text}</script>`);
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  const origin = `http://localhost:${(pages.address() as AddressInfo).port}`;
  const any = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s", heartbeat: { idle_timeout: `${IDLE_S}s` } },
      transport: { websocket: { ...any, allowed_origins: [origin] }, grpc: any },
    }),
  });
  const { websocket } = await server.start();
  const url = `ws://127.0.0.1:${websocket}/ws`;
  const query = new URLSearchParams({ url, channel: CHANNEL, ...(plant && { ping: "0" }) });
  const publish = async (): Promise<void> => {
    const event = createCloudEvent({ source: "/check", type: "t", data: "hello" });
    await server.engine.publish(CHANNEL, toWireEvent(event));
  };
  const browser = await launchAsUsed("Chromium", [SOON]);
  try {
    const tab = await browser.newPage();
    await tab.goto(`${origin}/?${query}`);
    await until(tab, ({ state }) => state === "connected");
    await (await browser.newPage()).bringToFront();
    const begin = await until(tab, ({ visibility }) => visibility === "hidden");
    // What Chromium still allows a page that has just been loaded.
    await pause(15_000);
    const { ticks } = await stateOf(tab);
    await pause(HIDDEN_S * 1_000);
    const end = await stateOf(tab);
    await publish();
    const { heard } = await until(tab, (seen) => seen.heard.length > 0);
    const made = end.ticks - ticks;
    report.expect(
      end.visibility === "hidden" && made <= MOST_TICKS,
      `hidden: the tab ticked ${made} times in ${HIDDEN_S} s, at most ${MOST_TICKS}`,
    );
    report.expect(
      end.states.join() === "connected" && end.sessionId === begin.sessionId,
      `hidden: its client was ${end.states.join(", ")}, with ${IDLE_S} s of silence allowed`,
    );
    report.expect(
      heard.join() === "hello" && end.problems.length === 0,
      `hidden: it heard ${heard.length} of 1 messages; problems: ${end.problems.join() || "none"}`,
    );
  } finally {
    await browser.close();
    await server.stop();
    pages.close();
    pages.closeAllConnections();
  }
}

async function stateOf(tab: Page): Promise<State> {
  return (await tab.evaluate("page.state()")) as State;
}

/** @throws Error where it does not come to hold */
async function until(tab: Page, holds: (seen: State) => boolean): Promise<State> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await stateOf(tab);
    if (holds(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`not in time: ${JSON.stringify(seen)}`);
    await pause(LOOK_MS);
  }
}
