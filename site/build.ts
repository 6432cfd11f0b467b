/** Builds the site: its pages in dist/pages, and what a web server serves in dist/site. `--stage` stops at the pages. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { stage, target } from "./pages.ts";
import { nameModules } from "./sdk.ts";

const here = fileURLToPath(new URL(".", import.meta.url));

stage();
tool("typedoc/bin/typedoc");
nameModules(`${target}/reference/sdk`);
if (!process.argv.includes("--stage")) tool("vitepress/bin/vitepress.js", "build");

function tool(path: string, ...args: string[]): void {
  const { status } = spawnSync(process.execPath, [`node_modules/${path}`, ...args], {
    cwd: here,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}
