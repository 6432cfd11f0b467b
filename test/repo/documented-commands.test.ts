import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const DOCUMENTS = [
  "README.md",
  "SPEC.md",
  "docs/**/*.md",
  "bench/README.md",
  "bench/peers/README.md",
  "checks/README.md",
  "examples/README.md",
  "examples/*/README.md",
];

/** Lines of the shell blocks of a document. */
function commands(file: string): string[] {
  const text = readFileSync(`${root}/${file}`, "utf8");
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)];
  return blocks.flatMap(([, block]) => (block ?? "").split("\n"));
}

// A reader's own Node may be 20, which runs no TypeScript: npx finds the project's. What a guide has its reader write is a module.
test("documented commands use the project's Node", () => {
  const lines = DOCUMENTS.flatMap((pattern) => globSync(pattern, { cwd: root }).flatMap(commands));
  expect(lines).toContain("npm ci && npm start");
  expect(lines.filter((line) => /^node\s+(?!\w+\.mjs\b)/.test(line))).toEqual([]);
});

test("the README's command line runs", async () => {
  const line = commands("README.md").find((command) => command.includes("cli.ts publish"));
  const [program = "", ...args] = (line ?? "").split(" ").slice(0, 3);
  const { stdout } = await promisify(execFile)(program, [...args, "--help"], { cwd: root });
  expect(stdout).toContain("Usage: messageloop");
});
