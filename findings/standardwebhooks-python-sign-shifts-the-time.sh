#!/bin/sh
# standardwebhooks 1.1.0 and svix 2.9.1 (PyPI).
#
# Behaviour: sign(id, time, body) puts the wall clock of the datetime into the signed text as if it were UTC, whatever its
#   time zone says. An aware datetime in Berlin is signed as a moment one or two hours later, and so is a naive one (the
#   local time of the process, as everywhere else in Python). With webhook-timestamp set from the same object's
#   timestamp(), the signature does not verify, in the library itself neither. On a machine whose clock runs in UTC
#   nothing is seen of it.
#   Beside it: verify() of standardwebhooks decodes JSON once the signature has matched, so an empty body with a good
#   signature is a JSONDecodeError, no WebhookVerificationError; the JavaScript library of the same project returns
#   undefined for it.
# One would expect: an aware datetime is a moment, and timestamp() of it is what is signed.
# Seen (TZ=Europe/Berlin): UTC verifies; aware Berlin and naive: "No matching signature found"; the text signed ends in
#   the offset's seconds more than timestamp().
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check standardwebhooks==1.1.0 svix==2.9.1 tzdata==2026.6
cat > run.py <<'PY'
import base64, hashlib, hmac, os, sys, time
from datetime import datetime, timezone
from zoneinfo import ZoneInfo
os.environ["TZ"] = "Europe/Berlin"
time.tzset()
import standardwebhooks, svix.webhooks

key = b"0123456789abcdef01234567"
secret = "whsec_" + base64.b64encode(key).decode()
body = '{"a":1}'
now = datetime.now(timezone.utc).replace(microsecond=0)
moments = {
    "utc": now,
    "berlin": now.astimezone(ZoneInfo("Europe/Berlin")),
    "naive": now.astimezone().replace(tzinfo=None),
}
offset = int(moments["berlin"].utcoffset().total_seconds())

def signed_for(signature):
    """The seconds, as an offset from now, that the signature was made for."""
    for shift in (0, offset):
        text = f"m1.{int(now.timestamp()) + shift}.{body}".encode()
        if signature == "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode():
            return shift

def tried(library, prefix, moment):
    hook = library.Webhook(secret)
    signature = hook.sign("m1", moment, body)
    headers = {f"{prefix}-id": "m1", f"{prefix}-timestamp": str(int(moment.timestamp())), f"{prefix}-signature": signature}
    try:
        hook.verify(body, headers)
        result = "verified"
    except Exception as error:
        result = str(error)
    return result, signed_for(signature)

ok = offset > 0
for library, prefix in ((standardwebhooks, "webhook"), (svix.webhooks, "svix")):
    for name, moment in moments.items():
        result, shift = tried(library, prefix, moment)
        print(f"{library.__name__}, {name} {moment.isoformat()}: {result}, signed for {shift:+d} s")
        ok = ok and (result, shift) == (("verified", 0) if name == "utc" else ("No matching signature found", offset))

hook = standardwebhooks.Webhook(secret)
headers = {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": hook.sign("m1", now, "")}
try:
    empty = repr(hook.verify("", headers))
except Exception as error:
    empty = type(error).__name__
print(f"empty body, good signature: {empty}; json_parse=False: {hook.verify('', headers, json_parse=False)}")
ok = ok and empty == "JSONDecodeError"
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
