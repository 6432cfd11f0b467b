/** Bundles the programs that tests start, for vitest: its projects share what the first of them has built. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, buildSync } from "esbuild";
import { wranglerOf } from "../../bench/targets/wrangler.ts";
import { BUNDLES, PROGRAMS, TERMS, WORKERS } from "./programs.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** As deep as dist/lib/server, from where the page is looked for. */
const FOLDER = join(root, "dist/test/programs");
/** Packages of the older kind ask for Node's modules by this name. */
const REQUIRE =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

/** Vitest's global setup. */
export function setup(): void {
  // Nothing is awaited on the way, so one project is done before the next one asks.
  if (process.env[BUNDLES] !== undefined) return;
  const files = [
    ...bundled({
      entryPoints: PROGRAMS,
      // A command loads what it needs, as it does from its sources.
      splitting: true,
      platform: "node",
      target: "node22",
      banner: { js: REQUIRE },
      // They are loaded where they are needed, and by these names.
      external: ["redis", "undici"],
    }),
    // As wrangler does it.
    ...bundled({
      entryPoints: WORKERS,
      platform: "browser",
      conditions: ["workerd", "worker", "browser"],
      target: "es2024",
      external: ["cloudflare:*", "workerd:*"],
    }),
    { path: join(FOLDER, TERMS), contents: Buffer.from(JSON.stringify(wranglerOf(root))) },
  ];
  mkdirSync(FOLDER, { recursive: true });
  for (const { path, contents } of files) put(path, contents);
  const names = new Set(files.map(({ path }) => basename(path)));
  for (const name of readdirSync(FOLDER)) if (!names.has(name)) rmSync(join(FOLDER, name));
  process.env[BUNDLES] = FOLDER;
}

function bundled(options: BuildOptions) {
  return buildSync({
    ...options,
    absWorkingDir: root,
    outdir: FOLDER,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    write: false,
    logLevel: "warning",
  }).outputFiles;
}

/** Another run may be reading them: what is the same stays untouched, and nobody reads half a file. */
function put(path: string, contents: Uint8Array): void {
  try {
    if (readFileSync(path).equals(contents)) return;
  } catch {
    // Not built yet.
  }
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}
