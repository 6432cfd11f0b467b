#!/bin/sh
# @stomp/stompjs 7.5.0 (npm) over ws 8.23.0, on Node 20.20 and 24.21.
#
# Behaviour: blanks at either end of a header's name or value are cut from every frame that arrives, while the client itself sends
#   them as they are: what one client publishes another reads otherwise, and an id, a receipt or a selector value with an outer blank no
#   longer matches. A header that is undefined is sent as the text "undefined".
# One would expect: headers as they stand (STOMP 1.2, "Value Encoding", forbids clients to trim or pad them), and no header
#   for undefined.
# Seen: sent "key: a b " and "missing:undefined"; echoed by the server as it was, key is read as "a b".
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @stomp/stompjs@7.5.0 ws@8.23.0
cat > run.mjs <<'JS'
import WebSocket, { WebSocketServer } from "ws";
import { once } from "node:events";
import { Client } from "@stomp/stompjs";
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "v12.stomp" });
let wire;
server.on("connection", (socket) => socket.on("message", (bytes) => {
  const frame = bytes.toString();
  if (frame.startsWith("CONNECT") || frame.startsWith("STOMP")) socket.send("CONNECTED\nversion:1.2\n\n\0");
  if (frame.startsWith("SEND")) {
    wire = frame.split("\n").filter((line) => /^(key|missing|empty)/.test(line));
    socket.send(frame.replace("SEND\n", "MESSAGE\nsubscription:s\nmessage-id:1\n"));
  }
}));
await once(server, "listening");
const client = new Client({
  webSocketFactory: () => new WebSocket(`ws://127.0.0.1:${server.address().port}`, ["v12.stomp"]),
  reconnectDelay: 0, heartbeatIncoming: 0, heartbeatOutgoing: 0,
});
const message = await new Promise((resolve) => {
  client.onConnect = () => {
    client.subscribe("/q", resolve, { id: "s" });
    client.publish({ destination: "/q", headers: { key: " a b ", missing: undefined, empty: "" }, body: "x" });
  };
  client.activate();
});
const seen = { wire, key: message.headers.key, missing: message.headers.missing, empty: message.headers.empty };
console.log(JSON.stringify(seen));
const wanted = { wire: ["key: a b ", "missing:undefined", "empty:"], key: "a b", missing: "undefined", empty: "" };
process.exit(JSON.stringify(seen) === JSON.stringify(wanted) ? 0 : 1);
JS
node run.mjs
