/** Builds the page at `/` into dist/page. */
import { cp, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = `${root}src/http/console/`;
const target = `${root}dist/page/`;

await mkdir(target, { recursive: true });
await build({
  entryPoints: [`${source}main.ts`],
  outfile: `${target}main.js`,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  logLevel: "warning",
});
for (const name of ["index.html", "style.css"]) await cp(source + name, target + name);
