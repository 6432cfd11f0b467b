/** What pages say of runtimes and libraries is of the versions that are installed, and the tests that they name exist. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { texts } from "../support/client.ts";
import { delivered } from "../support/expand.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const [, section = ""] = read("docs/cloudflare.md").split("## What the runtime does\n");

test("the versions are those that are installed", () => {
  const installed = createRequire(import.meta.url);
  const version = (name: string): string => installed(`${name}/package.json`).version;
  const { groups } =
    /wrangler (?<wrangler>\S+) and workerd (?<workerd>\S+) at the compatibility date\s+(?<date>[\d-]+)/.exec(
      section,
    ) ?? {};
  expect(groups).toEqual({
    wrangler: version("wrangler"),
    workerd: version("workerd"),
    date: /^compatibility_date = "(.*)"$/m.exec(read("wrangler.toml"))?.[1],
  });
});

test("every test that is named exists, and none of the runtime's is left out", () => {
  const rows = section
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"));
  const named = rows
    .map((row) => row.split(" | ").at(-1)?.replace(/ \|$/, "") ?? "")
    .filter((title) => title !== "test");
  expect(named.length).toBeGreaterThan(20);
  const titles = [...read("test/e2e/runtime.test.ts").matchAll(/^ *test\("(.*?)"/gm)];
  expect([...new Set(named)].toSorted()).toEqual(titles.map(([, title]) => title).toSorted());
});

test("docs/runtimes.md is of the versions that its check installs, and of the project's own", () => {
  const [head = ""] = read("docs/runtimes.md").match(/^\| what \|.*$/m) ?? [];
  const told = (name: string): string | undefined =>
    new RegExp(`\\| ${name} (\\S+) \\|`).exec(head)?.[1];
  const { dependencies } = JSON.parse(read("checks/runtimes/package.json"));
  const { devDependencies } = JSON.parse(read("package.json"));
  expect(dependencies).toMatchObject({ bun: told("Bun"), deno: told("Deno"), ws: told("ws") });
  expect(devDependencies.node).toMatch(new RegExp(`^${told("Node")}\\.`));
});

test("docs/clients.md is of the versions that its samples have", () => {
  const page = read("docs/clients.md");
  const [, go] = /coder\/websocket v(\S+)/.exec(read("examples/clients/go/go.mod")) ?? [];
  const [, python] =
    /websockets==(\S+)/.exec(read("examples/clients/python/requirements.txt")) ?? [];
  expect(page).toContain(`coder/websocket ${go} `);
  expect(page).toContain(`websockets ${python} `);
});

test("the frames in docs/clients.md can be read", () => {
  const { decodeInbound, decodeOutbound } = codecFor("json");
  const blocks = [...read("docs/clients.md").matchAll(/^```json\n(.*?)^```/gms)];
  const frames = blocks.map(([, frame = ""]) => frame.trim());
  const kinds = frames.map((frame) => decodeInbound(frame).envelope.case ?? "of the server");
  expect(kinds).toEqual(["connect", "of the server", "received", "connect"]);
  const messages = delivered(decodeOutbound(frames[1] ?? "")) ?? [];
  expect(texts(messages)).toEqual(['{"text":"hello"}', '{"text": "again"}']);
  expect(messages.map(({ offset }) => offset)).toEqual([17n, 18n]);
});
