/** What a page has to load of the SDK, in bytes of gzip. The numbers in sdk-budget.json only ever go down. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

const PROGRAMS = {
  core: 'export { dial } from "./src/index.ts";',
  "with protobuf":
    'export { dial } from "./src/index.ts"; export { protobuf } from "./src/client/protobuf/index.ts";',
  stream: 'export { connectStream, eventStream, fallback } from "./src/client/stream/index.ts";',
  /** The hooks alone: React and the core are there anyway. */
  react: 'export * from "./src/client/react/index.ts";',
  shared: 'export { dial } from "./src/client/shared/index.ts";',
  "shared worker":
    'import { serveTabs } from "./src/client/shared/serve-tabs.ts"; import { protobuf } from "./src/client/protobuf/index.ts"; serveTabs({ encodings: [protobuf] });',
};

/** Modules that no page has a use for. */
const STRANGERS = /node_modules|protocol\/gen|\/node\.ts$/;

test.each(Object.entries(PROGRAMS))(
  "%s keeps to its budget, and to what a browser has",
  async (name, contents) => {
    const budgets = JSON.parse(
      await readFile(`${root}test/repo/sdk-budget.json`, "utf8"),
    ) as Record<string, number>;
    const { outputFiles, metafile } = await build({
      stdin: { contents, resolveDir: root, loader: "ts" },
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      external: name === "react" ? ["react", "../../index.ts"] : [],
      metafile: true,
      write: false,
    });
    const [bundle] = outputFiles;
    const bytes = gzipSync(bundle?.contents ?? "", { level: 9 }).length;
    expect(bytes).toBeLessThanOrEqual(budgets[name] ?? 0);
    // A budget that is far from what it holds lets anything in.
    expect(bytes).toBeGreaterThan((budgets[name] ?? 0) * 0.95);
    expect(Object.keys(metafile.inputs).filter((path) => STRANGERS.test(path))).toEqual([]);
  },
);
