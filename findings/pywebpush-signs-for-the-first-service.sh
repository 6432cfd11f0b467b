#!/bin/sh
# pywebpush 2.5.0 with py-vapid 1.9.6 (PyPI).
#
# Behaviour: webpush() writes `aud` and `exp` into the dict of claims that the caller hands over, and takes what stands there
#   at the next call. With one dict of claims for all subscriptions, as a constant would be, the message to a second push
#   service is signed for the first, which services refuse with 401 or 403. A long-lived process sees it from the
#   first subscriber with another browser on. `exp` is renewed when it has passed, `aud` never.
# One would expect: the caller's dict untouched, and `aud` the origin of the endpoint of each call (RFC 8292, section 2).
# Seen: endpoints push.one.example, push.two.example: aud https://push.one.example in both tokens; with a fresh dict each the right one.
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check pywebpush==2.5.0 py-vapid==1.9.6
cat > run.py <<'PY'
import base64, json, os, re, sys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid
from pywebpush import webpush

def text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

class Answer:
    status_code, ok, text, reason, headers = 201, True, "", "Created", {}

class Session:
    """Takes the place of a requests session: keeps the headers, sends nothing."""
    def post(self, url, **more):
        self.headers = more["headers"]
        return Answer()

browser = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
vapid = Vapid()
vapid.generate_keys()

def audience(host, claims):
    session = Session()
    webpush({"endpoint": f"https://{host}/abc", "keys": {"p256dh": text(browser), "auth": text(os.urandom(16))}},
            "hello", vapid_private_key=vapid, vapid_claims=claims, requests_session=session)
    payload = re.search(r"t=[^.]+\.([^.]+)\.", session.headers["authorization"]).group(1)
    return json.loads(base64.urlsafe_b64decode(payload + "=="))["aud"]

hosts = ("push.one.example", "push.two.example")
shared = {"sub": "mailto:ops@example.com"}
one_dict = [audience(host, shared) for host in hosts]
own_dict = [audience(host, {"sub": "mailto:ops@example.com"}) for host in hosts]
print("one dict:", one_dict, sorted(shared))
print("a dict each:", own_dict)
ok = (one_dict == ["https://push.one.example"] * 2 and own_dict == [f"https://{host}" for host in hosts]
      and sorted(shared) == ["aud", "exp", "sub"])
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
