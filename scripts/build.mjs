/** Builds the library into dist/lib and the page into dist/page. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, run, script } from "./run.mjs";

if (process.argv.includes("--clean")) rmSync(join(root, "dist"), { recursive: true, force: true });
// The SDK and what it imports; lint.mjs compiles every other room.
const compiled = run("tsc", "-b", "tsconfig.client.json");
// The compiler leaves generated JavaScript and its declarations where they are.
cpSync(join(root, "src/protocol/gen"), join(root, "dist/lib/protocol/gen"), { recursive: true });
const page = script("build-page.mjs");
if (!compiled || !page) process.exit(1);
