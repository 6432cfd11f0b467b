#!/bin/sh
# @grpc/grpc-js 1.14.7 (npm), on Node 20.20 and 24.21.
#
# Behaviour: a call that is answered by a page, status 200 and content-type text/html, ends with RESOURCE_EXHAUSTED, "Received
#   message larger than max (1748057704 vs 4194304)": the letters of "<h1>hi" are read as the length of a message.
# One would expect: UNKNOWN with a text that names the content type, as grpc-go has it and the protocol's description says. Who retries
#   on RESOURCE_EXHAUSTED after a pause, or raises the limit, looks for the fault in the wrong place.
# Seen: code 8 and that text; 1748057704 is 0x68313e68, "h1>h" behind the "<" that is taken for the flag.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @grpc/grpc-js@1.14.7
cat > run.cjs <<'JS'
const http2 = require("node:http2");
const grpc = require("@grpc/grpc-js");
const server = http2.createServer();
server.on("stream", (stream) => {
  stream.respond({ ":status": 200, "content-type": "text/html" });
  stream.end("<h1>hi</h1>");
});
server.listen(0, "127.0.0.1", () => {
  const same = (bytes) => bytes;
  const client = new grpc.Client(`127.0.0.1:${server.address().port}`, grpc.credentials.createInsecure());
  const call = client.makeServerStreamRequest("/a.B/C", same, same, Buffer.alloc(0));
  call.on("data", () => {}).on("error", () => {}).on("status", ({ code, details }) => {
    console.log(code, details);
    const ok = code === grpc.status.RESOURCE_EXHAUSTED && details === "Received message larger than max (1748057704 vs 4194304)";
    console.log(process.version, ok ? "as described" : "CHANGED");
    process.exit(ok ? 0 : 1);
  });
});
setTimeout(() => { console.log("no end in 30 s"); process.exit(1); }, 30000);
JS
node run.cjs
