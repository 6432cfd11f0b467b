#!/bin/sh
# partysocket 1.3.0 and reconnecting-websocket 4.4.0 (npm), with ws 8.23.0, on Node 20.20 and 24.21.
#
# Behaviour of partysocket: the close event of a server's close without a reason says "unknown reason"; the empty string
#   never comes. Of reconnecting-websocket, its ancestor: the reason stays "", but addEventListener ignores
#   { once: true }: the listener runs at each reconnect. Of both: send() after close() does not throw (partysocket warns on
#   the console); the message is kept, and delivered if reconnect() is called later. close() in the turn of the constructor makes no close event, and
#   reconnecting-websocket's readyState then stays 0 (CONNECTING).
# One would expect: reason "" as it came; `once` honoured; what is sent after close() dropped, as WebSocket does; a close
#   event, and readyState 3.
# Seen: partysocket 1012 "unknown reason", once 1, state 3; reconnecting-websocket 1012 "", once 2 or more, state 0;
#   "late" received on the next connection by both.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts partysocket@1.3.0 reconnecting-websocket@4.4.0 ws@8.23.0
cat > run.mjs <<'JS'
import { once } from "node:events";
import { WebSocket as PartySocket } from "partysocket";
import ReconnectingWebSocket from "reconnecting-websocket";
import { WebSocket, WebSocketServer } from "ws";
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (condition) => { for (let i = 0; i < 100 && !condition(); i++) await wait(100); };
const classes = { partysocket: PartySocket, "reconnecting-websocket": ReconnectingWebSocket.default ?? ReconnectingWebSocket };
const seen = {};
for (const [name, Class] of Object.entries(classes)) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const received = [];
  let connections = 0;
  server.on("connection", (socket) => {
    socket.on("message", (m) => received.push(String(m)));
    if (++connections < 3) setTimeout(() => socket.close(1012), 50);
  });
  const options = { WebSocket, minReconnectionDelay: 50, maxReconnectionDelay: 100 };
  const url = `ws://127.0.0.1:${server.address().port}`;
  const socket = new Class(url, [], options);
  const reasons = [];
  let opens = 0;
  socket.addEventListener("close", (e) => reasons.push(`${e.code} ${JSON.stringify(e.reason)}`));
  socket.addEventListener("open", () => opens++, { once: true });
  await until(() => connections === 3 && socket.readyState === 1);
  socket.close();
  socket.send("late");
  await wait(300);
  socket.reconnect();
  await until(() => received.length > 0);
  socket.close();
  const early = new Class(url, [], options);
  let closes = 0;
  early.addEventListener("close", () => closes++);
  early.close();
  await wait(1500);
  seen[name] = { reason: reasons[0], once: opens > 1 ? "again" : "once", received, early: { closes, readyState: early.readyState } };
  console.log(name, JSON.stringify(seen[name]));
  for (const client of server.clients) client.terminate();
  server.close();
}
const ok = JSON.stringify(seen) === JSON.stringify({
  partysocket: { reason: '1012 "unknown reason"', once: "once", received: ["late"], early: { closes: 0, readyState: 3 } },
  "reconnecting-websocket": { reason: '1012 ""', once: "again", received: ["late"], early: { closes: 0, readyState: 0 } },
});
console.log(process.version, ok ? "as described" : "CHANGED");
process.exit(ok ? 0 : 1);
JS
node run.mjs
