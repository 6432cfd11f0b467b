#!/bin/sh
# date-fns 4.4.0 (npm), parseISO, beside luxon 3.7.2 and Date of Node 20.20 and 24.21; protobuf's last Timestamp by
# @bufbuild/protobuf 2.17.0.
#
# Behaviour: parseISO rounds a fraction finer than milliseconds to the nearest one, all others here cut it. The last
#   moment of a second becomes the next second, and 9999-12-31T23:59:59.999999999Z, the greatest Timestamp of protobuf and a valid
#   RFC 3339 time (so a valid `time` of a CloudEvent), becomes the year 10000, which toISOString writes as "+010000-..." and
#   protobuf's Timestamp and RFC 3339 refuse. A lower-case "t" and "z", valid RFC 3339, is "Invalid Date".
# One would expect: the fraction cut, as by Date and luxon: no time ever moves to a later second, day or year.
# Seen: 2026-11-28T23:59:59.9999999Z -> 2026-11-29T00:00:00.000Z; the last Timestamp -> +010000-01-01T00:00:00.000Z;
#   Date and luxon: ...59.999Z for both.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts date-fns@4.4.0 luxon@3.7.2 @bufbuild/protobuf@2.17.0
cat > run.mjs <<'JS'
import { toJson } from "@bufbuild/protobuf";
import { timestampFromDate, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { parseISO } from "date-fns";
import { DateTime } from "luxon";
const show = (f) => { try { return f(); } catch (e) { return e.name; } };
const last = "9999-12-31T23:59:59.999999999Z";
const seen = ["2026-11-28T23:59:59.9999999Z", last, "2026-11-28t10:00:00z"].map((t) =>
  [show(() => parseISO(t).toISOString()), show(() => new Date(t).toISOString()), show(() => DateTime.fromISO(t, { zone: "utc" }).toISO())]);
for (const s of seen) console.log(s.join("  "));
const back = show(() => toJson(TimestampSchema, timestampFromDate(parseISO(last))));
console.log("as a Timestamp:", back);
const ok = JSON.stringify(seen) === JSON.stringify([
  ["2026-11-29T00:00:00.000Z", "2026-11-28T23:59:59.999Z", "2026-11-28T23:59:59.999Z"],
  ["+010000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ["RangeError", "2026-11-28T10:00:00.000Z", "2026-11-28T10:00:00.000Z"],
]) && back === "Error";
console.log(process.version, ok ? "as described" : "CHANGED");
process.exit(ok ? 0 : 1);
JS
node run.mjs
