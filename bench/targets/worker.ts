/** The Worker of a tree, as a deploy would upload it, under `workerd serve`. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { messageLoop } from "../dialects/messageloop.ts";
import { serveWorker, type WorkerProgram, type WorkerTarget } from "./workerd.ts";
import { wranglerOf } from "./wrangler.ts";

const programs = new Map<string, WorkerProgram>();

/** The tree's Worker, built at the first call. */
export function messageLoopWorker(tree: string): WorkerTarget {
  const program = programs.get(tree) ?? build(tree);
  programs.set(tree, program);
  return {
    name: "messageloop",
    dialect: messageLoop(),
    program: () => program,
    start: () => serveWorker(program),
  };
}

function build(tree: string): WorkerProgram {
  const { objects, terms } = wranglerOf(tree);
  return { modules: { "main.js": bundleOf(tree) }, objects, ...terms };
}

function bundleOf(tree: string): string {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-bundle-"));
  try {
    const wrangler = join(tree, "node_modules/wrangler/bin/wrangler.js");
    const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
    // Every setting has its default, whatever config.yaml lies in the tree.
    const env = { ...process.env, PATH: path, MESSAGELOOP_CONFIG: "/dev/null" };
    const { status, stderr } = spawnSync(
      process.execPath,
      [wrangler, "deploy", "--dry-run", "--outdir", folder],
      { cwd: tree, env, encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`the Worker of ${tree} does not build:\n${stderr}`);
    return readFileSync(join(folder, "index.js"), "utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
