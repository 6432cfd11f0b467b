/**
 * Generates src/protocol/gen from proto/. With --check it changes nothing and fails when what is
 * committed is not what the generator writes.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run } from "./run.mjs";

const committed = join(root, "src/protocol/gen");

if (process.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "messageloop-gen-"));
  try {
    const template = JSON.stringify({
      version: "v2",
      plugins: [
        { local: "protoc-gen-es", out: fresh, opt: ["target=js+dts", "import_extension=js"] },
      ],
    });
    if (!run("buf", "generate", "--template", template)) process.exit(1);
    const stale = difference(fresh, committed);
    if (stale.length > 0) {
      console.error(`generated code is stale, run node scripts/generate.mjs: ${stale.join(", ")}`);
      process.exit(1);
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
} else if (!run("buf", "generate")) {
  process.exit(1);
}

function difference(left, right) {
  const names = new Set([...files(left), ...files(right)]);
  return [...names].filter((name) => read(left, name) !== read(right, name));
}

function files(folder) {
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
