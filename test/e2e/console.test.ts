/** The console in real browsers: an operator looks at each view, manages, and is shown what hostile clients have published. */
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { KEY_ENTRIES, KEYS } from "../http/api/cases.ts";
import { jsonDriver } from "../http/api/driver.ts";
import { type CliServer, startServer } from "../server/process.ts";
import {
  BROWSERS,
  type Browser,
  type BrowserPage,
  type Chromium,
  launch,
  launchChromium,
} from "./browsers.ts";
import { drive } from "./console-page.ts";

const PATIENCE_MS = 90_000;
const DRIVE = `globalThis.drive = (${drive.toString()})();`;
let axe = "";
let server: CliServer;
let chromium: Chromium;
let firefox: Browser;

// One start of each for all tests, and all of them at the same time.
beforeAll(async () => {
  const env = { MESSAGELOOP_API_KEYS: JSON.stringify(KEY_ENTRIES) };
  const script = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  await Promise.all([
    readFile(script, "utf8").then((text) => {
      axe = text;
    }),
    startServer(["--config", await configured()], { env }).then((started) => {
      server = started;
    }),
    launchChromium().then((launched) => {
      chromium = launched;
    }),
    launch("Firefox").then((launched) => {
      firefox = launched;
    }),
  ]);
});

afterAll(async () => {
  server?.child.kill("SIGTERM");
  await Promise.all([chromium?.close(), firefox?.close(), server?.ended]);
});

/** Both hosts have it: the Worker beside its other doors, the self-hosted server on its admin port. */
const HOSTS: readonly (readonly [name: string, url: () => string])[] = [
  ["the Worker", () => inject("url")],
  ["the self-hosted server", () => `http://localhost:${server.ports.http}`],
];

async function publish(url: string, channel: string, payloads: readonly object[]): Promise<void> {
  const publications = payloads.map((payload, i) => ({
    destination: { channels: [channel] },
    payload: { id: `e${i}`, source: "/shop", type: "order", ...payload },
  }));
  const { code, message } = await jsonDriver(url).call(
    "publish",
    { publications } as never,
    KEYS.all.key,
  );
  expect([code, message]).toEqual([undefined, ""]);
}

/** A file with room for what is 60,000 deep, and valid. */
async function configured(): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), "messageloop-console-")), "config.yaml");
  await writeFile(file, "limits: { message_bytes: 262144 }\n");
  return file;
}

function freshWord(): string {
  return crypto.randomUUID().slice(0, 8);
}

/** Reads a channel, as the user `key:chat`. */
function listen(url: string, channel: string): Promise<Response> {
  const headers = { Authorization: `Bearer ${KEYS.chat.key}` };
  return fetch(`${url}/channels/${channel}/events`, { headers });
}

/** A reader of a channel is closed as one that does not read. */
async function closeAsSlow(url: string, channel: string): Promise<void> {
  const text = (await listen(url, channel)).text();
  const api = jsonDriver(url);
  const { body } = await api.call("sessions", { user: "key:chat" }, KEYS.all.key);
  const sessions = (body["sessions"] ?? []) as { readonly session_id: string }[];
  const ids = sessions.map(({ session_id: id }) => id);
  await api.call("disconnect", { sessions: ids, code: 3510 }, KEYS.all.key);
  expect(await text).toContain('"code":3510');
}

test.each(HOSTS)("%s serves it so that nothing else can run in it", async (_, url) => {
  for (const path of ["/console", "/console/main.js"]) {
    const answer = await fetch(`${url()}${path}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Security-Policy")).toBe(
      "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff");
    const text = await answer.text();
    if (path === "/console") expect(text).not.toMatch(/<script(?![^>]*src=)|style=|https?:/);
  }
  const slashed = await fetch(`${url()}/console/`, { redirect: "manual" });
  expect(new URL(slashed.headers.get("Location") ?? "", `${url()}/console/`).pathname).toBe(
    "/console",
  );
  expect((await fetch(`${url()}/console/constructor`)).status).toBe(404);
});

describe.each(BROWSERS)("in %s", (name) => {
  async function open(url: string, key: string): Promise<Driven> {
    const browser = name === "Chromium" ? chromium : firefox;
    const page = await browser.open(
      `${url}/console`,
      'addEventListener("error", (event) => { globalThis.problem = event.message; });',
    );
    await page.evaluate(DRIVE);
    const driven = new Driven(page);
    await driven.fill("#key", key);
    await driven.click("button", "Sign in");
    return driven;
  }

  describe.each(HOSTS)("%s", (host, url) => {
    test(
      "an operator looks at every view, and manages what the key may",
      async () => {
        const channel = `orders.${crypto.randomUUID()}`;
        const data = Array.from({ length: 60 }, (_, i) => ({
          text_data: JSON.stringify({ order: i + 1, big: 1 }).replace(
            "1}",
            "12345678901234567890}",
          ),
          attributes: {
            datacontenttype: { ce_string: "application/json" },
            subject: { ce_string: `s${i}` },
          },
        }));
        await publish(url(), channel, data);
        await publish(url(), channel, [{ type: "picture", binary_data: "/wABAg==" }]);
        const slow = `chat.slow-${freshWord()}`;
        await closeAsSlow(url(), slow);
        const page = await open(url(), "ml_wrong_key");
        await page.see(".problem", "the key is not valid");
        // It looks at elements for long. They are the same in every browser, and on both hosts but for the nodes.
        const audit = async (differs = host === "the self-hosted server"): Promise<void> => {
          if (name === "Chromium" && differs) expect(await page.violations(axe)).toEqual([]);
        };
        await audit();
        await page.fill("#key", KEYS.all.key);
        await page.click("button", "Sign in");

        await page.see("h1", "Channels");
        await page.fill("#pattern", channel);
        await page.click("button", "Filter");
        await page.see("tbody th", channel);
        if (host === "the self-hosted server") await page.see("tbody", "61");
        await audit();

        await page.click("tbody a", channel);
        await page.see("h1", channel);
        await page.see(".message:first-child", "#61");
        await page.click(".message:first-child summary");
        await page.see(".message:first-child pre", "000000  ff 00 01 02");
        await page.click(".message:nth-child(2) summary");
        await page.see(".message:nth-child(2) pre", '"big": 12345678901234567890');
        await page.click(".message:nth-child(2) button", "text");
        await page.see(".message:nth-child(2) pre", '{"order":60,"big":12345678901234567890}');
        await page.click(".message:nth-child(2) button", "bytes");
        await page.see(".message:nth-child(2) pre", "000000  7b 22 6f 72");
        await page.see(".message:nth-child(2) dl", "s59");
        await audit();
        await page.click("button", "Older");
        await page.see(".message:first-child", "#11");
        await page.see(".message:last-child", "#1");
        await page.click("button", "Newest");
        await page.see(".message:first-child", "#61");

        await page.click(".parts a", "Live");
        await page.see('.status[data-state="connected"]', "live");
        await publish(url(), channel, [{ text_data: "just now" }]);
        await page.see(".message", "just now");
        await page.see(".counts", "None is left out");
        await audit();

        await page.click(".parts a", "Members");
        await page.see("tbody", "key:all");
        await audit();

        await page.click(".parts a", "Publish");
        await page.see("h1", "Publish a test event");
        await page.fill("#data", '{"from":"the console"}');
        await page.click("button", "Publish");
        await page.see('[role="status"]', "Published as #63");
        await audit();

        await page.click("header nav a", "Live tail");
        await page.fill("#tailed", `${channel}.*`);
        await page.click("button", "Tail");
        await page.see('.status[data-state="connected"]', "live");
        for (const word of ["one", "two"]) {
          await publish(url(), `${channel}.${word}`, [{ text_data: `in ${word}` }]);
          await page.see(".message", `in ${word}`);
        }
        await audit();

        const text = (await listen(url(), `chat.${freshWord()}`)).text();
        await page.click("header nav a", "Sessions");
        await page.fill("#user", "key:chat");
        await page.click("button", "Find");
        await page.click("tbody button", "Disconnect");
        await page.see("dialog[open]", "End the session");
        await audit();
        await page.click("dialog[open] button", "Disconnect");
        expect(await text).toContain('"code":3503');
        await page.see("#title ~ .empty", "has no session");

        await page.click("header nav a", "Access");
        await page.fill("#where", channel);
        await page.fill("#whom", "ada");
        await page.click("button", "Explain");
        await page.see(".verdict", "no rule denies it, and access.default is allow");
        await page.fill("#claims", '{"grants":[{"pattern":"chat.*","actions":["subscribe"]}]}');
        await page.click("button", "Explain");
        await page.see(".verdict .no", "Refused");
        await page.see(".verdict li", "the token grants nothing that allows it");
        await page.fill("#claims", "{");
        await page.click("button", "Explain");
        await page.see(".problem", "the claims are no JSON object");
        await audit();

        await page.click("header nav a", "Settings");
        await page.see("tbody th", "api.keys");
        await page.see("tbody", "a secret, not shown");
        await page.see("tbody", "environment MESSAGELOOP_API_KEYS");
        await page.fill("#wanted", "history_limit");
        await page.see(".empty", "No setting is called so");
        await page.fill("#wanted", "limits.channels");
        await page.see("tbody", "default");
        await audit();

        // What was met at the beginning is shown by its channel, though on Workers its gateway may sleep.
        await page.click("header nav a", "Nodes");
        await page.see('[aria-label^="Gaps and slow consumers"] tbody', slow);
        await page.see("main", host === "the Worker" ? "Gateways as they have" : "Event loop lag");
        if (host === "the Worker") await page.see('[aria-label="Regions"] tbody', "counted");
        await page.see(".charts", "Delivered");
        await audit(true);

        await page.go(`#/channel/${channel}/history`);
        await page.click("button", "Remove history");
        await page.click("dialog[open] button", "Remove history");
        await page.see(".empty", "Nothing is kept");

        const kept = await page.evaluate(
          "JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }, document.cookie])",
        );
        expect(kept).not.toContain(KEYS.all.key);
        await page.click("button", "Sign out");
        await page.see("h1", "MessageLoop console");
        await page.end();
      },
      PATIENCE_MS,
    );

    test(
      "a trace shows the frames of a channel as they come, with events where the key may see them, and stops",
      async () => {
        const word = freshWord();
        const listener = await listen(url(), "chat.traced");
        const page = await open(url(), KEYS.payloads.key);
        await page.see("h1", "Channels");
        await page.go("#/trace/user/key%3Achat");
        await page.click("button", "Begin");
        await page.see('.status[data-state="connected"]', "tracing");
        await publish(url(), "chat.traced", [{ text_data: "not shown" }]);
        await page.see(".message", "publication");
        await page.go("#/trace/channel/chat.traced");
        await page.click("#payloads");
        await page.click("button", "Begin");
        await page.see('.status[data-state="connected"]', "tracing");
        await publish(url(), "chat.traced", [{ text_data: `shown in ${word}` }]);
        await page.click(".message summary", "publication");
        await page.see(".message pre", `shown in ${word}`);
        await page.see(".message dl", "key:chat");
        if (name === "Chromium") expect(await page.violations(axe)).toEqual([]);
        await page.click("button", "Stop");
        await page.see('.status[data-state="closed"]', "ended");
        await listener.body?.cancel();
        await page.end();
      },
      PATIENCE_MS,
    );

    test(
      "a key that reads sees no button that manages, and is refused all the same",
      async () => {
        const channel = `read.${crypto.randomUUID()}`;
        await publish(url(), channel, [{ text_data: "hello" }]);
        const page = await open(url(), KEYS.read.key);
        await page.see("h1", "Channels");
        await page.go(`#/channel/${channel}/history`);
        await page.see(".message", "hello");
        await page.go("#/sessions/key:read");
        await page.see("main", "session");
        expect(await page.evaluate('document.querySelectorAll(".danger, dialog").length')).toBe(0);
        expect(await page.evaluate('document.querySelector("header").innerText')).not.toContain(
          "Publish",
        );
        for (const [method, request] of [
          ["removeHistory", { channel }],
          ["disconnect", {}],
        ] as const) {
          const { code } = await jsonDriver(url()).call(method, request, KEYS.read.key);
          expect(code).toBe("permission_denied");
        }
        await page.end();
      },
      PATIENCE_MS,
    );
  });

  // Their kinds begin again after 60 of them. Firefox takes three times as long for one.
  const count = name === "Chromium" ? 1_000 : 300;
  test(
    `${count} hostile payloads execute nothing and are shown as what they are`,
    async () => {
      const url = `http://localhost:${server.ports.http}`;
      const channel = `hostile.${crypto.randomUUID()}`;
      const payloads = hostile(count);
      const page = await open(url, KEYS.all.key);
      await page.see("h1", "Channels");
      await page.go(`#/channel/${channel}/live`);
      await page.see('.status[data-state="connected"]', "live");
      // Live shows so many at a time, and all of them are opened. The deepest are among the last.
      for (let at = 0; at < payloads.length; at += 200) {
        const some = payloads.slice(at, at + 200);
        await publish(url, channel, some);
        await page.see(".counts", `${(at + some.length).toLocaleString("en")} came`);
        await page.evaluate("drive.openAll()");
      }
      await page.see(".counts", `${payloads.length - 200} are left out`);
      // The page goes on as before.
      const delay = await page.evaluate(`new Promise((resolve) => {
        const began = performance.now();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
      })`);
      expect(Number(delay)).toBeLessThan(3_000);
      await page.go(`#/channel/${channel}/history`);
      await page.see(".message:first-child", `#${payloads.length}`);
      await page.evaluate("drive.openAll()");
      expect(await page.evaluate("globalThis.hacked")).toBe(undefined);
      const strange =
        "main :is(script, img, svg, iframe, object, embed, link, style, math, form, [style], [onerror])";
      expect(await page.evaluate(`document.querySelectorAll("${strange}").length`)).toBe(0);
      // Nothing was asked of another server.
      const foreign = await page.evaluate(
        'performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => !name.startsWith(location.origin)).join()',
      );
      expect(foreign).toBe("");
      await page.end();
    },
    PATIENCE_MS,
  );
});

/** So many payloads and three long ones, and all else that a publisher chooses, that would like to be more than text. */
function hostile(count: number): object[] {
  const run = "globalThis.hacked=1";
  const marks = [
    `<script>${run}</script>`,
    `<img src=x onerror="${run}">`,
    `<svg onload="${run}"><script>${run}</script></svg>`,
    `<iframe srcdoc="<script>parent.hacked=1</script>"></iframe>`,
    `javascript:${run}`,
    `data:text/html,<script>${run}</script>`,
    `"><a href="javascript:${run}" autofocus onfocus="${run}">x</a>`,
    `</pre></details><style>*{background:url(//evil.test/x)}</style>`,
    `<link rel=stylesheet href=//evil.test/x.css><base href=//evil.test/>`,
    `<math><mtext><img src=//evil.test/p onerror=${run}></mtext></math>`,
    `\u202E${run}\u2066`,
    "\u0000\u0007\u001B]0;title\u0007\u200B\uFEFF",
    `{"__proto__":{"hacked":1},"constructor":{"prototype":{"hacked":1}},"dangerouslySetInnerHTML":{"__html":"<img src=x onerror=${run}>"}}`,
    "{{constructor.constructor('globalThis.hacked=1')()}}",
    `\${${run}}`,
  ];
  const types = ["application/json", "text/html", "image/svg+xml", "text/javascript"];
  const made = Array.from({ length: count }, (_, i) => {
    const mark = `${marks[i % marks.length]} ${i}`;
    return {
      type: i % 3 === 0 ? mark.slice(0, 200) : "t",
      source: `/${encodeURIComponent(mark).slice(0, 100)}`,
      text_data: i % 5 === 0 ? JSON.stringify({ [mark]: mark, html: mark }) : mark,
      attributes: {
        datacontenttype: { ce_string: types[i % types.length] },
        subject: { ce_string: mark },
      },
    };
  });
  const deep = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
  const json = { datacontenttype: { ce_string: "application/json" } };
  return [
    ...made,
    { text_data: "[".repeat(60_000) },
    { text_data: "\u202E".repeat(20_000) },
    { text_data: deep, attributes: json },
  ];
}

/** A page that is used. */
class Driven {
  readonly #page: BrowserPage;
  #looks = false;

  constructor(page: BrowserPage) {
    this.#page = page;
  }

  evaluate(script: string): Promise<unknown> {
    return this.#page.evaluate(script);
  }

  async fill(selector: string, text: string): Promise<void> {
    await this.#drive("fill", selector, text);
  }

  async click(selector: string, text = ""): Promise<void> {
    await this.#drive("click", selector, text);
  }

  /** Waits until something with this text can be seen. */
  async see(selector: string, text: string): Promise<void> {
    await this.#drive("see", selector, text);
  }

  async go(hash: string): Promise<void> {
    await this.evaluate(`void (location.hash = ${JSON.stringify(hash)})`);
  }

  /** What axe finds wrong, each by its rule and where it is. */
  async violations(axe: string): Promise<unknown> {
    // It takes longer to load than to look.
    if (!this.#looks) await this.evaluate(`${axe}; 0`);
    this.#looks = true;
    const found = await this.evaluate(
      `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
        JSON.stringify(violations.map(({ id, nodes }) => [id, ...nodes.map(({ target, failureSummary }) => [target, failureSummary])])))`,
    );
    return JSON.parse(`${found}`);
  }

  /** Closes it, unless something went wrong in it. */
  async end(): Promise<void> {
    expect(await this.evaluate("globalThis.problem")).toBe(undefined);
    await this.#page.close();
  }

  async #drive(verb: string, selector: string, text: string): Promise<void> {
    const problem = await this.evaluate(
      `drive.${verb}(${JSON.stringify(selector)}, ${JSON.stringify(text)}).then(() => "", (error) => error.message)`,
    );
    expect(problem).toBe("");
  }
}

test("it is painted after two requests, and used by the keyboard, in the dark and on a phone", async () => {
  const page = await chromium.newPage({
    colorScheme: "dark",
    viewport: { width: 390, height: 700 },
  });
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`http://localhost:${server.ports.http}/console`);
  await page.waitForSelector("#key");
  const before = await page.evaluate(
    `new Promise((resolve) => new PerformanceObserver((list) => {
        const [{ startTime }] = list.getEntries();
        const begun = performance.getEntriesByType("resource").filter((entry) => entry.startTime < startTime);
        resolve(begun.map(({ name }) => new URL(name).pathname));
      }).observe({ type: "paint", buffered: true }))`,
  );
  // An icon is for the tab: browsers ask for one whatever the page says, and paint without it.
  const painting = (paths: readonly string[]) => paths.filter((path) => !path.endsWith(".svg"));
  expect(painting(before as string[])).toEqual(["/console/main.js"]);
  expect(painting(asked)).toEqual(["/console", "/console/main.js"]);
  // The keyboard alone, in the dark, on a phone.
  await page.keyboard.press("Tab");
  await page.keyboard.type(KEYS.all.key);
  await page.keyboard.press("Enter");
  await page.waitForSelector("h1#title");
  await page.evaluate(axe);
  const look =
    'axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.map(({ id }) => id))';
  for (const hash of [
    "#/channels",
    "#/publish/a",
    "#/nodes",
    "#/sessions/key%3Aall",
    "#/access",
    "#/settings",
  ]) {
    await page.goto(`http://localhost:${server.ports.http}/console${hash}`);
    await page.waitForSelector("h1#title");
    expect(await page.evaluate(look)).toEqual([]);
    const tooWide = "document.documentElement.scrollWidth > innerWidth";
    expect(await page.evaluate(tooWide)).toBe(false);
    // The menu is one row, in which the view that is open can be seen.
    const menu = await page.evaluate(`(() => {
        const [nav, here] = [document.querySelector("header nav"), document.querySelector("nav [aria-current]")];
        const [row, place] = [nav, here].map((one) => one.getBoundingClientRect());
        return [row.height < 2 * place.height, place.left >= 0 && place.right <= innerWidth];
      })()`);
    expect([hash, menu]).toEqual([hash, [true, true]]);
  }
  await page.close();
});
