#!/bin/sh
# Node 24.21.0 (npm package node), its global WebSocket; beside it ws 8.23.0.
#
# Behaviour: close() on a WebSocket that is still connecting calls the listeners of `error` and `close` before it returns.
#   Code that closes and then tidies up runs its own handler in the middle of that, with its state half changed.
# One would expect: both events later, as tasks, as the standard says and as ws does.
# Seen: node: before, error, close 1006, after; ws: before, after, error, close 1006.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund node@24.21.0 ws@8.23.0
cat > run.mjs <<'JS'
import { createServer } from "node:net";
import { WebSocket as Ws } from "ws";
// Takes connections and answers nothing.
const server = createServer(() => {});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function look(Kind) {
  const seen = [];
  const socket = new Kind(`ws://127.0.0.1:${server.address().port}`);
  socket.addEventListener("error", () => seen.push("error"));
  socket.addEventListener("close", ({ code }) => seen.push(`close ${code}`));
  await wait(50);
  seen.push("before");
  socket.close();
  seen.push("after");
  await wait(500);
  return seen.join(", ");
}
const node = await look(globalThis.WebSocket);
const ws = await look(Ws);
console.log(`node ${process.version}: ${node}\nws: ${ws}`);
const asSeen =
  node === "before, error, close 1006, after" &&
  ws === "before, after, error, close 1006";
process.exit(asSeen ? 0 : 1);
JS
node_modules/.bin/node run.mjs
