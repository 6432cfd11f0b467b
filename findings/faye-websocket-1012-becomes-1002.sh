#!/bin/sh
# faye-websocket 0.11.4 (npm), its client, with the websocket-driver it depends on (0.7.4), on Node 20.20 and 24.21.
#
# Behaviour: a server that closes with 1012 (service restart), 1013 (try again later) or 1014 (bad gateway), all registered
#   with IANA, is reported to the application as 1002 (protocol error), with the reason kept, and answered with 1002.
#   A close frame without a status is reported as 1000, not 1005. A close that was answered has no wasClean at all.
# One would expect: event.code as sent. A client that retries on 1012 or 1013 and gives up on 1002 gives up here.
# Seen: 1011 -> 1011; 1012, 1013, 1014 -> 1002, answered with 1002; 3512 -> 3512; none -> 1000, answered with 1000;
#   wasClean undefined.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts faye-websocket@0.11.4 websocket-driver@0.7.4
cat > run.cjs <<'JS'
const net = require("node:net");
const { createHash } = require("node:crypto");
const { Client } = require("faye-websocket");
const close = (code, reason) => { const b = Buffer.alloc(2); b.writeUInt16BE(code); const p = Buffer.concat([b, Buffer.from(reason)]); return Buffer.concat([Buffer.from([0x88, p.length]), p]); };
const bodies = {
  "/1011": close(1011, "why"),
  "/1012": close(1012, "why"),
  "/1013": close(1013, "why"),
  "/1014": close(1014, "why"),
  "/3512": close(3512, "why"),
  "/none": Buffer.from([0x88, 0]),
};
const answers = {};
const server = net.createServer((socket) => {
  let head = "", path, rest;
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    if (path) rest = Buffer.concat([rest, chunk]);
    else {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      path = head.split(" ")[1];
      rest = Buffer.alloc(0);
      const accept = createHash("sha1").update(`${/sec-websocket-key: *(\S+)/i.exec(head)[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      socket.write(bodies[path]);
    }
    if (rest.length < 6 || rest.length < 6 + (rest[1] & 127)) return;
    answers[path] = (rest[1] & 127) < 2 ? "no status" : ((rest[6] ^ rest[2]) << 8) | (rest[7] ^ rest[3]);
    socket.end();
  });
}).listen(0, "127.0.0.1", async () => {
  const seen = {};
  for (const path of Object.keys(bodies)) {
    const socket = new Client(`ws://127.0.0.1:${server.address().port}${path}`);
    const event = await new Promise((done) => socket.on("close", done));
    await new Promise((done) => setTimeout(done, 200));
    seen[path] = `${event.code} ${event.reason} wasClean ${event.wasClean}; answered with ${answers[path]}`;
    console.log(path, seen[path]);
  }
  const why = (code) => `${code} why wasClean undefined; answered with ${code}`;
  const ok = seen["/1011"] === why(1011) && seen["/1012"] === why(1002) && seen["/1013"] === why(1002) && seen["/1014"] === why(1002) &&
    seen["/3512"] === why(3512) && seen["/none"] === "1000  wasClean undefined; answered with 1000";
  console.log(process.version, ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
});
setTimeout(() => { console.log("no end in 30 s"); process.exit(1); }, 30000);
JS
node run.cjs
