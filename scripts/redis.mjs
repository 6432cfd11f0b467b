/** Finds a Redis server for the tests of many nodes; as root on Debian it installs one. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["redis-server", "valkey-server"];

/**
 * Runs before the tests that start Redis, which read the path from the environment. Ends the process
 * with one sentence when there is no server and none can be had.
 */
export function setup() {
  const found = process.env.MESSAGELOOP_REDIS_SERVER || search() || (install() && search());
  if (found) {
    process.env.MESSAGELOOP_REDIS_SERVER = found;
    return;
  }
  console.error("The tests of many nodes need Redis 7: install Debian's package redis-server.");
  process.exit(1);
}

function search() {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of NAMES) {
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

function install() {
  if (process.getuid?.() !== 0) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) => spawnSync("apt-get", args, { stdio: "inherit", env }).status === 0;
  return apt("update") && apt("install", "-y", "--no-install-recommends", "redis-server");
}
