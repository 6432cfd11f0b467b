#!/bin/sh
# Node 24.21.0, its global WebSocket (undici).
#
# Behaviour: the error event of a connection that was refused, of one that was answered 401 and of one that was answered 503 are the
#   same: message "" and an error, a TypeError, whose message is "" too and which has no cause and no code.
# One would expect: something to tell them apart, as fetch of the same library has it in cause, and Bun, Deno and ws in the message.
# Seen: three times {"message":"","error":"TypeError","text":""}; fetch to the same port: cause ECONNREFUSED.
# Needs: Node 24.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat > run.mjs <<'JS'
import http from "node:http";
import net from "node:net";
const closed = net.createServer().listen(0, "127.0.0.1");
await new Promise((done) => closed.once("listening", done));
const nobody = `127.0.0.1:${closed.address().port}`;
await new Promise((done) => closed.close(done));
const server = http.createServer().on("upgrade", (request, socket) => {
  const status = request.url === "/401" ? "401 Unauthorized" : "503 Service Unavailable";
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}).listen(0, "127.0.0.1");
await new Promise((done) => server.once("listening", done));
const here = `127.0.0.1:${server.address().port}`;
const seen = [];
for (const url of [`ws://${nobody}/`, `ws://${here}/401`, `ws://${here}/503`]) {
  const event = await new Promise((done) => new WebSocket(url).addEventListener("error", done));
  const { message, error } = event;
  seen.push(JSON.stringify({ message, error: error?.name, text: error?.message, cause: error?.cause, code: error?.code }));
  console.log(url, seen.at(-1));
}
const cause = await fetch(`http://${nobody}/`).catch((error) => error.cause?.code);
console.log("fetch:", cause);
const ok = new Set(seen).size === 1 && seen[0] === '{"message":"","error":"TypeError","text":""}' && cause === "ECONNREFUSED";
console.log(process.version, ok ? "as described" : "CHANGED");
process.exit(ok ? 0 : 1);
JS
node run.mjs
