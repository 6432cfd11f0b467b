#!/bin/sh
# undici 7.30.1, and the fetch of Node 20.20.2 and 24.21.0.
#
# Behaviour: a server that answers `100 Continue` before its final answer, without having been asked for it by an
#   `Expect` header, makes the request fail: UND_ERR_SOCKET "bad response" from undici, "fetch failed" from fetch. The
#   200 that follows is never read. `103 Early Hints` in the same place is skipped as it should be.
# One would expect: every 1xx that was not asked for is skipped and the final answer read, as RFC 9110 (15.2) demands
#   of clients, and as node:http, curl and Python do.
# Seen: undici.request "UND_ERR_SOCKET bad response", fetch "UND_ERR_SOCKET bad response", node:http 200, 103 before 200: 200.
# Needs: Node 20.20 or 24.21.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund undici@7.30.1 >/dev/null
cat > run.mjs <<'JS'
import { createServer, request as nodeRequest } from "node:http";
import { once } from "node:events";
import { request } from "undici";

const server = createServer((asked, answer) => {
  if (asked.url === "/100") answer.writeContinue();
  else answer.writeEarlyHints({ link: "</a.css>; rel=preload" });
  answer.end("{}");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}`;
const told = (error) => `${(error.cause ?? error).code} ${(error.cause ?? error).message}`;
const byUndici = (path) => request(url + path, { method: "POST", body: "x" }).then(async ({ statusCode, body }) => (await body.text(), `${statusCode}`), told);
const byFetch = (path) => fetch(url + path, { method: "POST", body: "x" }).then(async (got) => (await got.text(), `${got.status}`), told);
const byNode = (path) =>
  new Promise((resolve) => {
    nodeRequest(url + path, { method: "POST" }, (got) => got.resume().on("end", () => resolve(`${got.statusCode}`))).on("error", (error) => resolve(told(error))).end("x");
  });
const seen = [];
for (const path of ["/100", "/103"]) {
  for (const [name, ask] of Object.entries({ undici: byUndici, fetch: byFetch, "node:http": byNode })) seen.push(`${path} ${name} ${await ask(path)}`);
}
console.log(seen.join("\n"));
const wanted = ["/100 undici UND_ERR_SOCKET bad response", "/100 fetch UND_ERR_SOCKET bad response", "/100 node:http 200", "/103 undici 200", "/103 fetch 200", "/103 node:http 200"];
server.closeAllConnections();
server.close();
if (seen.join() !== wanted.join()) { console.log("changed"); process.exitCode = 1; }
JS
node run.mjs
