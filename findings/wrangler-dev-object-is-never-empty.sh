#!/bin/sh
# wrangler 4.155.0 (miniflare), with the workerd that comes with it.
#
# Behaviour: under `wrangler dev` a Durable Object with SQLite that has stored nothing has a table, __miniflare_do_name,
#   before its class has run a statement. Under bare `workerd serve` it has none. `deleteAll()` takes it away for the rest
#   of that life.
# One would expect: an object that has just been made has an empty database wherever it runs, so that a look into
#   sqlite_master tells whether it is new.
# Seen: wrangler dev {"fresh":["__miniflare_do_name"],"emptied":[]}, workerd serve {"fresh":[],"emptied":[]}.
# Needs: Node 20 or newer to install; it runs on the Node 24.21.0 of npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > package.json <<'JSON'
{ "private": true, "type": "module", "dependencies": { "node": "24.21.0", "wrangler": "4.155.0" }, "allowScripts": { "node": true, "workerd": true, "esbuild": true } }
JSON
npm install --silent --no-audit --no-fund
cat > worker.js <<'JS'
import { DurableObject } from "cloudflare:workers";

export class Thing extends DurableObject {
  tables() {
    return this.ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray().map(({ name }) => name);
  }
  async emptied() {
    await this.ctx.storage.deleteAll();
    return this.tables();
  }
}

export default {
  async fetch(request, env) {
    const thing = env.THING.getByName("new");
    return Response.json({ fresh: await thing.tables(), emptied: await thing.emptied() });
  },
};
JS
cat > wrangler.json <<'JSON'
{
  "name": "thing", "main": "worker.js", "compatibility_date": "2026-10-20",
  "durable_objects": { "bindings": [{ "name": "THING", "class_name": "Thing" }] },
  "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Thing"] }]
}
JSON
cat > workerd.capnp <<'CAPNP'
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-10-20",
      durableObjectNamespaces = [(className = "Thing", uniqueKey = "thing", enableSql = true)],
      durableObjectStorage = (localDisk = "disk"),
      bindings = [(name = "THING", durableObjectNamespace = "Thing")],
    )),
    (name = "disk", disk = (path = "storage", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
CAPNP
mkdir storage
cat > run.mjs <<'JS'
import { spawn } from "node:child_process";
import { createServer } from "node:net";

const probe = createServer().listen(0, "127.0.0.1");
await new Promise((resolve) => probe.on("listening", resolve));
const { port } = probe.address();
await new Promise((resolve) => probe.close(resolve));

/** With all that it has started. */
function ended({ pid, exitCode }) {
  if (exitCode === null) process.kill(-pid, "SIGKILL");
}

async function asked(at) {
  for (let i = 0; i < 120; i++) {
    try {
      const response = await fetch(`http://127.0.0.1:${at}/`);
      if (response.ok) return await response.json();
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error("nothing answers");
}

const dev = spawn(process.execPath, ["node_modules/wrangler/bin/wrangler.js", "dev", "--ip", "127.0.0.1", "--port", String(port)], {
  stdio: "ignore", detached: true, env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1" },
});
const underWrangler = await asked(port).finally(() => ended(dev));

const bare = spawn("node_modules/.bin/workerd", ["serve", "--control-fd", "3", "workerd.capnp"], {
  stdio: ["ignore", "inherit", "inherit", "pipe"], detached: true,
});
const line = await new Promise((resolve) => bare.stdio[3].once("data", (data) => resolve(String(data).split("\n")[0])));
const underWorkerd = await asked(JSON.parse(line).port).finally(() => ended(bare));

console.log("wrangler dev  ", JSON.stringify(underWrangler));
console.log("workerd serve ", JSON.stringify(underWorkerd));
const table = "__miniflare_do_name";
const same =
  underWrangler.fresh.join() === table &&
  underWrangler.emptied.length === 0 &&
  underWorkerd.fresh.length === 0 &&
  underWorkerd.emptied.length === 0;
if (!same) console.log("changed");
process.exit(same ? 0 : 1);
JS
node_modules/.bin/node run.mjs
