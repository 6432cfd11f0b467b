/** Builds the page at `/` into dist/page. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

const source = join(root, "src/http/showcase");
const target = join(root, "dist/page");

const { outputFiles } = await build({
  entryPoints: [join(source, "main.ts"), join(source, "style.css")],
  outdir: target,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  write: false,
  logLevel: "warning",
});

mkdirSync(target, { recursive: true });
for (const { path, contents } of outputFiles) put(basename(path), contents);
put("index.html", readFileSync(join(source, "index.html")));

/**
 * Every wrangler command builds the page, and a running wrangler dev restarts when a file of it
 * changes: what is the same stays untouched, and nobody reads half a file.
 */
function put(name, contents) {
  const path = join(target, name);
  try {
    if (readFileSync(path).equals(contents)) return;
  } catch {
    // Not built yet.
  }
  const temporary = join(root, "dist", `.${name}.${process.pid}`);
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}
