/**
 * `npm run check:console`: the live tail of a busy channel in a real browser. The page has to answer its operator while
 * 5,000 messages a second come, and has to say what it leaves out.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { setup as findChromium } from "../scripts/chromium.mjs";
import { hex, writeKey } from "../src/http/keys/key.ts";
import { launchChromium } from "../test/e2e/browsers.ts";
import { startServer } from "../test/server/process.ts";
import { Report } from "./report.ts";

/** Publications of a request. */
const BATCH = 50;
/** The most that an operator's input may wait for the page, in milliseconds. */
const MOST_DELAY_MS = 100;
/** Between two inputs, in milliseconds: they meet every moment of a second. */
const INPUT_MS = 137;

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "5000" },
    seconds: { type: "string", default: "20" },
    plant: { type: "boolean", default: false },
  },
});
const [rate, seconds] = [Number(values.rate), Number(values.seconds)];
const report = new Report("console");
const root = fileURLToPath(new URL("..", import.meta.url));

const key = writeKey("check", createHash("sha256").update("key of the check").digest());
const digest = hex(createHash("sha256").update(key).digest());
const entry = { id: "check", digest, rights: ["publish", "read"], patterns: ["**"] };

/** Runs in the page before its own scripts: how long each input waited until the page heard of it. */
const LISTEN = `
  globalThis.delays = [];
  for (const type of ["keydown", "pointerdown"]) {
    addEventListener(type, (event) => delays.push(performance.now() - event.timeStamp), true);
  }
`;
/** A page that computes for a quarter of a second in each second. */
const PLANTED = `setInterval(() => { for (const end = performance.now() + 250; performance.now() < end; ); }, 1000);`;

async function publishAll(http: number): Promise<number> {
  const url = `http://127.0.0.1:${http}/messageloop.server.v1.APIService/Publish`;
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
  const began = performance.now();
  let sent = 0;
  while (performance.now() - began < seconds * 1_000) {
    const due = Math.floor(((performance.now() - began) * rate) / 1_000);
    const batches: Promise<Response>[] = [];
    for (; sent < due; sent += BATCH) {
      const publications = Array.from({ length: BATCH }, (_, i) => ({
        destination: { channels: ["busy"] },
        payload: {
          id: `e${sent + i}`,
          source: "/check",
          type: "order",
          text_data: JSON.stringify({ order: sent + i, items: [{ name: "a", count: 2 }] }),
          attributes: { datacontenttype: { ce_string: "application/json" } },
        },
      }));
      const body = JSON.stringify({ publications });
      batches.push(fetch(url, { method: "POST", headers, body }));
    }
    for (const answer of await Promise.all(batches)) await answer.arrayBuffer();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return sent / ((performance.now() - began) / 1_000);
}

/** An operator who presses keys and buttons all the time, which changes nothing in the end. */
async function operate(page: Page, isOver: () => boolean): Promise<void> {
  const pause = page.getByRole("button", { name: "Pause" });
  const box = await pause.boundingBox();
  if (box === null) throw new Error("there is no button Pause");
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  while (!isOver()) {
    await page.mouse.click(x, y);
    await page.waitForTimeout(INPUT_MS);
    await page.mouse.click(x, y);
    await page.waitForTimeout(INPUT_MS);
    await page.keyboard.press("Tab");
    await page.waitForTimeout(INPUT_MS);
  }
}

findChromium();
if (spawnSync(process.execPath, ["scripts/build-page.mjs"], { cwd: root }).status !== 0) {
  throw new Error("the page cannot be built");
}
const server = await startServer([], {
  cli: fileURLToPath(new URL("../src/server/cli.ts", import.meta.url)),
  env: { MESSAGELOOP_API_KEYS: JSON.stringify([entry]) },
});
const chromium = await launchChromium();
try {
  const page = await chromium.newPage({ viewport: { width: 1_280, height: 900 } });
  await page.addInitScript(values.plant ? LISTEN + PLANTED : LISTEN);
  await page.goto(`http://127.0.0.1:${server.ports.http}/console#/channel/busy/live`);
  await page.fill("#key", key);
  await page.keyboard.press("Enter");
  await page.waitForSelector('.status[data-state="connected"]');
  await page.evaluate("void (delays.length = 0)");
  let isOver = false;
  const publishing = publishAll(server.ports.http).finally(() => {
    isOver = true;
  });
  const [reached] = await Promise.all([publishing, operate(page, () => isOver)]);
  const delays = ((await page.evaluate("delays")) as number[]).toSorted((a, b) => a - b);
  const said = await page.textContent(".counts");
  const at = (part: number): number => delays[Math.ceil(delays.length * part) - 1] ?? Number.NaN;
  const figures = `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, at most ${at(1).toFixed(1)} ms`;
  report.expect(reached >= 0.95 * rate, `${Math.round(reached)} publications/s of ${rate} wanted`);
  report.expect(
    delays.length > 20 && at(1) < MOST_DELAY_MS,
    `${delays.length} inputs waited ${figures}; allowed ${MOST_DELAY_MS} ms`,
  );
  report.expect(/[1-9][\d,]* are left out/.test(said ?? ""), `the page says: ${said}`);
} finally {
  await chromium.close();
  server.child.kill("SIGTERM");
  await server.ended;
}
report.end();
