/**
 * Writes, for `wrangler dev --env-file`, what a Worker on this machine takes: a key of the server API for this folder,
 * which is made where there is none and told on standard error, and what tickets are signed with. A command line would show
 * it to whoever lists the processes.
 */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { devKey } from "../src/server/api/dev-key.ts";
import { root } from "./run.mjs";

const OWNER_ONLY = 0o600;

try {
  // For secrets of the developer's own. Node ends where a file that `--env-file` names is not there.
  writeFileSync(join(root, ".dev.vars"), "", { mode: OWNER_ONLY, flag: "wx" });
} catch (error) {
  if (error.code !== "EEXIST") throw error;
}

const { key, entry } = await devKey(root);
const file = join(root, ".messageloop-dev-vars");
const variables = {
  MESSAGELOOP_API_KEYS: [entry],
  MESSAGELOOP_API_TICKET_KEYS: [{ id: entry.id, secret: key }],
};
// What is in quotes of this kind is taken as it is.
const lines = Object.entries(variables).map(
  ([name, list]) => `${name}='${JSON.stringify(list)}'\n`,
);
writeFileSync(file, lines.join(""), { mode: OWNER_ONLY });
chmodSync(file, OWNER_ONLY);
console.error(`api key: ${key}`);
