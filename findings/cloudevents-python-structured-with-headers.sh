#!/bin/sh
# cloudevents 2.2.0 (PyPI) beside cloudevents 10.0.0 (npm).
#
# Behaviour: from_http_event and from_kafka_event of the core API decide by the ce- (ce_) headers: where one is there, the
#   message is read as binary, whatever its content type says. The bindings have structured messages carry the same
#   headers beside the document when the sender likes, so that routers need not open it. Such a message, with
#   content-type application/cloudevents+json, comes out as an event whose data is the whole document and whose
#   datacontenttype is application/cloudevents+json, without an error. JavaScript reads the document.
#   Beside it: in binary mode data of application/octet-stream comes back as str where its bytes happen to be UTF-8 and
#   as bytes where not, so the type depends on the content.
# One would expect: the content type to decide, as the bindings say (HTTP 3, Kafka 3).
# Seen: Python, HTTP and Kafka: data {"specversion": ..., "data": {"a": 1}}; JavaScript: data {"a": 1}.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check cloudevents==2.2.0
cat > run.cjs <<'JS'
const { HTTP } = require("cloudevents");
const { headers, body } = JSON.parse(process.argv[2]);
console.log(JSON.stringify(HTTP.toEvent({ headers, body }).data));
JS
cat > run.py <<'PY'
import json, subprocess, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

document = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": "application/json", "data": {"a": 1}}
body = json.dumps(document)
content = {"content-type": "application/cloudevents+json; charset=utf-8"}
copied = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}

def http(with_headers):
    headers = dict(content, **({f"ce-{k}": v for k, v in copied.items()} if with_headers else {}))
    event = from_http_event(HTTPMessage(headers=headers, body=body.encode()))
    javascript = json.loads(subprocess.run(["node", "run.cjs", json.dumps({"headers": headers, "body": body})], check=True, capture_output=True, text=True).stdout)
    return event.get_data(), event.get_datacontenttype(), javascript

def kafka(with_headers):
    headers = {"content-type": content["content-type"].encode(), **({f"ce_{k}": v.encode() for k, v in copied.items()} if with_headers else {})}
    event = from_kafka_event(KafkaMessage(headers=headers, key=None, value=body.encode()))
    return event.get_data(), event.get_datacontenttype()

plain, both, kafka_plain, kafka_both = http(False), http(True), kafka(False), kafka(True)
print("HTTP, document alone:", plain)
print("HTTP, with headers:  ", both)
print("Kafka, document alone:", kafka_plain)
print("Kafka, with headers:  ", kafka_both)
def octets(body):
    headers = {"content-type": "application/octet-stream", **{f"ce-{k}": v for k, v in copied.items()}}
    return from_http_event(HTTPMessage(headers=headers, body=body)).get_data()
print("octet-stream:", repr(octets(b"abc")), repr(octets(b"\xff\x00")))
def whole(data):
    return (json.loads(data) if isinstance(data, (str, bytes)) else data) == document
ok = (plain[0] == {"a": 1} == kafka_plain[0] and plain[2] == both[2] == {"a": 1}
      and whole(both[0]) and whole(kafka_both[0]) and octets(b"abc") == "abc" and octets(b"\xff\x00") == b"\xff\x00" and both[1].startswith("application/cloudevents") and kafka_both[1].startswith("application/cloudevents"))
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
