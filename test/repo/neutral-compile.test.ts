/** The neutral rooms compile with no ambient types, which is the proof that they know no platform. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "messageloop-neutral-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("every room that must be neutral is among them", () => {
  const rooms = new Set(neutralFiles().map((path) => path.replace(/^.*src\/([^/]+).*$/, "$1")));
  expect([...rooms].sort()).toEqual([
    "access",
    "auth",
    "brokers",
    "channels",
    "engine",
    "hooks",
    "objects",
    "ports.ts",
    "protocol",
    "proxy",
    "tracing",
  ]);
});

test("the neutral rooms compile, and a platform's names do not compile beside them", () => {
  // The planted files share one program with the real ones: a package that brings ambient types
  // into a neutral room would make these names known, and this test fail.
  const found = compile({
    "plain.ts": "export const later = Promise.resolve(1n);",
    "timer.ts": "setTimeout(() => {}, 1);",
    "process.ts": "export const env = process.env;",
    "buffer.ts": "export const bytes = Buffer.alloc(1);",
    "encoder.ts": "export const encoder = new TextEncoder();",
    "socket.ts": 'export const opened = new WebSocket("ws://localhost");',
    "random.ts": "export const id = crypto.randomUUID();",
    "console.ts": 'console.log("hello");',
    "node.ts": 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;',
    "worker.ts": 'import { DurableObject } from "cloudflare:workers";\nexport { DurableObject };',
  });
  // Neither the plain file nor any of the rooms is among them.
  expect(found).toEqual([
    "buffer.ts TS2591 Buffer",
    "console.ts TS2584 console",
    "encoder.ts TS2304 TextEncoder",
    "node.ts TS2591 node:fs",
    "process.ts TS2591 process",
    "random.ts TS2304 crypto",
    "socket.ts TS2304 WebSocket",
    "timer.ts TS2304 setTimeout",
    "worker.ts TS2307 cloudflare:workers",
  ]);
});

/** Compiles the neutral project with more files; returns "file code subject" of each diagnostic. */
function compile(planted: Readonly<Record<string, string>>): string[] {
  for (const [name, text] of Object.entries(planted)) writeFileSync(join(folder, name), text);
  const rooms = neutralFiles().map((path) => join(root, path));
  const config = {
    extends: join(root, "tsconfig.neutral.json"),
    // A composite project would write its build information; this one only asks.
    compilerOptions: { composite: false, noEmit: true, rootDir: "/", tsBuildInfoFile: null },
    files: [...rooms, ...Object.keys(planted)],
    include: [],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const { stdout, status } = tsc("--pretty", "false", "-p", folder);
  const found = stdout
    .split("\n")
    .filter((line) => line.includes("error TS"))
    .map((line) => {
      const [, path = line, code = "", subject = ""] =
        /^(?:.*\/)?([^/(:]*).*?error (TS\d+):[^']*(?:'([^']*)')?/.exec(line) ?? [];
      return `${path} ${code} ${subject}`;
    });
  // A compiler that fails without saying why proves nothing.
  expect(status === 0).toBe(found.length === 0);
  return found.sort();
}

/** The files of the neutral project, from the top of the repository. */
function neutralFiles(): string[] {
  return JSON.parse(tsc("--showConfig", "-p", join(root, "tsconfig.neutral.json")).stdout).files;
}

function tsc(...args: string[]): { stdout: string; status: number | null } {
  const program = join(root, "node_modules/typescript/bin/tsc");
  return spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: "utf8" });
}
