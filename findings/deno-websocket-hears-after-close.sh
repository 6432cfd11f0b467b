#!/bin/sh
# Deno 2.9.6, its WebSocket; ws 8.23.0 (npm).
#
# Behaviour: messages that arrive between the program's own close() and the server's answer still reach the listeners. And Deno
#   opens a connection whose server has picked a subprotocol that nobody offered.
# One would expect: nothing after close(), as in browsers, Node and Bun: the standard delivers messages in the state OPEN only. And a
#   failed connection, as in all of them and in ws.
# Seen: of 20 messages after close() 20 in Deno and 20 in ws, 0 in Node; protocol "foreign" in Deno, a failure in Node and ws.
# Needs: Node 24 for the comparison.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts deno@2.9.6 ws@8.23.0
cat > client.mjs <<'JS'
const args = globalThis.Deno ? Deno.args : process.argv.slice(2);
const WebSocket = args[1] === "ws" ? (await import("ws")).WebSocket : globalThis.WebSocket;
const end = (seen) => { console.log(JSON.stringify(seen)); globalThis.Deno ? Deno.exit(0) : process.exit(0); };
const socket = new WebSocket(`${args[0]}late`);
let heard = 0;
socket.onopen = () => { socket.onmessage = () => { heard += 1; }; socket.close(3000); };
socket.onclose = () => {
  const other = new WebSocket(`${args[0]}foreign`, ["asked"]);
  other.onopen = () => end({ heard, protocol: other.protocol });
  other.onerror = () => end({ heard, protocol: null });
};
JS
cat > run.mjs <<'JS'
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import net from "node:net";
const text = Buffer.from([0x81, 1, 0x78]);
const server = net.createServer((socket) => {
  let head = "", open = false;
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    if (!open) {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      open = true;
      const accept = createHash("sha1").update(`${/sec-websocket-key: *(\S+)/i.exec(head)[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const protocol = head.startsWith("GET /foreign") ? "Sec-WebSocket-Protocol: foreign\r\n" : "";
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${protocol}Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
      return;
    }
    if ((chunk[0] & 15) === 8) socket.end(Buffer.concat([...Array(20).fill(text), Buffer.from([0x88, 2, 0x0b, 0xb8])]));
  });
}).listen(0, "127.0.0.1", async () => {
  const url = `ws://127.0.0.1:${server.address().port}/`;
  const programs = {
    Deno: ["node_modules/.bin/deno", "run", "--quiet", "--no-config", "--allow-net", "client.mjs", url],
    ws: ["node", "client.mjs", url, "ws"],
    Node: ["node", "client.mjs", url],
  };
  const seen = {};
  for (const [name, [program, ...args]] of Object.entries(programs)) {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.on("data", (chunk) => { printed += chunk; });
    await new Promise((done) => child.once("close", done));
    seen[name] = printed.trim();
    console.log(name, seen[name]);
  }
  const ok = seen.Deno === '{"heard":20,"protocol":"foreign"}' && seen.ws === '{"heard":20,"protocol":null}' && seen.Node === '{"heard":0,"protocol":null}';
  console.log(ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
});
setTimeout(() => { console.log("no end in 60 s"); process.exit(1); }, 60000);
JS
node run.mjs
