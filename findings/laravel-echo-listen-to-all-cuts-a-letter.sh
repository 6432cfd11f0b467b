#!/bin/sh
# laravel-echo 2.5.0 with pusher-js 8.6.0 (npm), on Node 24.21 and 20.20.
#
# Behaviour: listenToAll() takes the namespace and one character off the name of each event that begins with it. With
#   namespace "" (for servers that are not Laravel) every name begins with it: "news" is told as "ews". With the default
#   App.Events a name that only begins alike, App\EventsArchive\Kept, is told as "rchive\Kept". And a pusher-js beneath
#   reads the text of an event as JSON where it can: "123" is the number 123, "1e3" is 1000, "null" is null, and
#   "12345678901234567890" 12345678901234567000, while "0123" and "n/a" stay texts.
# One would expect: the names as they were sent, and a text to be a text whatever stands in it.
# Seen: as above; listen("news") with namespace "" hears the same event by its whole name.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts laravel-echo@2.5.0 pusher-js@8.6.0 ws@8.23.0
cat > run.mjs <<'JS'
import { WebSocketServer } from "ws";
import Pusher from "pusher-js";
import Echo from "laravel-echo";
const events = [["news", '"x"'], ["App\\Events\\Shipped", '"x"'], ["App\\EventsArchive\\Kept", '"x"'], ["news", "123"], ["news", "1e3"], ["news", "null"], ["news", "12345678901234567890"], ["news", "0123"], ["news", "n/a"]];
const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
server.on("connection", (peer) => {
  const say = (message) => peer.send(JSON.stringify(message));
  say({ event: "pusher:connection_established", data: JSON.stringify({ socket_id: "1.1", activity_timeout: 120 }) });
  peer.on("message", (data) => {
    const { event, data: { channel } = {} } = JSON.parse(String(data));
    if (event !== "pusher:subscribe") return;
    say({ event: "pusher_internal:subscription_succeeded", channel, data: "{}" });
    for (const [name, text] of events) say({ event: name, channel, data: text });
  });
});
const told = (options) => new Promise((resolve) => {
  const echo = new Echo({ broadcaster: "reverb", Pusher, key: "k", wsHost: "127.0.0.1", wsPort: server.address().port, forceTLS: false, enabledTransports: ["ws"], disableStats: true, ...options });
  const names = []; const values = [];
  echo.channel("c").listen("news", (value) => values.push(value)).listenToAll((name, value) => {
    names.push(name);
    if (names.length === events.length) { echo.disconnect(); resolve({ names, values }); }
  });
});
server.on("listening", async () => {
  const without = await told({ namespace: "" });
  const usual = await told({});
  console.log('namespace "":', without.names.slice(0, 3), "default:", usual.names.slice(0, 3));
  console.log("values of news:", without.values);
  const described = JSON.stringify(without.names.slice(0, 3)) === JSON.stringify(["ews", "pp\\Events\\Shipped", "pp\\EventsArchive\\Kept"])
    && JSON.stringify(usual.names.slice(0, 3)) === JSON.stringify([".news", "Shipped", "rchive\\Kept"])
    && JSON.stringify(without.values) === JSON.stringify(["x", 123, 1000, null, 12345678901234567000, "0123", "n/a"]);
  console.log(described ? "as described" : "CHANGED");
  process.exit(described ? 0 : 1);
});
setTimeout(() => { console.log("CHANGED: no answer"); process.exit(1); }, 20000).unref();
JS
node run.mjs
