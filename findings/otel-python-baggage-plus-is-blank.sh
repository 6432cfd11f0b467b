#!/bin/sh
# opentelemetry-api 1.45.2 (PyPI) beside @opentelemetry/core 2.12.1 (npm), their W3C baggage propagators.
#
# Behaviour: Python writes a blank in a baggage value as + and reads + as a blank, as HTML forms do. The baggage header is
#   percent-encoded and + stands for itself in it, so "a b" from Python arrives in JavaScript as "a+b", and a + that
#   another sender writes as it is (it may) arrives in Python as a blank: "1+1" is "1 1", a time zone "+01:00" " 01:00"
#   and then, as values are stripped, "01:00". Properties of an entry (key=value;property) are made part of its value,
#   and sent on as such, %3B and all. JavaScript on its side drops entries with an empty value, which are valid, when it
#   reads, and writes them.
# One would expect: what one side injects the other extracts.
# Seen: Python -> JavaScript: "a b" -> "a+b". Header v=1+1,z=%2B01:00,p=x;ttl=30,e= : Python 1 1, +01:00, x;ttl=30, "";
#   JavaScript 1+1, +01:00, x (metadata ttl=30), no e.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/api@1.9.1 @opentelemetry/core@2.12.1
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check opentelemetry-api==1.45.2
cat > run.py <<'PY'
import json, subprocess, sys
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

propagator = W3CBaggagePropagator()

def injected(entries):
    context = Context()
    for key, value in entries.items():
        context = baggage.set_baggage(key, value, context)
    carrier = {}
    propagator.inject(carrier, context)
    return carrier["baggage"]

def extracted(header):
    return dict(baggage.get_all(propagator.extract({"baggage": header}, Context())))

def javascript(header):
    return json.loads(subprocess.run(["node", "run.cjs", header], check=True, capture_output=True, text=True).stdout)

mine = injected({"v": "a b"})
there = javascript(mine)["read"]
print(f"Python writes {mine!r}, JavaScript reads {there}")
header = "v=1+1,w=+01:00,z=%2B01:00,p=x;ttl=30,e="
python, other = extracted(header), javascript(header)
again = injected(python)
print(f"header {header!r}\n  Python reads {python}\n  and sends on {again!r}\n  JavaScript reads {other['read']}, metadata of p {other['metadata']!r}\n  and, with e set to \"\", writes {other['written']!r}")
ok = (mine == "v=a+b" and there == {"v": "a+b"}
      and python == {"v": "1 1", "w": "01:00", "z": "+01:00", "p": "x;ttl=30", "e": ""}
      and "p=x%3Bttl%3D30" in again
      and other == {"read": {"v": "1+1", "w": "+01:00", "z": "+01:00", "p": "x"}, "metadata": "ttl=30", "written": "e="})
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
cat > run.cjs <<'JS'
const { ROOT_CONTEXT, propagation, defaultTextMapGetter, defaultTextMapSetter } = require("@opentelemetry/api");
const { W3CBaggagePropagator } = require("@opentelemetry/core");
const propagator = new W3CBaggagePropagator();
const bag = propagation.getBaggage(propagator.extract(ROOT_CONTEXT, { baggage: process.argv[2] }, defaultTextMapGetter));
const carrier = {};
propagator.inject(propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ e: { value: "" } })), carrier, defaultTextMapSetter);
const read = Object.fromEntries(bag.getAllEntries().map(([key, entry]) => [key, entry.value]));
console.log(JSON.stringify({ read, metadata: String(bag.getEntry("p")?.metadata ?? ""), written: carrier.baggage ?? "" }));
JS
v/bin/python run.py
