/**
 * What a page has to load of the SDK as it is published, in bytes of gzip. The numbers in sdk-budget.json go down; a commit that
 * raises one says what that is worth.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root, run } from "../support/packed.ts";

const PROGRAMS = {
  core: 'export { dial } from "messageloop";',
  "with protobuf":
    'export { dial } from "messageloop"; export { protobuf } from "messageloop/protobuf";',
  stream: 'export { connectStream, eventStream, fallback } from "messageloop/stream";',
  /** The hooks alone: React and the core are there anyway. */
  react: 'export * from "messageloop/react";',
  shared: 'export { dial } from "messageloop/shared";',
  "shared worker":
    'import { serveTabs } from "messageloop/internal/client/shared/serve-tabs"; import { protobuf } from "messageloop/protobuf"; serveTabs({ encodings: [protobuf] });',
};

/** Modules that no page has a use for. */
const STRANGERS = /node_modules\/(?!messageloop\/)|protocol\/gen|\/node\.js$/;
/** A build of all, where nothing is built yet. */
const PATIENCE_MS = 120_000;

/** Where the packages are installed. */
let place: string;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "messageloop-budget-"));
  run(join(root, "node_modules/.bin/tsc"), root, "-b", "tsconfig.client.json");
  run(process.execPath, root, "scripts/packages.mjs", join(place, "node_modules"), "messageloop");
}, PATIENCE_MS);
afterAll(() => rm(place, { recursive: true, force: true }));

test.each(Object.entries(PROGRAMS))(
  "%s keeps to its budget, and to what a browser has",
  async (name, contents) => {
    const budgets = JSON.parse(
      await readFile(`${root}test/repo/sdk-budget.json`, "utf8"),
    ) as Record<string, number>;
    const { outputFiles, metafile } = await build({
      stdin: { contents, resolveDir: place },
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      external: name === "react" ? ["react", "../../index.js"] : [],
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
