#!/bin/sh
# phoenix 1.8.16 (npm, the client of Phoenix channels), with ws 8.23.0 as its transport, on Node 24.21 and 20.20.
#
# Behaviour: leave() of a joined channel over an open connection answers "ok" to itself, within the call, before a byte of
#   phx_leave has been written. The server's own answer, an error too, is dropped. The callback of receive("ok"), which the
#   docs give for the server's acknowledgement, so tells nothing about the server, and "error" and "timeout" are never told.
# One would expect: as with join() and push(), the server's answer.
# Seen: "ok" {} before leave() has returned; the server gets phx_leave, answers "error", and nothing more comes; push()
#   answered with the same "error" says error.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts phoenix@1.8.16 ws@8.23.0
cat > run.cjs <<'JS'
const { WebSocket, WebSocketServer } = require("ws");
const { Socket } = require("phoenix");
const log = [];
const note = (text) => { log.push(text); console.log(text); };
const settled = (push) => new Promise((resolve) => {
  for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve(`${status} ${JSON.stringify(response)}`));
});
const server = new WebSocketServer({ port: 0, host: "127.0.0.1" }, async () => {
  const socket = new Socket(`ws://127.0.0.1:${server.address().port}/socket`, { transport: WebSocket });
  socket.connect();
  const channel = socket.channel("room:1");
  note(`join: ${await settled(channel.join())}`);
  note(`push: ${await settled(channel.push("news", {}))}`);
  let within = true;
  const push = channel.leave();
  for (const status of ["ok", "error", "timeout"]) {
    push.receive(status, (response) => note(`leave: ${status} ${JSON.stringify(response)}, ${within ? "within the call" : "later"}`));
  }
  within = false;
  setTimeout(() => {
    const wanted = ["join: ok {}", 'push: error {"reason":"no"}', "leave: ok {}, within the call", "the server got phx_leave and refuses"];
    const described = JSON.stringify(log) === JSON.stringify(wanted);
    console.log(described ? "as described" : "CHANGED");
    process.exit(described ? 0 : 1);
  }, 1500);
});
server.on("connection", (peer) => peer.on("message", (data) => {
  const [joinRef, ref, topic, event] = JSON.parse(String(data));
  if (event === "phx_leave") note("the server got phx_leave and refuses");
  const good = event === "phx_join";
  peer.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status: good ? "ok" : "error", response: good ? {} : { reason: "no" } }]));
}));
JS
node run.cjs
