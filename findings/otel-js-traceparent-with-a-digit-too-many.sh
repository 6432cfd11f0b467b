#!/bin/sh
# @opentelemetry/core 2.12.1 (npm) beside opentelemetry-api 1.45.2 (PyPI), their W3C trace context propagators.
#
# Behaviour: a service that only hands a trace on (extract, then inject of the same context) writes the flags as "0" and
#   the number in hexadecimal. For flags of 16 and more that is three digits: 01-...-11 comes in and 00-...-011 goes out,
#   which is no traceparent. The next service refuses it and begins a trace of its own, the same library too. Such flags
#   come from a sender of a later version of the header, which receivers have to take by the rules for versions they do
#   not know. Flags below 16 are handed on unchanged.
# One would expect: two digits always, and of the flags only the known ones, as the recommendation says.
# Seen: JavaScript: 01-...-11 -> 00-...-011, 01-...-03 -> 00-...-03; the first is not read back. Python: 00-...-11.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/api@1.9.1 @opentelemetry/core@2.12.1
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check opentelemetry-api==1.45.2
cat > run.cjs <<'JS'
const { execFileSync } = require("node:child_process");
const { ROOT_CONTEXT, trace, defaultTextMapGetter, defaultTextMapSetter } = require("@opentelemetry/api");
const { W3CTraceContextPropagator } = require("@opentelemetry/core");
const propagator = new W3CTraceContextPropagator();
const read = (traceparent) => propagator.extract(ROOT_CONTEXT, { traceparent }, defaultTextMapGetter);
const handedOn = (traceparent) => { const carrier = {}; propagator.inject(read(traceparent), carrier, defaultTextMapSetter); return carrier.traceparent; };
const python = (traceparent) => execFileSync("v/bin/python", ["-c", `
import sys
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator as P
carrier = {}
P().inject(carrier, P().extract({"traceparent": sys.argv[1]}))
print(carrier.get("traceparent", "nothing"))`, traceparent], { encoding: "utf8" }).trim();
const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
const seen = [];
for (const header of [`00-${ids}-01`, `01-${ids}-03`, `01-${ids}-11`]) {
  const out = handedOn(header);
  const row = [out, trace.getSpanContext(read(out)) !== undefined, python(header), python(out)];
  seen.push(row);
  console.log(`${header}: JavaScript hands on ${row[0]}, which it ${row[1] ? "reads" : "does not read"} itself; Python hands on ${row[2]}, and makes ${row[3]} of JavaScript's`);
}
const wanted = [
  [`00-${ids}-01`, true, `00-${ids}-01`, `00-${ids}-01`],
  [`00-${ids}-03`, true, `00-${ids}-03`, `00-${ids}-03`],
  [`00-${ids}-011`, false, `00-${ids}-11`, "nothing"],
];
const described = JSON.stringify(seen) === JSON.stringify(wanted);
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node run.cjs
