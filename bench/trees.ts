/** Another commit of this repository as a tree of its own, ready to run. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

export interface Tree {
  readonly path: string;
  remove(): void;
}

/** @throws Error when there is no such commit, or its packages cannot be installed */
export function treeOf(commit: string): Tree {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-tree-"));
  const path = join(folder, "tree");
  const remove = (): void => {
    spawnSync("git", ["worktree", "remove", "--force", path], { cwd: ROOT });
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    run(ROOT, "git", "worktree", "add", "--detach", path, commit);
    if (sameLock(path)) symlinkSync(join(ROOT, "node_modules"), join(path, "node_modules"), "dir");
    else run(path, "npm", "ci", "--no-audit", "--no-fund");
    return { path, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The same packages: those that are here serve both. */
function sameLock(path: string): boolean {
  const read = (folder: string): string => readFileSync(join(folder, "package-lock.json"), "utf8");
  return read(path) === read(ROOT);
}

function run(cwd: string, program: string, ...args: string[]): void {
  const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const { status, stderr } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
}
