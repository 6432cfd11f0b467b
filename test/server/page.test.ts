/** The page, as a browser finds it: below any prefix, and with the path that is set. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { request as ask, createServer as createHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { consoleAt, pageAt } from "../../src/server/page.ts";
import { createServer } from "../../src/server/server.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

beforeAll(() => {
  execFileSync(process.execPath, ["scripts/build-page.mjs"], { cwd: root });
});

async function start(path: string): Promise<string> {
  const listener = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: listener },
      transport: { websocket: { ...listener, path }, grpc: listener },
    }),
  });
  const { websocket } = await server.start();
  onTestFinished(() => server.stop());
  return `http://127.0.0.1:${websocket}/`;
}

/** A reverse proxy that has the server below a prefix, which it takes off. */
async function behind(prefix: string, target: string): Promise<string> {
  const proxy = createHttp((request, response) => {
    const path = request.url?.startsWith(prefix) ? request.url.slice(prefix.length - 1) : "/nope";
    ask(new URL(path, target), (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    }).end();
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${prefix}`;
}

/** Every file that the page at an address is made of, and the address of its WebSocket. */
async function addressesOf(page: string): Promise<{ files: string[]; endpoint: string }> {
  const html = await (await fetch(page)).text();
  const files = [...html.matchAll(/<(?:script|link)\b[^>]* (?:src|href)="([^"]+)"/g)].map(
    ([, name]) => name ?? "",
  );
  const [, path] = /name="messageloop-path" content="([^"]*)"/.exec(html) ?? [];
  return {
    files: files
      .filter((name) => !name.startsWith("data:"))
      .map((name) => new URL(name, page).href),
    endpoint: new URL(path ?? "?", page).href,
  };
}

test.each(["/ws", "/socket", "/rt/v1/socket"])(
  "the page finds %s, also below a prefix",
  async (path) => {
    const server = await start(path);
    for (const page of [server, await behind("/chat/app/", server)]) {
      const { files, endpoint } = await addressesOf(page);
      expect(endpoint).toBe(new URL(path.slice(1), page).href);
      expect(files).toHaveLength(2);
      for (const file of files) expect((await fetch(file)).status).toBe(200);
    }
  },
);

test("its script takes the path from the page alone", async () => {
  const script = await (await fetch(new URL("main.js", await start("/socket")))).text();
  expect(script).toContain("messageloop-path");
  expect(script).not.toContain('"/ws"');
});

test("its links lead to sections that are there", async () => {
  const html = await (await fetch(await start("/ws"))).text();
  const links = [...html.matchAll(/href="[^"]*\/blob\/main\/([^"#]+)(?:#([^"]+))?"/g)];
  expect(links.length).toBeGreaterThan(2);
  for (const [, path = "", section] of links) {
    const document = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
    const heading = section?.replaceAll("-", " ") ?? "";
    expect(document.toLowerCase()).toMatch(new RegExp(`^#+ ${heading}`, "m"));
  }
});

test("each file is read once, whatever is asked for", async () => {
  const read: string[] = [];
  const page = pageAt("/ws", async (name) => {
    read.push(name);
    return name === "main.js" ? undefined : new TextEncoder().encode(`the ${name}`);
  });
  const status = async (path: string) => (await page(new Request(`http://a.test${path}`))).status;
  for (let i = 0; i < 3; i++) {
    expect(await status("/")).toBe(200);
    expect(await status("/style.css")).toBe(200);
    // Not built, and never there.
    expect(await status("/main.js")).toBe(404);
    expect(await status("/constructor")).toBe(404);
  }
  expect(read).toEqual(["index.html", "style.css", "main.js"]);
});

/** All that the console is made of, in bytes of gzip. */
const CONSOLE_BUDGET = 80 * 1024;

test("the console is small, and its files are served with what keeps other scripts out", async () => {
  const console = consoleAt();
  let size = 0;
  for (const path of ["/console", "/console/main.js", "/console/icon.svg"]) {
    const answer = await console(new Request(`http://a.test${path}`));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Security-Policy")).toMatch(/^default-src 'self';/);
    expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff");
    size += gzipSync(await answer.bytes()).length;
  }
  expect(size).toBeLessThan(CONSOLE_BUDGET);
  for (const path of ["/", "/main.js", "/console/constructor", "/console/../main.js"]) {
    expect((await console(new Request(`http://a.test${path}`))).status).toBe(404);
  }
  const posted = new Request("http://a.test/console", { method: "POST" });
  expect((await console(posted)).status).toBe(404);
  const slashed = await console(new Request("http://a.test/console/"));
  expect([slashed.status, slashed.headers.get("Location")]).toEqual([307, "../console"]);
});

test("the assets of a Worker have the same headers", async () => {
  const told = readFileSync(new URL("../../dist/page/_headers", import.meta.url), "utf8");
  const { headers } = await consoleAt()(new Request("http://a.test/console"));
  for (const name of ["Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"]) {
    expect(told.split(`  ${name}: ${headers.get(name)}\n`)).toHaveLength(3);
  }
});
