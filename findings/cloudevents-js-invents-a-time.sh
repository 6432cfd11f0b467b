#!/bin/sh
# cloudevents 10.0.0 (npm), on Node 24.21 and 20.20.
#
# Behaviour: HTTP.toEvent gives an event that came without `time` the moment at which it was read, in structured and in
#   binary mode alike. Read twice, one message has two times, and one that is passed on says in `time` when the one in
#   between read it, as if its source had said so.
# One would expect: no time, since the attribute is optional and means when the occurrence happened.
# Seen: structured, binary: true true true (a time, two readings differ, it is passed on as ce-time); for an event with
#   a time: its own.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0
cat > run.mjs <<'JS'
import { HTTP } from "cloudevents";
const attributes = { specversion: "1.0", id: "1", source: "/sensors/1", type: "reading" };
const structured = (more) => ({
  headers: { "content-type": "application/cloudevents+json" },
  body: JSON.stringify({ ...attributes, ...more, data: { celsius: 20 } }),
});
const binary = (more) => ({
  headers: {
    "content-type": "application/json",
    ...Object.fromEntries(Object.entries({ ...attributes, ...more }).map(([name, value]) => [`ce-${name}`, value])),
  },
  body: '{"celsius":20}',
});
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const seen = {};
for (const [mode, message] of Object.entries({ structured, binary })) {
  const first = HTTP.toEvent(message());
  await wait(5);
  const second = HTTP.toEvent(message());
  const told = HTTP.toEvent(message({ time: "2020-01-02T03:04:05Z" })).time;
  const passedOn = HTTP.binary(first).headers["ce-time"];
  seen[mode] = [typeof first.time === "string", first.time !== second.time, passedOn === first.time, Date.parse(told)];
}
console.log(JSON.stringify(seen));
const wanted = [true, true, true, Date.parse("2020-01-02T03:04:05Z")];
if (JSON.stringify(seen) !== JSON.stringify({ structured: wanted, binary: wanted })) process.exit(1);
JS
node run.mjs
