/** Builds the library, with both hosts, into dist/lib and the page into dist/page. */
import { chmodSync, cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, run, script } from "./run.mjs";

if (process.argv.includes("--clean")) rmSync(join(root, "dist"), { recursive: true, force: true });
// The SDK, both hosts and what they import.
const projects = ["client", "server", "worker"].map((room) => `tsconfig.${room}.json`);
const compiled = run("tsc", "-b", ...projects);
// The compiler leaves generated JavaScript and its declarations where they are.
cpSync(join(root, "src/protocol/gen"), join(root, "dist/lib/protocol/gen"), { recursive: true });
// The compiler gives no file the right to run, and npm only those of packages that it installs.
const bin = join(root, "dist/lib/server/cli.js");
if (existsSync(bin)) chmodSync(bin, 0o755);
const page = script("build-page.mjs");
if (!compiled || !page) process.exit(1);
