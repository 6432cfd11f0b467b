#!/bin/sh
# Deno 2.9.6, its WebSocket.
#
# Behaviour: close(undefined, "why") sends a close frame whose first two bytes are those of the reason: code 30568
#   ("wh") with the reason "y". The call does not throw.
# One would expect: what Node does, 1000 with the reason; or the error that Chromium throws for a reason without a code.
# Seen: wire 30568 "y" in Deno; 1000 "why" by Node's own class.
# Needs: Node 24 for the comparison.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts deno@2.9.6
cat > client.mjs <<'JS'
const args = globalThis.Deno ? Deno.args : process.argv.slice(2);
const socket = new WebSocket(args[0]);
socket.onopen = () => socket.close(undefined, "why");
socket.onclose = () => (globalThis.Deno ? Deno.exit(0) : process.exit(0));
JS
cat > run.mjs <<'JS'
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import net from "node:net";
const seen = {};
let current;
const server = net.createServer((socket) => {
  let head = "", open = false;
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    if (!open) {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      open = true;
      const accept = createHash("sha1").update(`${/sec-websocket-key: *(\S+)/i.exec(head)[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      return;
    }
    const body = Buffer.from(chunk.subarray(6, 6 + (chunk[1] & 127)));
    for (let i = 0; i < body.length; i++) body[i] ^= chunk[2 + (i % 4)];
    seen[current] = body.length < 2 ? "no status" : `${body.readUInt16BE(0)} "${body.subarray(2)}"`;
    socket.end(Buffer.concat([Buffer.from([0x88, body.length]), body]));
  });
}).listen(0, "127.0.0.1", async () => {
  const url = `ws://127.0.0.1:${server.address().port}/`;
  const programs = { Deno: ["node_modules/.bin/deno", "run", "--quiet", "--no-config", "--allow-net", "client.mjs"], Node: ["node", "client.mjs"] };
  for (const [name, [program, ...args]] of Object.entries(programs)) {
    current = name;
    await new Promise((done) => spawn(program, [...args, url], { stdio: ["ignore", "inherit", "inherit"] }).once("exit", done));
    console.log(name, "sent", seen[name]);
  }
  const ok = seen.Deno === '30568 "y"' && seen.Node === '1000 "why"';
  console.log(ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
});
setTimeout(() => { console.log("no end in 60 s"); process.exit(1); }, 60000);
JS
node run.mjs
