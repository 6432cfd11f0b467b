#!/bin/sh
# graphql-ws 6.4.2 (npm), its client, with the global WebSocket of Node 24.21.0 and with ws 8.23.0.
#
# Behaviour: the client's retries (retryAttempts, 5) start from close events alone; an error event ends the subscription
#   by sink.error at once. Node's own WebSocket announces a connection that was lost by an error event first, ws and
#   Chromium by a close event only. So the same subscription outlives the loss of its connection with ws, and is over
#   at the first one with Node's WebSocket: no second connection, sink.error gets an event without a message. A server
#   that is not there yet is never retried in either.
# One would expect: the loss of a connection to be what retries are for, whichever WebSocket stands below.
# Seen: ws: 2 connections, both messages; Node: 1 connection, the first message, an error of type "error".
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts graphql-ws@6.4.2 graphql@17.0.1 ws@8.23.0
(mkdir node && cd node && echo '{"private":true}' > package.json && npm install --silent --no-audit --no-fund node@24.21.0)
cat > run.mjs <<'JS'
import { createServer } from "node:net";
import { createClient } from "graphql-ws";
import { WebSocket as Ws, WebSocketServer } from "ws";
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const subscribed = async (webSocketImpl) => {
  let connections = 0;
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "graphql-transport-ws" });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (peer) => {
    const number = ++connections;
    peer.on("message", (data) => {
      const { type, id } = JSON.parse(String(data));
      if (type === "connection_init") peer.send('{"type":"connection_ack"}');
      if (type !== "subscribe") return;
      peer.send(JSON.stringify({ id, type: "next", payload: { data: { number } } }));
      if (number === 1) setTimeout(() => peer._socket.end(), 100); // the connection is lost: FIN, no close frame
    });
  });
  const seen = { messages: [], error: null };
  const client = createClient({ url: `ws://127.0.0.1:${server.address().port}`, webSocketImpl, retryWait: () => wait(100) });
  client.subscribe({ query: "subscription { number }" }, {
    next: ({ data }) => seen.messages.push(data.number),
    error: (error) => { seen.error = error.type ?? error.code ?? error.name; },
    complete: () => {},
  });
  await wait(2000);
  client.dispose();
  for (const peer of server.clients) peer.terminate();
  server.close();
  return { connections, ...seen };
};
const refused = async (webSocketImpl) => {
  const holder = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const { port } = holder.address();
  await new Promise((resolve) => holder.close(resolve));
  let connecting = 0; let error = null;
  const client = createClient({ url: `ws://127.0.0.1:${port}`, webSocketImpl, retryWait: () => wait(100), on: { connecting: () => { connecting++; } } });
  client.subscribe({ query: "subscription { number }" }, { next: () => {}, error: (event) => { error = event.type; }, complete: () => {} });
  await wait(1500);
  return { connecting, error };
};
const results = { ws: await subscribed(Ws), node: await subscribed(WebSocket), refusedWs: await refused(Ws), refusedNode: await refused(WebSocket) };
console.log(results);
const described = JSON.stringify(results) === JSON.stringify({
  ws: { connections: 2, messages: [1, 2], error: null },
  node: { connections: 1, messages: [1], error: "error" },
  refusedWs: { connecting: 1, error: "error" },
  refusedNode: { connecting: 1, error: "error" },
});
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node/node_modules/node/bin/node run.mjs
