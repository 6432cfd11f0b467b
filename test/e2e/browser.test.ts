/** The page in a real browser: people talk, each in their own encoding, see who is there, and go away and come back. */
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

const DESKTOP = { width: 1100, height: 800 };
const PHONE = { width: 390, height: 700 };

interface Visit {
  readonly page: Page;
  /** What the page complained of. */
  readonly problems: string[];
}

interface Query {
  readonly name?: string;
  readonly channel?: string;
  readonly encoding?: string;
}

async function visit(url: string, query: Query, viewport = DESKTOP): Promise<Visit> {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.goto(`${url}/?${new URLSearchParams({ ...query })}`);
  await page.waitForSelector('#status[data-state="online"]');
  return { page, problems };
}

async function say({ page }: Visit, text: string): Promise<void> {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

/** The messages that have arrived, as soon as there are so many. */
async function shown({ page }: Visit, count: number): Promise<string[]> {
  const messages = page.locator("#messages li[data-offset]");
  await messages.nth(count - 1).waitFor();
  return await messages.evaluateAll((items) =>
    items.map((item) => {
      const part = (selector: string): string => item.querySelector(selector)?.textContent ?? "";
      return `${part(".place")} ${part(".who")}: ${part(".text")}`;
    }),
  );
}

/** Whether the last message can be seen whole. */
async function endIsSeen({ page }: Visit): Promise<boolean> {
  const [last, room] = await Promise.all(
    ["#messages li:last-child", "main"].map((selector) => page.locator(selector).boundingBox()),
  );
  if (!last || !room) return false;
  return last.y + last.height <= room.y + room.height;
}

describe.each(HOSTS)("%s", (_, url) => {
  test("two windows talk to each other, one in JSON and one in protobuf, and see each other", async () => {
    const channel = `chat.${crypto.randomUUID()}`;
    const ada = await visit(url(), { name: "Ada", channel });
    const alan = await visit(url(), { name: "Alan", channel, encoding: "proto" });
    await say(ada, "Hello <b>Alan</b>!");
    await shown(alan, 1);
    await say(alan, "Hello Ada \u{1f600}");
    const expected = [
      `${channel} #1 Ada: Hello <b>Alan</b>!`,
      `${channel} #2 Alan: Hello Ada \u{1f600}`,
    ];
    expect(await shown(ada, 2)).toEqual(expected);
    expect(await shown(alan, 2)).toEqual(expected);
    expect(await ada.page.locator('#messages li[data-mine="true"]').count()).toBe(1);
    expect(await ada.page.locator("#messages time").first().getAttribute("datetime")).toMatch(/Z$/);
    await ada.page.locator("#members li").nth(1).waitFor();
    const members = await ada.page.locator("#members li").allTextContents();
    expect(members.toSorted()).toEqual(["Ada you", "Alan"]);
    await alan.page.locator("#text").pressSequentially("I am");
    await ada.page.locator("#typing", { hasText: `Alan is typing in ${channel}` }).waitFor();
    await alan.page.context().close();
    expect([...ada.problems, ...alan.problems]).toEqual([]);
  });

  test("a window that goes offline gets what it has missed, and sends what it has said meanwhile", async () => {
    const word = crypto.randomUUID();
    const ada = await visit(url(), { name: "Ada", channel: `${word}.*` }, PHONE);
    const alan = await visit(url(), { name: "Alan", channel: `${word}.*` });
    for (const { page } of [ada, alan]) await page.fill("#target", `${word}.one`);
    await say(alan, "before");
    await shown(ada, 1);
    await ada.page.click("#network");
    await ada.page.waitForSelector('#status[data-state="offline"]');
    for (let i = 1; i <= 8; i++) await say(alan, `missed ${i}`);
    await alan.page.fill("#target", `${word}.two`);
    await say(alan, "on another channel");
    await shown(alan, 10);
    await say(ada, "from the tunnel");
    await ada.page.locator('#messages li[data-state="waiting"]').waitFor();
    await ada.page.click("#network");
    const own = await shown(ada, 11);
    expect(own.at(-1)).toBe(`${word}.one #10 Ada: from the tunnel`);
    expect(own.toSorted()).toEqual((await shown(alan, 11)).toSorted());
    expect(await ada.page.locator('#messages li[data-state="waiting"]').count()).toBe(0);
    const note = await ada.page.locator("#messages li.note").allTextContents();
    expect(note).toHaveLength(1);
    expect(note[0]).toMatch(/9 messages came meanwhile, nothing is missing/);
    expect(await endIsSeen(ada)).toBe(true);
    expect(ada.problems).toEqual([]);
  });

  test("a refused channel is explained to a visitor, who goes on with another", async () => {
    const grace = await visit(url(), { name: "Grace" });
    await grace.page.fill("#channel", "not..valid");
    await grace.page.click("#connect");
    await grace.page.waitForSelector("#problem:not([hidden])");
    expect(await grace.page.textContent("#problem")).toContain("empty word");
    const channel = `chat.${crypto.randomUUID()}`;
    await grace.page.fill("#channel", channel);
    await grace.page.click("#connect");
    await grace.page.waitForSelector('#status[data-state="online"]');
    await say(grace, "two");
    expect(await shown(grace, 1)).toEqual([`${channel} #1 Grace: two`]);
  });

  test("windows have names of their own", async () => {
    const visits = [await visit(url(), {}), await visit(url(), {})];
    const names = await Promise.all(visits.map(({ page }) => page.inputValue("#name")));
    expect(new Set(names).size).toBe(2);
    expect(names[0]).toMatch(/^\w+ \w+ \d+$/);
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
