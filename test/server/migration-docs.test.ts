/** The pages for those who come from elsewhere: every call of theirs that is shown does what it says, of a live server. */
import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dial, withToken } from "../../src/client/v0/index.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { authenticate, KEY_ENTRIES, KEYS } from "../http/api/cases.ts";

const root = new URL("../../", import.meta.url);
const PAGES = globSync("docs/migrate-from-*.md", { cwd: root });
const SHOWN = "http://localhost:8080";

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

/** The commands of a page, block after block. */
function commands(page: string): string[] {
  const text = readFileSync(new URL(page, root), "utf8");
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
}

test("there are pages with calls", () => {
  expect(PAGES.length).toBe(4);
  expect(PAGES.filter((page) => commands(page).length === 0)).toEqual([]);
});

test.each(PAGES)("the calls of %s succeed", async (page) => {
  const client = await dial(url, [withToken("ada")]);
  const env = {
    ...process.env,
    MESSAGELOOP_API_KEY: KEYS.all.key,
    SESSION: client.getSessionId() ?? "",
  };
  for (const block of commands(page)) {
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
  await client.close();
});
