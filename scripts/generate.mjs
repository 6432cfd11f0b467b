/**
 * Generates the code of our protocol and of the v0.1.1 schema that tests compare it with. With
 * --check it changes nothing and fails when what is committed is not what the generator writes.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run, script } from "./run.mjs";

/** Templates name their folder of generated code relative to `base`. */
const schemas = [
  {
    input: ".",
    base: ".",
    template: "buf.gen.yaml",
    outs: ["src/protocol/gen", "src/protocol/plain-json/gen", "src/protocol/plain-protobuf/gen"],
    // Reads what has just been generated.
    after: "plain-codecs.mjs",
  },
  {
    input: "test/fixtures/wire-v1/proto",
    base: "test/fixtures/wire-v1",
    template: "test/fixtures/wire-v1/buf.gen.yaml",
    outs: ["gen"],
  },
];

const task = process.argv.includes("--check") ? isFresh : generate;
if (!schemas.map((schema) => task(schema)).every(Boolean)) process.exit(1);

function generate({ input, template, base, after }) {
  if (!run("buf", "generate", input, "--template", template, "--output", base)) return false;
  return after === undefined || script(after, base);
}

function isFresh(schema) {
  const fresh = mkdtempSync(join(tmpdir(), "messageloop-gen-"));
  try {
    if (!generate({ ...schema, base: fresh })) return false;
    const stale = schema.outs.flatMap((out) =>
      difference(join(fresh, out), join(root, schema.base, out)),
    );
    if (stale.length === 0) return true;
    console.error(`generated code is stale, run node scripts/generate.mjs: ${stale.join(", ")}`);
    return false;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function difference(left, right) {
  const names = new Set([...files(left), ...files(right)]);
  return [...names].filter((name) => read(left, name) !== read(right, name));
}

function files(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

function read(folder, name) {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch {
    return undefined;
  }
}
