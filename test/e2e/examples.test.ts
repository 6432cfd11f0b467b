/** The examples, started as their READMEs say: a message arrives in each of them. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { makeKey } from "../../src/server/api/keys.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { eventually } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";
import { BROWSERS, type Browser, type BrowserPage, launch } from "./browsers.ts";
import { startExample } from "./example-process.ts";

const { key, entry } = makeKey({ id: "examples", rights: ["publish"], patterns: ["**"] });
/** Of a person before a page, on a busy machine. */
const PATIENCE_MS = 30_000;
const cleanups: (() => unknown)[] = [];
const browsers = new Map<string, Browser>();

beforeAll(async () => {
  for (const name of BROWSERS) browsers.set(name, await launch(name));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(async () => {
  for (const browser of browsers.values()) await browser.close();
});

/** Where a server is to be, and what an example is told of it. */
async function places() {
  const [websocket, http] = [await settledPort("serve"), await settledPort("serve")];
  return {
    ...{ websocket, http },
    env: {
      MESSAGELOOP_URL: `http://localhost:${websocket}`,
      MESSAGELOOP_API_URL: `http://localhost:${http}`,
      MESSAGELOOP_API_KEY: key,
    },
  };
}

/** A server by a configuration. */
async function serve(
  { websocket, http, env }: Awaited<ReturnType<typeof places>>,
  config: Record<string, unknown> = {},
): Promise<Record<string, string>> {
  const { transport = {} } = config as { transport?: Record<string, object> };
  const server = createServer({
    config: parseConfig({
      ...config,
      server: { http: { addr: `127.0.0.1:${http}` }, drain_timeout: "1s" },
      transport: {
        websocket: { ...transport["websocket"], addr: `127.0.0.1:${websocket}` },
        grpc: { addr: "127.0.0.1:0" },
      },
      api: { keys: [entry] },
    }),
  });
  await server.start();
  cleanups.push(() => server.stop());
  return env;
}

/** The configuration that an example comes with, for another port than the one that it names. */
async function configOf(name: string, port: number): Promise<Record<string, unknown>> {
  const file = fileURLToPath(new URL(`../../examples/${name}/config.yaml`, import.meta.url));
  const text = (await readFile(file, "utf8")).replaceAll("localhost:9300", `localhost:${port}`);
  return parse(text) as Record<string, unknown>;
}

async function start(name: string, port: number, env: Record<string, string>) {
  const example = await startExample(name, port, env);
  cleanups.push(() => example.stop());
  return example;
}

/** A page, and what a person does with it. */
class Visitor {
  readonly #page: BrowserPage;

  constructor(page: BrowserPage) {
    this.#page = page;
  }

  static async of(browser: string, url: string): Promise<Visitor> {
    const page = await (browsers.get(browser) as Browser).open(url);
    cleanups.push(() => page.close());
    return new Visitor(page);
  }

  run(script: string): Promise<unknown> {
    return this.#page.evaluate(script);
  }

  /** Waits for a field, fills it as typing does, which React hears as well, and submits its form. */
  async submit(field: string, value: string): Promise<void> {
    await this.sees(`document.querySelector("${field}") !== null`);
    await this.run(`(() => {
      const field = document.querySelector("${field}");
      const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value");
      set.call(field, ${JSON.stringify(value)});
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.form.requestSubmit();
    })()`);
  }

  /** Waits until a script comes to something true. */
  async sees(script: string): Promise<void> {
    await eventually(() => this.run(script), Boolean, PATIENCE_MS);
  }

  /** Waits until each of these texts is somewhere in what a selector finds. */
  async reads(selector: string, ...texts: string[]): Promise<void> {
    const all = `[...document.querySelectorAll("${selector}")].map((e) => e.textContent).join("|")`;
    await eventually(
      () => this.run(all) as Promise<string>,
      (seen) => texts.every((text) => seen.includes(text)),
      PATIENCE_MS,
    );
  }
}

test.each([
  ["Chromium", "the self-hosted server"],
  ["Firefox", "the Worker"],
])(
  "chat: people talk in %s, by %s, and who comes later sees what was said",
  async (browser, host) => {
    const env =
      host === "the Worker"
        ? { MESSAGELOOP_URL: inject("url"), MESSAGELOOP_API_KEY: key }
        : await serve(await places());
    const { url } = await start("chat", await settledPort("serve"), env);
    const word = crypto.randomUUID();
    const [ada, ben] = [await Visitor.of(browser, url), await Visitor.of(browser, url)];
    await ada.submit("#name", `Ada ${word}`);
    await ada.reads(".status", "online");
    await ben.submit("#name", `Ben ${word}`);
    for (const one of [ada, ben]) await one.reads(".people", `Ada ${word}`, `Ben ${word}`);
    await ada.submit("#text", `Hello ${word}`);
    for (const one of [ada, ben]) await one.reads(".messages li", `Hello ${word}`);
    await ben.submit("#text", `Hello yourself ${word}`);
    const late = await Visitor.of(browser, url);
    await late.submit("#name", "Late");
    await late.reads(".messages li", `Hello ${word}`, `Hello yourself ${word}`);
    const count = `[...document.querySelectorAll(".messages li")].filter((e) => e.textContent.includes("${word}")).length`;
    expect([await ada.run(count), await late.run(count)]).toEqual([2, 2]);
    expect(await late.run('document.querySelector(".problem").textContent')).toBe("");
  },
);

test("dashboard: a backend's numbers come, with their past", async () => {
  const { url } = await start("dashboard", await settledPort("serve"), await serve(await places()));
  const first = await Visitor.of("Chromium", url);
  const drawn = `[...document.querySelectorAll("path.known")].filter((path) => /L/.test(path.getAttribute("d"))).length`;
  await first.sees(`${drawn} === 4`);
  // Who comes later has a line at once, with the numbers from before.
  const second = await Visitor.of("Chromium", url);
  await second.sees(`${drawn} === 4`);
  const numbers = await second.run(
    '[...document.querySelectorAll("output")].map((e) => e.textContent)',
  );
  for (const number of numbers as string[]) expect(number).toMatch(/^\d+(?:\.\d\d)?$/);
});

test("cursors: a cursor that moves in one window moves in another", async () => {
  const { url } = await start("cursors", await settledPort("serve"), await serve(await places()));
  const [one, other] = [await Visitor.of("Chromium", url), await Visitor.of("Chromium", url)];
  for (const visitor of [one, other]) await visitor.reads("#people", "One other is here.");
  const press = `document.getElementById("board").dispatchEvent(
    new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }))`;
  await one.run(press);
  const place = 'document.querySelector(".cursor:not(.mine)")?.style.left';
  await other.sees(`${place} === "52%"`);
  await one.run(press);
  await other.sees(`${place} === "54%"`);
});

test("rpc: the backend answers, and refuses in its own words", async () => {
  const port = await settledPort("serve");
  const env = await serve(await places(), await configOf("rpc", port));
  const { url } = await start("rpc", port, env);
  const visitor = await Visitor.of("Chromium", url);
  await visitor.submit("#count", "10");
  await visitor.reads("#answers li", "10 × Kite: €224.10, €24.90 less for so many");
  await visitor.run('document.getElementById("article").value = "telescope"');
  await visitor.submit("#count", "5");
  await visitor.reads("#answers li", "5 × Telescope: only 3 are left (OUT_OF_STOCK)");
});

test("worker: who has signed in gets a token, hears the Worker, and no page has a key", async () => {
  const port = await settledPort("worker");
  const place = await places();
  const { url } = await start("worker", port, place.env);
  await serve(place, await configOf("worker", port));
  const visitor = await Visitor.of("Chromium", url);
  await visitor.sees('document.getElementById("door").hidden === false');
  await visitor.submit("#name", "Ada");
  await visitor.reads(".status", "online");
  await visitor.reads("#messages li", "Ada has come in.");
  await visitor.submit("#text", "Hello team");
  await visitor.reads("#messages li", "AdaHello team");
  const again = await Visitor.of("Chromium", url);
  await again.submit("#name", "Ben");
  await again.reads("#messages li", "Ben has come in.", "AdaHello team");

  const ticket = (await again.run('fetch("/token").then((answer) => answer.json())')) as object;
  expect(Object.keys(ticket).sort()).toEqual(["name", "token", "url"]);
  expect(await again.run("document.cookie")).toBe("");
  for (const file of ["", "main.js", "style.css"]) {
    expect(await (await fetch(`${url}/${file}`)).text()).not.toContain(key);
  }
  expect((await fetch(`${url}/token`)).status).toBe(401);
  const foreign = { method: "POST", headers: { Origin: "http://elsewhere.example" }, body: "{}" };
  expect((await fetch(`${url}/login`, foreign)).status).toBe(403);
  const keys = await (await fetch(`${url}/.well-known/jwks.json`)).json();
  expect(keys).toMatchObject({ keys: [{ kty: "OKP", crv: "Ed25519", alg: "EdDSA" }] });
  expect(JSON.stringify(keys)).not.toMatch(/"d":/);
});
