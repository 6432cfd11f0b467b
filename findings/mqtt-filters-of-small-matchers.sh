#!/bin/sh
# mqtt-pattern 2.1.1 and mqtt-match 3.0.0 (npm, on Node 20.20 and 24.21), aiomqtt 2.5.1 beside paho-mqtt 2.2.0 (PyPI).
#
# Behaviour: the small matchers of topics against filters, which clients use to hand a message to the right callback, differ from
#   each other and from the standard. The first three let # and + match topics that begin with $, paho does not. mqtt-pattern lets +
#   match no empty level: "a/+/b" does not match "a//b", "+/+" not "/a". mqtt-match and mqtt-pattern know no $share, though a
#   subscriber of "$share/g/a/#" gets "a/b"; nor does paho's function. aiomqtt does.
# One would expect: MQTT 5.0, 4.7.1 (an empty level is a level), 4.7.2 (no wildcard in front of $), and 4.8.2.
# Seen: the table below, as paho mqtt-pattern mqtt-match aiomqtt; right are n n y y y y y.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check aiomqtt==2.5.1 paho-mqtt==2.2.0
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts mqtt-pattern@2.1.1 mqtt-match@3.0.0
cat > rows.json <<'JSON'
[["#","$SYS/load"],["+/load","$SYS/load"],["a/+/b","a//b"],["+/+","/a"],["a/+","a/"],["a/#","a"],["$share/g/a/#","a/b"]]
JSON
cat > run.cjs <<'JS'
const { matches } = require("mqtt-pattern");
const match = require("mqtt-match");
const rows = require("./rows.json");
const second = match.default ?? match;
console.log(JSON.stringify(rows.map(([filter, topic]) => [matches(filter, topic), second(filter, topic)])));
JS
cat > run.py <<'PY'
import json, subprocess, sys
from aiomqtt import Topic
from paho.mqtt.client import topic_matches_sub

rows = json.load(open("rows.json"))
node = json.loads(subprocess.run(["node", "run.cjs"], check=True, capture_output=True, text=True).stdout)
seen = []
for (topic_filter, topic), (pattern, match) in zip(rows, node):
    answers = (topic_matches_sub(topic_filter, topic), pattern, match, Topic(topic).matches(topic_filter))
    seen.append("".join("y" if answer else "n" for answer in answers))
    print(f"{topic_filter:14} {topic:10} {seen[-1]}")
ok = seen == ["nyyy", "nyyy", "ynyy", "ynyy", "ynyy", "yyyy", "nnny"]
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
