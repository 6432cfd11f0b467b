#!/bin/sh
# @connectrpc/connect and @connectrpc/connect-node 2.2.0 (npm), on Node 20.20 and 24.21.
#
# Behaviour: over HTTP/1.1, where a handler answers before it has read the whole stream of its client (or the library refuses a
#   message for its size), the answer is right, but nobody reads the connection from then on, and nobody closes it: it says
#   keep-alive. The next call on it hangs until the server's idle timeout, here 6 s, and fails with ECONNRESET.
# One would expect: the rest of the request discarded, as Node does with a body that nobody has touched, or "connection: close".
# Seen: the client-streaming call answers at once; the unary call behind it, on the same connection, fails after some 6 s.
#   Over HTTP/2 it answers at once.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0 @bufbuild/protobuf@2.17.0
cat > run.mjs <<'JS'
import http from "node:http";
import http2 from "node:http2";
import { createFileRegistry, create } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";

const [inputType, outputType] = [".google.protobuf.BytesValue", ".google.protobuf.StringValue"];
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file_google_protobuf_wrappers.proto, {
  name: "s.proto", package: "s", syntax: "proto3", dependency: ["google/protobuf/wrappers.proto"],
  service: [{ name: "S", method: [
    { name: "FirstOf", inputType, outputType, clientStreaming: true },
    { name: "Length", inputType, outputType },
  ] }],
}] }));
const S = registry.getService("s.S");
const adapter = connectNodeAdapter({ routes: (router) => router.service(S, {
  async firstOf(requests) { for await (const { value } of requests) return { value: `${value.length}` }; },
  length: ({ value }) => ({ value: `${value.length}` }),
}) });

async function run(httpVersion, server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const nodeOptions = httpVersion === "2" ? {} : { agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) };
  const client = createClient(S, createConnectTransport({ baseUrl: `http://127.0.0.1:${server.address().port}`, httpVersion, nodeOptions }));
  async function* messages() { for (let i = 0; i < 3; i++) yield { value: new Uint8Array(200_000) }; }
  const first = (await client.firstOf(messages())).value;
  // Behind it, when all that the client wrote has left it.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const began = performance.now();
  const second = await client.length({ value: new Uint8Array(7) }).then(({ value }) => value, ({ message }) => message);
  const seconds = (performance.now() - began) / 1000;
  console.log(`HTTP/${httpVersion}: ${first}; ${second} after ${seconds.toFixed(1)} s`);
  return { first, second, seconds };
}
const one = await run("1.1", http.createServer(adapter));
const two = await run("2", http2.createServer(adapter));
const ok = one.first === "200000" && /ECONNRESET|aborted|socket hang up|canceled/i.test(one.second) && one.seconds > 4 && two.first === "200000" && two.second === "7" && two.seconds < 1;
console.log(process.version, ok ? "as described" : "CHANGED");
process.exit(ok ? 0 : 1);
JS
node run.mjs
