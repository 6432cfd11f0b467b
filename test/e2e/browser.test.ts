/** The page in a real browser: two people talk, each in their own encoding. */
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type CliServer, startServer } from "../server/process.ts";
import { example } from "./example.ts";

let browser: Browser;
let server: CliServer;

beforeAll(async () => {
  const executablePath = process.env["MESSAGELOOP_CHROMIUM"];
  if (executablePath === undefined) throw new Error("MESSAGELOOP_CHROMIUM names no browser");
  browser = await chromium.launch({ executablePath });
  server = await startServer();
});

afterAll(async () => {
  await browser?.close();
  server?.child.kill("SIGTERM");
  await server?.ended;
});

/** Both hosts serve the page. */
const HOSTS: readonly (readonly [name: string, url: () => string])[] = [
  ["the Worker", () => inject("url")],
  ["the self-hosted server", () => `http://localhost:${server.ports.websocket}`],
];

interface Visit {
  readonly page: Page;
  /** What the page complained of. */
  readonly problems: string[];
}

async function visit(url: string, name: string, channel: string, encoding: string): Promise<Visit> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  const query = new URLSearchParams({ name, channel, encoding });
  await page.goto(`${url}/?${query}`);
  await page.waitForSelector('#status[data-state="online"]');
  return { page, problems };
}

async function say({ page }: Visit, text: string): Promise<void> {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

async function shown({ page }: Visit, count: number): Promise<string[]> {
  await page
    .locator("#messages li")
    .nth(count - 1)
    .waitFor();
  return await page.locator("#messages li").evaluateAll((items) =>
    items.map((item) => {
      const part = (selector: string): string => item.querySelector(selector)?.textContent ?? "";
      return `${part(".offset")} ${part(".who")}: ${part(".text")}`;
    }),
  );
}

describe.each(HOSTS)("%s", (_, url) => {
  test("two windows talk to each other, one in JSON and one in protobuf", async () => {
    const channel = `chat.${crypto.randomUUID()}`;
    const ada = await visit(url(), "Ada", channel, "json");
    const alan = await visit(url(), "Alan", channel, "proto");
    await say(ada, "Hello <b>Alan</b>!");
    await shown(alan, 1);
    await say(alan, "Hello Ada \u{1f600}");
    const expected = ["#1 Ada: Hello <b>Alan</b>!", "#2 Alan: Hello Ada \u{1f600}"];
    expect(await shown(ada, 2)).toEqual(expected);
    expect(await shown(alan, 2)).toEqual(expected);
    expect(await ada.page.locator('#messages li[data-mine="true"]').count()).toBe(1);
    expect(await ada.page.locator("#messages time").first().getAttribute("datetime")).toMatch(/Z$/);
    expect([...ada.problems, ...alan.problems]).toEqual([]);
  });

  test("another channel is another conversation, and a refused channel is explained", async () => {
    const visitor = await visit(url(), "Grace", `chat.${crypto.randomUUID()}`, "json");
    await say(visitor, "one");
    await shown(visitor, 1);
    await visitor.page.fill("#channel", "not..valid");
    await visitor.page.click("#connect");
    await visitor.page.waitForSelector("#problem:not([hidden])");
    expect(await visitor.page.textContent("#problem")).toContain("empty word");
    await visitor.page.fill("#channel", `chat.${crypto.randomUUID()}`);
    await visitor.page.click("#connect");
    await visitor.page.waitForSelector('#status[data-state="online"]');
    await say(visitor, "two");
    expect(await shown(visitor, 1)).toEqual(["#1 Grace: two"]);
  });

  test("the README's first program runs in a browser", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url());
    const endpoint = JSON.stringify(`${url().replace("http", "ws")}/ws`);
    const code = JSON.stringify(await example());
    // A string, because the test runner rewrites imports in functions.
    const said = await page.evaluate(`(async () => {
      const blob = new Blob([${code}], { type: "text/javascript" });
      const program = await import(URL.createObjectURL(blob));
      return await program.run(${endpoint});
    })()`);
    expect(said).toEqual(["Message: chat.message"]);
  });
});
