#!/bin/sh
# @rails/actioncable 8.1.400 (npm), with ws 8.23.0 as its WebSocket, on Node 24.21 and 20.20.
#
# Behaviour: consumer.disconnect() while the connection is still being made does nothing to it. The connection opens, the
#   subscriptions are sent, `connected` is called and messages are received as if nobody had said disconnect; only the
#   watch over it has stopped, so its loss is not noticed. Once open, disconnect() works. A component that mounts and
#   unmounts at once (React in strict mode does) leaves a live connection each time.
#   Beside it: after a reconnect `connected({ reconnected })` says true to the first subscription that is confirmed, and
#   false to all others.
# One would expect: disconnect() to end it, at the latest when it opens; reconnected true for each subscription.
# Seen: received "hello" after disconnect(), readyState 1; after a reconnect: a true, b false.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @rails/actioncable@8.1.400 ws@8.23.0
cat > run.mjs <<'JS'
import { WebSocket, WebSocketServer } from "ws";
const page = new EventTarget(); // what the package asks of a browser's window
globalThis.addEventListener ??= page.addEventListener.bind(page);
globalThis.removeEventListener ??= page.removeEventListener.bind(page);
globalThis.document ??= { visibilityState: "visible" };
const { createConsumer, adapters, ConnectionMonitor } = await import("@rails/actioncable");
adapters.WebSocket = WebSocket;
ConnectionMonitor.staleThreshold = 0.5; // seconds, so that a reconnect does not take six
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const peers = new Set();
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "actioncable-v1-json" });
await new Promise((resolve) => server.once("listening", resolve));
server.on("connection", (peer) => {
  peers.add(peer);
  const say = (message) => peer.readyState === 1 && peer.send(JSON.stringify(message));
  const beat = setInterval(() => say({ type: "ping", message: 1 }), 100);
  peer.on("close", () => { peers.delete(peer); clearInterval(beat); });
  say({ type: "welcome" });
  peer.on("message", (data) => {
    const { command, identifier } = JSON.parse(String(data));
    if (command === "subscribe") { say({ type: "confirm_subscription", identifier }); say({ identifier, message: "hello" }); }
  });
});
const url = `ws://127.0.0.1:${server.address().port}/cable`;
const opened = (consumer, log) => (channel) => consumer.subscriptions.create(channel, {
  connected: ({ reconnected }) => log.push(`${channel} ${reconnected}`),
  received: (message) => log.push(`${channel} ${message}`),
});

const early = []; const first = createConsumer(url);
opened(first, early)("a");
first.disconnect(); // the socket is CONNECTING
await wait(1000);
const stillOpen = [peers.size, first.connection.isOpen()];
first.disconnect();
await wait(300);
const afterOpen = peers.size;
console.log(`disconnect() while connecting: ${early.join(", ")}; connections ${stillOpen[0]}, open ${stillOpen[1]}; disconnect() once open: connections ${afterOpen}`);

const again = []; const second = createConsumer(url);
const open = opened(second, again);
open("a"); open("b");
await wait(700);
const before = again.filter((line) => !line.endsWith("hello"));
again.length = 0;
for (const peer of peers) peer.terminate();
for (let i = 0; i < 100 && again.length < 4; i++) await wait(100);
const after = again.filter((line) => !line.endsWith("hello"));
console.log(`connected: at first ${before.join(", ")}; after a reconnect ${after.join(", ")}`);
const described = early.join() === "a false,a hello" && stillOpen.join() === "1,true" && afterOpen === 0
  && before.join() === "a false,b false" && after.join() === "a true,b false";
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node run.mjs
