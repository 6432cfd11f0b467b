#!/bin/sh
# Node.js 20.20.2 and 24.21.0, node:net.
#
# Behaviour: resetAndDestroy() of a socket whose end() has not been carried out yet emits the error EINVAL and never `close`,
#   although `destroyed` is true. The descriptor stays open, so the peer is told of neither a reset nor an end of the
#   connection, only of the half that was ended.
# One would expect: a reset of the connection and `close`, as without the end(); the documentation names no other case.
# Seen: "close ECONNRESET" at the peer and `close` here without end(); error EINVAL, no `close`, and nothing but "end" at the peer with it.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat > run.cjs <<'JS'
const net = require("node:net");
function run(ends) {
  return new Promise((resolve) => {
    const heard = [];
    const server = net.createServer({ allowHalfOpen: true }, (peer) => {
      peer.on("error", ({ code }) => heard.push(`peer ${code}`)).on("end", () => heard.push("peer end")).on("close", () => heard.push("peer close")).resume();
    }).listen(0, "127.0.0.1", () => {
      const socket = net.connect(server.address().port, "127.0.0.1", () => setTimeout(() => {
        socket.on("error", ({ code }) => heard.push(`error ${code}`)).on("close", () => heard.push("close"));
        if (ends) socket.end();
        socket.resetAndDestroy();
        heard.push(`destroyed ${socket.destroyed}`);
        setTimeout(() => resolve(heard.sort().join(", ")), 1000);
      }, 100));
    });
  });
}
(async () => {
  const [without, withEnd] = [await run(false), await run(true)];
  console.log("without end():", without);
  console.log("with end():", withEnd);
  const ok = without === "close, destroyed true, peer ECONNRESET, peer close" && withEnd === "destroyed true, error EINVAL, peer end";
  console.log(process.version, ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
})();
JS
node run.cjs
