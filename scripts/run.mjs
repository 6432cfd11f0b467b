/** Runs the project's tools with the Node that runs this script. */
import { spawnSync } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a command from node_modules/.bin; returns whether it succeeded. */
export function run(name, ...args) {
  const bin = join(root, "node_modules", ".bin");
  // Tools start with `env node`: the Node of this process has to be the first on the path.
  const path = [dirname(process.execPath), bin, process.env.PATH ?? ""].join(delimiter);
  const { status, error } = spawnSync(join(bin, name), args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
  });
  if (error !== undefined) console.error(`${name}: ${error.message}`);
  return status === 0;
}

/** Runs a script of this folder; returns whether it succeeded. */
export function script(name, ...args) {
  const { status } = spawnSync(process.execPath, [join(root, "scripts", name), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  return status === 0;
}
