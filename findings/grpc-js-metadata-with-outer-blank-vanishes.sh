#!/bin/sh
# @grpc/grpc-js 1.14.7 (npm), on Node 20.20 and 24.21.
#
# Behaviour: metadata whose value begins or ends with a blank is accepted by Metadata.add() and then lost as a whole:
#   the other side does not get the key at all, in requests and in trailers alike, and no error is told. An empty value arrives.
# One would expect: the value trimmed (gRPC allows that; @connectrpc/connect-node 2.2.0 does it as a client), or an error.
# Seen: server receives x-plain "v", x-empty "", no x-blank; client's trailers hold t-plain, no t-blank.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @grpc/grpc-js@1.14.7
cat > run.cjs <<'JS'
const grpc = require("@grpc/grpc-js");
const bytes = (b) => b;
const method = { path: "/t.S/U", requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes };
const metadata = (prefix) => {
  const m = new grpc.Metadata();
  m.add(`${prefix}-plain`, "v");
  m.add(`${prefix}-empty`, "");
  m.add(`${prefix}-blank`, " v");
  m.add(`${prefix}-behind`, "v ");
  return m;
};
let received;
const server = new grpc.Server();
server.addService({ U: method }, { U(call, answer) { received = call.metadata; answer(null, Buffer.alloc(0), metadata("t")); } });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  const Client = grpc.makeGenericClientConstructor({ U: method }, "S");
  const call = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure()).U(Buffer.alloc(0), metadata("x"), () => {});
  call.on("status", (status) => {
    const own = (m, prefix) => Object.keys(m.getMap()).filter((k) => k.startsWith(prefix)).sort().join();
    const seen = { kept: own(metadata("x"), "x-"), request: own(received, "x-"), trailers: own(status.metadata, "t-"), code: status.code };
    console.log(JSON.stringify(seen));
    const ok = seen.kept === "x-behind,x-blank,x-empty,x-plain" && seen.request === "x-empty,x-plain" && seen.trailers === "t-empty,t-plain" && seen.code === 0;
    console.log(process.version, ok ? "as described" : "CHANGED");
    process.exit(ok ? 0 : 1);
  });
});
JS
node run.cjs
