/** Builds the pages into dist/page: the one at `/`, and the console. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { CONSOLE_HEADERS } from "../src/server/page.ts";
import { SERVER } from "./packages/list.mjs";
import { root } from "./run.mjs";

const showcase = join(root, "src/http/showcase");
const operators = join(root, "src/http/console");
const target = join(root, "dist/page");
const terms = {
  outdir: target,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  write: false,
  metafile: true,
  logLevel: "warning",
};

/** Style sheets as texts, which a script adopts: the page needs no request for them before it is painted. */
const sheets = {
  name: "sheets",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { outputFiles } = await build({ ...terms, entryPoints: [path] });
      return { contents: `export const text = ${JSON.stringify(outputFiles[0].text)};` };
    });
  },
};

const [shown, operated] = await Promise.all([
  build({ ...terms, entryPoints: [join(showcase, "main.ts"), join(showcase, "style.css")] }),
  build({
    ...terms,
    entryPoints: [join(operators, "main.tsx")],
    jsx: "automatic",
    jsxImportSource: "preact",
    plugins: [sheets],
  }),
]);

for (const { metafile } of [shown, operated]) expectBundled(Object.keys(metafile.inputs));
mkdirSync(join(target, "console"), { recursive: true });
for (const { path, contents } of shown.outputFiles) put(basename(path), contents);
put("index.html", readFileSync(join(showcase, "index.html")));
for (const { path, contents } of operated.outputFiles) put(`console/${basename(path)}`, contents);
put("console/icon.svg", readFileSync(join(operators, "icon.svg")));
put("console.html", readFileSync(join(operators, "index.html")));
// Headers of the assets of a Worker.
const headers = Object.entries(CONSOLE_HEADERS).map(([name, value]) => `  ${name}: ${value}`);
put(
  "_headers",
  Buffer.from(["/console", "/console/*"].flatMap((path) => [path, ...headers, ""]).join("\n")),
);

/** What is bundled comes with the package, whose bill of materials has to have it. */
function expectBundled(inputs) {
  const names = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  for (const name of new Set(names)) {
    if (name === undefined || SERVER.bundled.includes(name)) continue;
    throw new Error(`${name} is bundled into a page: scripts/packages/list.mjs has to name it`);
  }
}

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
  const temporary = join(root, "dist", `.${basename(name)}.${process.pid}`);
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}
