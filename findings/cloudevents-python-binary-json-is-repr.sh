#!/bin/sh
# cloudevents 2.2.0 (PyPI), its core API (cloudevents.core.bindings.http).
#
# Behaviour: to_binary_event writes data as JSON only where it is a dict (or by chance). With datacontenttype
#   application/json a list goes out as Python's repr, ['a', None, True]; True as the text True; a string without its
#   quotes. to_structured_event of the same event writes JSON, and so does the deprecated API under cloudevents.v1.
#   An extension that is True is the header "True" in the core API, and in the old one the bool itself, which
#   http.client refuses.
# One would expect: a body that is JSON where the event says application/json, the same in both modes, and "true".
# Seen: core, binary: ['a', None, True] / True / text ; core, structured: ["a", null, true] / true / "text".
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check cloudevents==2.2.0
cat > run.py <<'PY'
import json, sys, warnings
warnings.simplefilter("ignore")
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as Old, to_binary

attributes = {"type": "t", "source": "/s", "datacontenttype": "application/json"}

def is_json(body):
    try:
        json.loads(body)
        return True
    except ValueError:
        return False

ok = True
for data in (["a", None, True], True, "text", {"a": 1}):
    event = CloudEvent(attributes=dict(attributes), data=data)
    binary = to_binary_event(event).body.decode()
    structured = json.dumps(json.loads(to_structured_event(event).body)["data"])
    _, old = to_binary(Old(dict(attributes), data))
    print(f"{data!r}: binary {binary}, structured {structured}, old binary {old.decode()}")
    ok = ok and is_json(binary) == isinstance(data, dict) and is_json(old) and json.loads(structured) == data
flag = dict(attributes, flag=True)
core = to_binary_event(CloudEvent(attributes=dict(flag), data=None)).headers["ce-flag"]
old, _ = to_binary(Old(dict(flag), None))
print(f"extension True: core {core!r}, old {old['ce-flag']!r}")
ok = ok and core == "True" and old["ce-flag"] is True
print("as described" if ok else "CHANGED")
sys.exit(0 if ok else 1)
PY
v/bin/python run.py
