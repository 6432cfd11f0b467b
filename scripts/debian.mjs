/** Finds a program that tests need; as root on Debian it installs the package. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Leaves the path of the program in a variable of the environment, where tests read it. Ends the process
 * with one sentence when there is no such program and none can be had.
 */
export function provide(variable, { names, packageName, otherwise }) {
  const found = process.env[variable] || search(names) || (install(packageName) && search(names));
  if (found) {
    process.env[variable] = found;
    return;
  }
  console.error(otherwise);
  process.exit(1);
}

function search(names) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of names) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here: look on.
      }
    }
  }
  return undefined;
}

function install(packageName) {
  if (process.getuid?.() !== 0) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) => spawnSync("apt-get", args, { stdio: "inherit", env }).status === 0;
  return apt("update") && apt("install", "-y", "--no-install-recommends", packageName);
}
