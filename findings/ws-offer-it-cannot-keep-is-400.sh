#!/bin/sh
# ws 8.23.0 (npm), its server, on Node 20.20 and 24.21.
#
# Behaviour: a handshake whose first offer of permessage-deflate has a parameter that the server does not know is refused
#   with 400, although the second offer is one that it takes. So is a handshake whose only offer does not fit the server's own
#   options, such as a smaller server_max_window_bits than serverMaxWindowBits. An extension of another name is passed over.
# One would expect: the offer is declined, and the connection opens with the second one, or uncompressed. RFC 7692, 5.1 and
#   7.1: a server declines such an offer, the client lists its offers for that.
# Seen: 400, 400; 101 for the other name.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts ws@8.23.0
cat > run.cjs <<'JS'
const http = require("node:http");
const { once } = require("node:events");
const { WebSocketServer } = require("ws");
async function answer(options, offer) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: options });
  await once(server, "listening");
  const request = http.get({ host: "127.0.0.1", port: server.address().port, headers: {
    connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-extensions": offer,
  } });
  const [response] = await Promise.race([once(request, "response"), once(request, "upgrade")]);
  const { statusCode, headers } = response;
  response.destroy();
  for (const client of server.clients) client.terminate();
  server.close();
  const seen = `${statusCode} ${headers["sec-websocket-extensions"] ?? "-"}`;
  console.log(`${JSON.stringify(options)}  ${offer}  ->  ${seen}`);
  return seen;
}
(async () => {
  const seen = [
    await answer(true, "permessage-deflate; later_parameter, permessage-deflate"),
    await answer({ serverMaxWindowBits: 12 }, "permessage-deflate; server_max_window_bits=9"),
    await answer(true, "later-extension; later_parameter, permessage-deflate"),
  ];
  const ok = seen.join("|") === "400 -|400 -|101 permessage-deflate";
  console.log(process.version, ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
})();
setTimeout(() => { console.log("no end in 30 s"); process.exit(1); }, 30000);
JS
node run.cjs
