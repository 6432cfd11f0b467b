/** The page of docs/quickstart.md in Chromium, beside a server with the settings that it says. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliServer, startServer } from "../server/process.ts";
import { blocks, bundled } from "../support/doc-blocks.ts";
import { eventually } from "../support/eventually.ts";
import { type Browser, type BrowserPage, launch } from "./browsers.ts";

const PAGE = "docs/quickstart.md";
const SOCKET = '"ws://localhost:9080/ws"';
const VITE = "http://localhost:5173";

const cleanups: (() => unknown)[] = [];
let browser: Browser;
let origin: string;

beforeAll(async () => {
  const [html = ""] = blocks(PAGE, "html");
  const [, program = ""] = blocks(PAGE, "js");
  const [settings = ""] = blocks(PAGE, "yaml");
  expect([program.includes(SOCKET), settings.includes(VITE)]).toEqual([true, true]);
  let script = "";
  const pages = createServer((request, response) => {
    const isPage = request.url === "/";
    response.setHeader("Content-Type", isPage ? "text/html; charset=utf-8" : "text/javascript");
    response.end(isPage ? html : script);
  });
  await new Promise<void>((resolve) => pages.listen(0, "localhost", resolve));
  cleanups.push(
    () => pages.close(),
    () => pages.closeAllConnections(),
  );
  origin = `http://localhost:${(pages.address() as AddressInfo).port}`;
  const folder = await mkdtemp(join(tmpdir(), "messageloop-quickstart-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  // Where a server finds it by itself.
  await writeFile(join(folder, "config.yaml"), settings.replace(VITE, origin));
  const server: CliServer = await startServer([], { cwd: folder });
  cleanups.push(() => server.child.kill("SIGTERM") && server.ended);
  script = await bundled(program.replace(SOCKET, JSON.stringify(server.url)));
  browser = await launch("Chromium");
  cleanups.push(() => browser.close());
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

test("two windows show what is typed in either, and a new one shows it too", async () => {
  const [left, right] = [await browser.open(`${origin}/`), await browser.open(`${origin}/`)];
  await write(left, "one");
  await eventually(async () => (await shown(right)) === "one");
  await write(right, "two");
  await eventually(async () => (await shown(left)) === "one,two");
  await eventually(async () => (await shown(right)) === "one,two");
  const late = await browser.open(`${origin}/`);
  await eventually(async () => (await shown(late)) === "one,two");
});

/** Types and presses enter, as soon as the page's program listens. */
async function write(page: BrowserPage, text: string): Promise<void> {
  const script = `(() => {
    const form = document.querySelector("form");
    form.elements.text.value = ${JSON.stringify(text)};
    return !form.dispatchEvent(new Event("submit", { cancelable: true }));
  })()`;
  await eventually(() => page.evaluate(script));
}

async function shown(page: BrowserPage): Promise<string> {
  const items = "[...document.querySelectorAll('li')].map((item) => item.textContent).join()";
  return String(await page.evaluate(items));
}
