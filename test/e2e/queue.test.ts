/** The queue in IndexedDB in a real Chromium: reloads in the middle of a send, tabs, users, quota, and pages in its cache. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { steps } from "../support/random.ts";

type Program = typeof import("./queue-page.ts");

let browser: Browser;
let context: BrowserContext;
let origin = "";
let closeServer = (): unknown => undefined;

/** What the server has taken: the users and ids, once each. */
const taken = new Map<string, number>();
/** Every publish that has arrived. */
const arrived: string[] = [];
/** Events that are taken and get no answer. */
let silent = (_id: string): boolean => false;

function publish(query: URLSearchParams, response: ServerResponse): void {
  const [id = "", user = "", again = ""] = ["id", "user", "again"].map((name) => query.get(name));
  const key = `${user} ${id}`;
  arrived.push(again === "true" ? `${key} again` : key);
  const duplicate = taken.has(key);
  const offset = taken.get(key) ?? taken.size + 1;
  taken.set(key, offset);
  if (!silent(id ?? "")) response.end(JSON.stringify({ offset, epoch: "e", duplicate }));
}

beforeAll(async () => {
  const entry = fileURLToPath(new URL("queue-page.ts", import.meta.url));
  const options = { bundle: true, format: "iife", globalName: "queue", write: false } as const;
  const program = (await build({ entryPoints: [entry], ...options })).outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    if (url.pathname === "/publish") publish(url.searchParams, response);
    else if (url.pathname === "/queue.js") {
      response.setHeader("Content-Type", "text/javascript; charset=utf-8");
      response.end(program);
    } else {
      const script = url.pathname === "/" ? '<script src="/queue.js"></script>' : "elsewhere";
      response.end(`<!doctype html><title>queue</title>${script}`);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closeServer = () => server.closeAllConnections();
  origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  browser = await chromium.launch({
    executablePath: process.env["MESSAGELOOP_CHROMIUM"] as string,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
});

afterAll(async () => {
  await browser?.close();
  closeServer();
});

beforeEach(async () => {
  taken.clear();
  arrived.length = 0;
  silent = () => false;
  await context?.close();
  context = await browser.newContext();
});

async function tab(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(origin);
  return page;
}

/** Calls one of the page's functions. */
async function call<Name extends keyof Program>(
  page: Page,
  name: Name,
  ...args: Parameters<Program[Name]>
): Promise<Awaited<ReturnType<Program[Name]>>> {
  const call = `queue.${name}(${args.map((one) => JSON.stringify(one)).join()})`;
  return (await page.evaluate(call)) as Awaited<ReturnType<Program[Name]>>;
}

/** Waits until a condition of the page holds: an expression over `state` and `kept`. */
async function until(page: Page, condition: string): Promise<void> {
  const look = `queue.kept().then((kept) => { const state = queue.state(); return ${condition}; })`;
  await expect.poll(() => page.evaluate(look), { timeout: 10_000 }).toBe(true);
}

test("a reload in the middle of a send sends it again, as what may be there", async () => {
  const page = await tab();
  silent = (id) => id !== "done";
  await call(page, "open", "ada");
  for (const id of ["a", "b", "done"]) await call(page, "add", id);
  await until(page, 'state.became.done === "3"');
  await expect.poll(() => arrived.length).toBe(3);
  await page.reload();
  silent = () => false;
  await call(page, "add", "own");
  await call(page, "open", "ada");
  await until(page, 'state.became.own === "4" && kept.ids.length === 0');
  expect(arrived).toEqual(["ada a", "ada b", "ada done", "ada a again", "ada b again", "ada own"]);
  // Nothing of a URL's query lies on the disk.
  await call(page, "lose");
  await call(page, "add", "kept");
  await until(page, "kept.ids.length === 1");
  const { text, locks } = await call(page, "kept");
  expect(text).not.toContain("secret");
  expect(locks).toHaveLength(1);
});

test("what is published in the last moment of a page is kept", async () => {
  const page = await tab();
  await call(page, "open", "ada");
  await call(page, "add", "first");
  await until(page, 'state.became.first === "1" && kept.ids.length === 0');
  await page.evaluate('addEventListener("pagehide", () => queue.add("last"))');
  await page.reload();
  await call(page, "open", "ada");
  await expect.poll(() => arrived.at(-1)).toBe("ada last");
});

test("of many tabs that come and go one alone sends an item, and every item is sent", async () => {
  const tabs = [await tab(), await tab(), await tab()];
  for (const page of tabs) await call(page, "open", "ada");
  const rounds = steps(12);
  silent = () => Math.random() < 0.3;
  for (let i = 0; i < rounds; i++) {
    const page = tabs[i % tabs.length] as Page;
    await call(page, "lose");
    for (const letter of "abc") await call(page, "add", `${i}${letter}`);
    await until(page, `["a", "b", "c"].every((one) => kept.ids.includes("${i}" + one))`);
    // All at once: this one goes, and the others look for what it has left.
    const others = tabs.filter((one) => one !== page);
    await Promise.all([
      page.reload(),
      ...others.map(async (other) => {
        await call(other, "lose");
        await call(other, "open", "ada");
      }),
    ]);
    await call(page, "open", "ada");
  }
  silent = () => false;
  for (const page of tabs) {
    await call(page, "lose");
    await call(page, "open", "ada");
  }
  await expect.poll(() => taken.size, { timeout: 10_000 }).toBe(rounds * 3);
  await until(tabs[0] as Page, "kept.ids.length === 0");
  // Sent for the first time once.
  const first = arrived.filter((one) => !one.endsWith(" again"));
  expect(first).toHaveLength(new Set(first).size);
  for (const page of tabs) expect((await call(page, "state")).reports).toEqual([]);
});

test("another user neither sends nor loses it, and forgetting removes it", async () => {
  const page = await tab();
  await call(page, "open", "ada");
  await call(page, "lose");
  await call(page, "add", "a");
  await until(page, "kept.ids.length === 1");
  await call(page, "open", "bob");
  await call(page, "add", "b");
  await until(page, 'state.became.b === "1" && state.became.a === "OUTCOME_UNKNOWN"');
  await page.reload();
  await call(page, "open", "ada");
  await until(page, "kept.ids.length === 0");
  expect(arrived).toEqual(["bob b", "ada a"]);
  await call(page, "lose");
  await call(page, "add", "c");
  await until(page, "kept.ids.length === 1");
  await call(page, "end", true);
  const { ids, locks } = await call(page, "kept");
  expect([ids, locks]).toEqual([[], []]);
  await page.reload();
  await call(page, "open", "ada");
  await call(page, "add", "d");
  await until(page, 'state.became.d !== "waits"');
  expect(arrived.at(-1)).toBe("ada d");
  expect(arrived).toHaveLength(3);
});

test("a quota that is used up is an error, and what it is about is sent from memory", async () => {
  const page = await tab();
  const cdp = await context.newCDPSession(page);
  // Before the database is open: what is free is not asked for each time.
  await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 100_000 });
  await call(page, "open", "ada");
  await call(page, "lose");
  await call(page, "add", "small");
  await until(page, "kept.ids.length === 1");
  for (const id of ["big", "bigger"]) await call(page, "add", id, 1_000_000);
  await until(page, "state.reports.length > 0");
  expect((await call(page, "state")).reports).toEqual(["TOO_LARGE QuotaExceededError"]);
  await call(page, "open", "ada");
  await until(page, '["small", "big", "bigger"].every((id) => /^[123]$/.test(state.became[id]))');
  expect(arrived).toEqual(["ada small", "ada big", "ada bigger"]);
});

test("a page in the cache of a browser holds nothing back, and hears what became of it", async () => {
  const page = await tab();
  await call(page, "open", "ada");
  await call(page, "lose");
  for (const id of ["a", "b"]) await call(page, "add", id);
  await until(page, "kept.ids.length === 2 && kept.locks.length === 1");
  await page.goto(`${origin}/elsewhere`);
  const other = await tab();
  await call(other, "open", "ada");
  await expect.poll(() => arrived).toEqual(["ada a", "ada b"]);
  await page.goBack({ waitUntil: "commit" });
  // The very page, as it was: else this would show nothing.
  await until(page, "state.restored === 1");
  await call(page, "open", "ada");
  await call(page, "add", "c");
  await until(page, 'state.became.c !== "waits"');
  const { became } = await call(page, "state");
  expect(became).toEqual({ a: "OUTCOME_UNKNOWN", b: "OUTCOME_UNKNOWN", c: "3" });
  expect(arrived).toEqual(["ada a", "ada b", "ada c"]);
});
