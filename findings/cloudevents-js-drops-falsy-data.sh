#!/bin/sh
# cloudevents 10.0.0 (npm), on Node 24.21 and 20.20.
#
# Behaviour: HTTP.toEvent of an event in structured mode whose data is 0, false or "" yields an event without data, and
#   not even the key; in binary mode the text 0 is kept, but as a string. A content type with a parameter and no blank
#   behind the semicolon, application/cloudevents+json;charset=utf-8, is "invalid content type", with the blank it is
#   taken. In a batch the same data is kept, because batches go another way; one invalid event there fails all of them.
# One would expect: data as it was sent (JSON event format, 3.1), and a media type read as RFC 9110 has it.
# Seen: structured: no data for 0, false, ""; [] and {} kept. batch: 0, false, "" kept.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0
cat > run.cjs <<'JS'
const { HTTP } = require("cloudevents");
const event = (data) => `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":${data}}`;
const structured = (data) => HTTP.toEvent({ headers: { "content-type": "application/cloudevents+json" }, body: event(data) }).data;
const batched = (data) => HTTP.toEvent({ headers: { "content-type": "application/cloudevents-batch+json" }, body: `[${event(data)}]` })[0].data;
const seen = ["0", "false", '""', "[]", "{}"].map((data) => [data, structured(data), batched(data)]);
for (const [data, one, many] of seen) console.log(`${data}: structured ${JSON.stringify(one)}, batch ${JSON.stringify(many)}`);
const taken = (type) => { try { HTTP.toEvent({ headers: { "content-type": type }, body: event("1") }); return "taken"; } catch (error) { return error.message; } };
const types = ["application/cloudevents+json; charset=utf-8", "application/cloudevents+json;charset=utf-8"].map(taken);
console.log(types);
const dropped = seen.slice(0, 3).every(([, one, many]) => one === undefined && many !== undefined);
const kept = seen.slice(3).every(([data, one]) => JSON.stringify(one) === data);
const described = dropped && kept && types[0] === "taken" && /invalid content type/.test(types[1]);
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node run.cjs
