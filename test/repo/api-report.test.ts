/** What programs can import of the packages is what test/repo/api says, so that a review sees what a commit does to it. */
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { folder, reports } from "../../scripts/api-report.mjs";
import { root, run } from "../support/packed.ts";

const COMMAND = "npx node scripts/api-report.mjs";
/** A build of all, where nothing is built yet. */
const PATIENCE_MS = 120_000;

let now: ReadonlyMap<string, string>;

beforeAll(() => {
  const projects = ["client", "server", "worker"].map((room) => `tsconfig.${room}.json`);
  run(join(root, "node_modules/.bin/tsc"), root, "-b", ...projects);
  now = reports();
}, PATIENCE_MS);

test("each entry has a report, and no other has", () => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const there = files
    .filter((file) => file.endsWith(".txt"))
    .map((file) => file.split(sep).join("/"));
  expect(there.sort(), `${COMMAND} writes them`).toEqual([...now.keys()].sort());
});

test("the reports are of the declarations as they are", () => {
  for (const [file, text] of now) {
    expect(text, `${file} has changed: ${COMMAND} writes it`).toBe(
      readFileSync(join(folder, file), "utf8"),
    );
  }
});

test("a report has what is exported from elsewhere, and what that names", () => {
  const sdk = now.get("messageloop/index.txt");
  expect(sdk).toMatch(/^function createClient</m);
  expect(sdk).toMatch(/^interface ClientOptions</m);
  const server = now.get("messageloop-server/deprecated.txt");
  expect(server).toMatch(/^of messageloop-server: .*createServer/m);
  const named = now.get("messageloop-server/named.txt");
  expect(named).toMatch(/^class Hub \{$/m);
  expect(named).toMatch(/^of proto: /m);
  // Comments are no part of the API.
  for (const text of now.values()) expect(text).not.toMatch(/\/\*\*|^\s*\/\//m);
});
