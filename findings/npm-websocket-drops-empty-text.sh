#!/bin/sh
# websocket 1.0.35 (npm), its W3C client class w3cwebsocket, on Node 20.20 and 24.21.
#
# Behaviour: an empty text message never reaches onmessage (an empty binary one does). A close frame without a status
#   (valid) is reported as 1006 "Connection dropped by remote peer.", wasClean false. wasClean is true for status 1000
#   alone: any other close that both sides completed is "unclean". Its answer to every close is 1000, not the status received.
# One would expect: onmessage with data "", code 1005 and wasClean true for any completed close, the status echoed, as in
#   other classes of this interface.
# Seen: messages "x" and an empty ArrayBuffer of "", "x", empty binary; 3512 "drain" wasClean false, answered with
#   1000; no status: 1006, false, answered with 1000.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts websocket@1.0.35
cat > run.cjs <<'JS'
const net = require("node:net");
const { createHash } = require("node:crypto");
const { w3cwebsocket } = require("websocket");
const close = (code, reason) => { const b = Buffer.alloc(2); b.writeUInt16BE(code); const p = Buffer.concat([b, Buffer.from(reason)]); return Buffer.concat([Buffer.from([0x88, p.length]), p]); };
const bodies = {
  "/messages": Buffer.concat([Buffer.from([0x81, 0, 0x81, 1, 0x78, 0x82, 0]), close(1000, "")]),
  "/3512": close(3512, "drain"),
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
    const events = [];
    const socket = new w3cwebsocket(`ws://127.0.0.1:${server.address().port}${path}`);
    socket.onmessage = (e) => events.push(typeof e.data === "string" ? `text ${JSON.stringify(e.data)}` : `binary ${e.data.byteLength ?? e.data.length}`);
    await new Promise((done) => { socket.onclose = (e) => { events.push(`close ${e.code} ${e.wasClean}`); done(); }; });
    await new Promise((done) => setTimeout(done, 200));
    seen[path] = `${events.join(", ")}; answered with ${answers[path]}`;
    console.log(path, seen[path]);
  }
  const ok = seen["/messages"] === 'text "x", binary 0, close 1000 true; answered with 1000' &&
    seen["/3512"] === "close 3512 false; answered with 1000" && seen["/none"] === "close 1006 false; answered with 1000";
  console.log(process.version, ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
});
setTimeout(() => { console.log("no end in 30 s"); process.exit(1); }, 30000);
JS
node run.cjs
