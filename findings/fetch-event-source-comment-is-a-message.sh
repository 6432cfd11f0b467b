#!/bin/sh
# @microsoft/fetch-event-source 2.0.1 (npm), on Node 20.20 and 24.21.
#
# Behaviour: every blank line calls onmessage, also one behind a comment, an id or an event name alone, with data "". So the
#   usual heartbeat (": ping" and a blank line) is a message, on which a handler that begins with JSON.parse throws. A `data` line without a colon (an empty line of text) is lost.
# One would expect: nothing dispatched without a data field, and "a", newline, "b", newline for the last block, as in
#   the HTML standard and in browsers.
# Seen: "" for the comment, "" for the id alone, "" for the event name alone, then "x", then "a\nb" in place of "a\nb\n".
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @microsoft/fetch-event-source@2.0.1
cat > run.cjs <<'JS'
const http = require("node:http");
// The library looks at the page's visibility; this is all it needs outside a browser.
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
globalThis.window = globalThis;
const { fetchEventSource } = require("@microsoft/fetch-event-source");
const body = ": ping\n\nid: 7\n\nevent: tick\n\ndata: x\n\ndata: a\ndata: b\ndata\n\n";
const server = http.createServer((_, answer) => answer.writeHead(200, { "content-type": "text/event-stream" }).end(body)).listen(0, "127.0.0.1", async () => {
  const messages = [];
  await fetchEventSource(`http://127.0.0.1:${server.address().port}/`, { openWhenHidden: true, onmessage: (m) => { messages.push(m.data); } });
  console.log(JSON.stringify(messages));
  const ok = JSON.stringify(messages) === JSON.stringify(["", "", "", "x", "a\nb"]);
  console.log(process.version, ok ? "as described" : "CHANGED");
  process.exit(ok ? 0 : 1);
});
JS
node run.cjs
