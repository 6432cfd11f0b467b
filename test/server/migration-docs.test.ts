/**
 * The pages for those who come from elsewhere: the client of each runs against a live server, every call that is shown does
 * what it says, and the client hears what is published so.
 */
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Client } from "../../src/index.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { authenticate, KEY_ENTRIES, KEYS } from "../http/api/cases.ts";
import { blocks, bundled, root } from "../support/doc-blocks.ts";
import { eventually } from "../support/eventually.ts";

const PAGES = globSync("docs/migrate-from-*.md", { cwd: root });
const SHOWN = "http://localhost:8080";
const SHOWN_SOCKET = "wss://example.com/ws";

interface Given {
  getToken(): string;
  render(what: unknown): void;
}

let server: Server;
let url: string;
let api: string;

beforeAll(async () => {
  const listener = { addr: "127.0.0.1:0" };
  server = createServer({
    config: parseConfig({
      api: { keys: KEY_ENTRIES },
      server: { http: listener, drain_timeout: "1s" },
      transport: { websocket: listener, grpc: listener },
    }),
    backends: { authenticate },
  });
  const ports = await server.start();
  url = `ws://127.0.0.1:${ports.websocket}/ws`;
  api = `http://127.0.0.1:${ports.http}`;
});

afterAll(async () => {
  await server?.stop();
});

/** Runs a page's program to its end, and returns the client that it has made. */
async function run(program: string, given: Given): Promise<Client> {
  const lines = program.replaceAll(`"${SHOWN_SOCKET}"`, JSON.stringify(url)).split("\n");
  const imports = lines.filter((line) => line.startsWith("import "));
  const body = lines.filter((line) => !line.startsWith("import "));
  const code = await bundled(
    [
      ...imports,
      "export async function run({ getToken, render }) {",
      "let saved;",
      ...body,
      "return client;",
      "}",
    ].join("\n"),
  );
  const module = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  return await module.run(given);
}

test("there are pages with a client and with calls", () => {
  expect(PAGES.length).toBe(4);
  expect(PAGES.filter((page) => blocks(page, "sh").length === 0)).toEqual([]);
  expect(PAGES.filter((page) => blocks(page, "ts").length !== 1)).toEqual([]);
});

test.each(PAGES)("%s shows what works", async (page) => {
  const rendered: unknown[] = [];
  const client = await run(blocks(page, "ts")[0] ?? "", {
    getToken: () => "ada",
    render: (what) => rendered.push(what),
  });
  const env = { ...process.env, MESSAGELOOP_API_KEY: KEYS.all.key, SESSION: client.sessionId };
  for (const block of blocks(page, "sh")) {
    const script = block
      .replaceAll(SHOWN, api)
      .replaceAll(/^curl /gm, "curl -sS --fail-with-body -w '\\n' ");
    const { stdout } = await promisify(execFile)("sh", ["-ec", script], { env });
    const answers = stdout.trim().split("\n");
    expect(answers.length).toBe(block.match(/^curl /gm)?.length);
    for (const answer of answers) {
      expect(() => JSON.parse(answer)).not.toThrow();
      // What is refused of a call stands in its answer, which has the status 200.
      expect(answer).not.toMatch(/"(?:\w+_)?errors?":|"results":\{[^}]*false/);
    }
  }
  await eventually(() => JSON.stringify(rendered).includes("hello"));
  await client.close();
});
