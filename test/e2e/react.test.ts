/** The hooks as React calls them, in real browsers: mounted twice, rendered by a server, switched, left and come back to. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { BROWSERS, type Browser, type BrowserPage, launch } from "./browsers.ts";
import type { seen as Seen } from "./react-page.ts";

const PATIENCE_MS = 30_000;
/** Where React is: the project's own, or another version in a folder that `npm run check:packages` names. */
const MODULES =
  process.env["MESSAGELOOP_REACT"] ?? fileURLToPath(new URL("../../node_modules", import.meta.url));

/** Takes React from there, wherever the hooks import it. */
const fromModules: Plugin = {
  name: "from-modules",
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^react(-dom)?($|\/)/ }, ({ path, kind, pluginData }) =>
      pluginData === MODULES
        ? undefined
        : resolve(path, { kind, resolveDir: MODULES, pluginData: MODULES }),
    );
  },
};

let program = "";
let origin = "";
let stop = (): void => {};

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("react-page.ts", import.meta.url))],
    bundle: true,
    format: "iife",
    globalName: "hooks",
    // React's own checks, and StrictMode, are there in development alone.
    define: { "process.env.NODE_ENV": '"development"' },
    plugins: [fromModules],
    write: false,
  });
  program = (outputFiles[0]?.text ?? "").replace("var hooks", "globalThis.hooks");
  const pages = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end("<!doctype html><title>hooks</title><body></body>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  origin = `http://localhost:${(pages.address() as AddressInfo).port}`;
  stop = () => pages.closeAllConnections();
});

afterAll(() => stop());

describe.each(BROWSERS)("in %s", (name) => {
  let browser: Browser;
  let page: BrowserPage;

  beforeAll(async () => {
    browser = await launch(name);
    page = await browser.open(origin);
    await page.evaluate(program);
  });

  afterAll(async () => {
    await browser?.close();
  });

  async function run(call: string): Promise<void> {
    await page.evaluate(`hooks.${call}`);
  }

  test("React is of the version that is meant", async () => {
    const manifest = readFileSync(join(MODULES, "react/package.json"), "utf8");
    expect(await page.evaluate("hooks.version")).toBe(JSON.parse(manifest).version);
  });

  /** What there is as soon as the page shows a text. */
  async function shown(text: string): Promise<ReturnType<typeof Seen>> {
    const look = async () => (await page.evaluate("hooks.seen()")) as ReturnType<typeof Seen>;
    return await eventually(look, (seen) => seen.shown === text, PATIENCE_MS);
  }

  test("StrictMode makes one connection and one subscription, and loses and doubles nothing", async () => {
    await run("reset()");
    for (const text of ["a", "b", "c"]) await run(`publish("room", "${text}")`);
    await run('show("room")');
    await shown("connected room: b,c (me)");
    for (const text of ["d", "e"]) await run(`publish("room", "${text}")`);
    const seen = await shown("connected room: b,c,d,e (me)");
    expect(seen).toMatchObject({
      heard: ["b", "c", "d", "e"],
      connections: 1,
      sessions: 1,
      subscribes: ["room"],
      problems: [],
    });
    // A loss, and back by itself.
    await run("cut()");
    await run('publish("room", "f")');
    const back = await shown("connected room: b,c,d,e,f (me)");
    expect(back).toMatchObject({ heard: ["b", "c", "d", "e", "f"], connections: 2, problems: [] });
    await run("leave()");
    const left = await eventually(
      () => page.evaluate("hooks.seen()") as Promise<ReturnType<typeof Seen>>,
      ({ sessions }) => sessions === 0,
    );
    expect(left.connections).toBe(2);
  });

  test("a component that only listens is not rendered for messages", async () => {
    await run("reset()");
    await run('show("room")');
    const before = await shown("connected room:  (me)");
    for (let i = 0; i < 20; i++) await run(`publish("room", "${i}")`);
    const all = Array.from({ length: 20 }, (_, i) => `${i}`).join(",");
    const after = await shown(`connected room: ${all} (me)`);
    expect(after.heard).toHaveLength(20);
    expect(after.renderings).toBe(before.renderings);
  });

  test("what a server has rendered becomes alive, and nothing differs", async () => {
    await run("reset()");
    await run('publish("room", "a")');
    await run('hydrate("room")');
    const seen = await shown("connected room: a (me)");
    expect(seen).toMatchObject({ connections: 1, problems: [] });
  });

  test("another channel is another subscription on the same connection, and another address another client", async () => {
    await run("reset()");
    await run('publish("room", "a")');
    await run('publish("other", "z")');
    await run('show("room")');
    await shown("connected room: a (me)");
    await run('show("other")');
    const seen = await shown("connected other: z (me)");
    expect(seen).toMatchObject({ connections: 1, sessions: 1, problems: [] });
    await run('show("room", "ws://elsewhere")');
    await shown("connected room: a (me)");
    const moved = await eventually(
      () => page.evaluate("hooks.seen()") as Promise<ReturnType<typeof Seen>>,
      ({ sessions }) => sessions === 1,
    );
    expect(moved).toMatchObject({ connections: 2, problems: [] });
  });

  test("an effect may publish at once, and hears itself", async () => {
    await run("reset()");
    await run('show("echo")');
    // StrictMode runs effects twice.
    await shown("connected echo: hello,hello (me)");
  });

  test("a component that comes back begins where it says", async () => {
    await run("reset()");
    for (const text of ["a", "b", "c"]) await run(`publish("room", "${text}")`);
    await run("showDoor()");
    await shown("doorconnected room: b,c (me)");
    await run("pushDoor()");
    await shown("door");
    await run('publish("room", "d")');
    await run("pushDoor()");
    const seen = await shown("doorconnected room: c,d (me)");
    expect(seen).toMatchObject({ connections: 1, sessions: 1, problems: [] });
  });
});
