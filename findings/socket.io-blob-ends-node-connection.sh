#!/bin/sh
# socket.io and socket.io-client 4.8.4 (npm), on Node 20.20 and 24.21.
#
# Behaviour: a Blob (a global of Node) as an argument of emit() in the Node client is written as the text "[object Blob]"
#   where the parser of the server awaits bytes: the server ends the connection ("forced close"), the client reads
#   "transport close"; emit() itself is silent, and the event is lost. Over WebSocket and over polling alike.
# One would expect: the Blob's bytes as a Buffer, as for every typed array, or an error from emit().
# Seen: a Uint8Array arrives as a Buffer; the Blob: nothing received, "forced close" / "transport close".
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts socket.io@4.8.4 socket.io-client@4.8.4
cat > run.mjs <<'JS'
import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
let ok = true;
for (const transport of ["websocket", "polling"]) {
  const http = createServer();
  const server = new Server(http);
  await new Promise((done) => http.listen(0, "127.0.0.1", done));
  const seen = { received: [], threw: false };
  server.on("connection", (socket) => {
    socket.on("x", (data) => seen.received.push(data.constructor.name));
    socket.on("disconnect", (reason) => (seen.server = reason));
  });
  const client = io(`http://127.0.0.1:${http.address().port}`, { transports: [transport], reconnection: false });
  await new Promise((done) => client.on("connect", done));
  client.on("disconnect", (reason) => (seen.client = reason));
  client.emit("x", new Uint8Array([1]));
  await new Promise((done) => setTimeout(done, 500));
  try { client.emit("x", new Blob(["hi"])); } catch { seen.threw = true; }
  for (let i = 0; i < 100 && !(seen.client && seen.server); i++) await new Promise((done) => setTimeout(done, 100));
  console.log(transport, JSON.stringify(seen));
  ok &&= seen.received.join() === "Buffer" && !seen.threw && seen.server === "forced close" && seen.client === "transport close";
}
console.log(process.version, ok ? "as described" : "CHANGED");
process.exit(ok ? 0 : 1);
JS
node run.mjs
