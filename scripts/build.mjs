/** Builds the library, with both hosts, into dist/lib, the page into dist/page, and the packages of both. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, run, script } from "./run.mjs";

if (process.argv.includes("--clean")) rmSync(join(root, "dist"), { recursive: true, force: true });
// The SDK, both hosts and what they import.
const projects = ["client", "server", "worker"].map((room) => `tsconfig.${room}.json`);
if (!run("tsc", "-b", ...projects)) process.exit(1);
// The compiler leaves generated JavaScript and its declarations where they are.
cpSync(join(root, "src/protocol/gen"), join(root, "dist/lib/protocol/gen"), { recursive: true });
for (const step of ["build-page.mjs", "packages.mjs"]) if (!script(step)) process.exit(1);
