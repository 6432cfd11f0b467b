#!/bin/sh
# autobahn 22.11.1 (npm, on Node 20.20 and 24.21) beside autobahn 26.11.1 (PyPI), their serializers of WAMP.
#
# Behaviour: over wamp.2.json, the default of both, the two do not share bytes, though they are of one maker. JavaScript writes a Uint8Array as
#   an object of its digits ({"0":0,"1":255}) and reads what Python sends as a string with a NUL in front. Python on its side
#   cannot read a text that begins with NUL and is no base64, which JavaScript sends as it is: the whole message is a ProtocolError,
#   as that would end the session. A text that happens to be base64 arrives as bytes. Over msgpack bytes and texts are kept.
# One would expect: bytes as a string of NUL and base64, and back ("Binary Conversion of JSON Strings", WAMP Basic Profile).
# Seen: as above.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check autobahn==26.11.1
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts autobahn@22.11.1 cbor@10.0.12
cat > run.cjs <<'JS'
const { JSONSerializer, MsgpackSerializer } = require("autobahn").serializer;
const values = [Uint8Array.of(0, 255), "\0abc", "\0AP8="];
const write = (serializer, value) => Buffer.from(serializer.serialize([36, 1, 2, {}, [value]])).toString("base64");
const show = (value) => (typeof value === "string" ? value : Buffer.isBuffer(value) ? "bytes" : "other");
const [json, msgpack] = [new JSONSerializer(), new MsgpackSerializer()];
const [fromJson, fromMsgpack] = process.argv.slice(2).map((text) => Buffer.from(text, "base64"));
console.log(JSON.stringify({
  json: values.map((value) => write(json, value)),
  msgpack: values.map((value) => write(msgpack, value)),
  read: [show(json.unserialize(fromJson.toString())[4][0]), show(msgpack.unserialize(fromMsgpack)[4][0])],
}));
JS
cat > run.py <<'PY'
import base64, json, subprocess, sys
import txaio
txaio.use_asyncio()
from autobahn.wamp.exception import ProtocolError
from autobahn.wamp.message import Event
from autobahn.wamp.serializer import JsonSerializer, MsgPackSerializer

serializers = {"json": JsonSerializer(), "msgpack": MsgPackSerializer()}
mine = [base64.b64encode(s.serialize(Event(1, 2, args=[b"\x00\xff"]))[0]).decode() for s in serializers.values()]
javascript = json.loads(subprocess.run(["node", "run.cjs", *mine], check=True, capture_output=True, text=True).stdout)

def read(name, text):
    try:
        return serializers[name].unserialize(base64.b64decode(text))[0].args[0]
    except ProtocolError as error:
        return type(error).__name__

seen = {name: [read(name, text) for text in javascript[name]] for name in serializers}
print("JavaScript reads bytes from Python as", javascript["read"])
print("Python reads bytes, NUL abc, NUL AP8= from JavaScript as", seen)
ok = javascript["read"] == ["\x00AP8=", "bytes"] and seen == {
    "json": [{"0": 0, "1": 255}, "ProtocolError", b"\x00\xff"], "msgpack": [b"\x00\xff", "\x00abc", "\x00AP8="]}
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
