#!/bin/sh
# betterproto 2.0.0b7 (PyPI), beside protobuf 7.36.2.
#
# Behaviour: a negative Duration with a fraction is written in binary with negative seconds and positive nanos, so it is
#   another, valid-looking Duration: -0.5 s arrives as 0.5 s, -1.5 s as -0.5 s, at betterproto itself and at protobuf.
#   In JSON it is right. Reading what protobuf wrote is right.
#   Beside it, in to_json: a number of an enum that this side does not know yet is ValueError; bytes in a map are a TypeError; an
#   int64 in a map is a number and an enum in a map is a number, while outside of maps they are a string and a name.
# One would expect: seconds and nanos of the same sign (duration.proto), open enums kept as numbers, and the mapping of
#   ProtoJSON in maps too.
# Seen: -0.5 -> 0.5, -1.5 -> -0.5, -2.25 -> -1.25, -2 -> -2; the rest as above.
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check betterproto==2.0.0b7 protobuf==7.36.2
cat > run.py <<'PY'
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Dict
import betterproto
from google.protobuf.duration_pb2 import Duration

class Color(betterproto.Enum):
    NONE = 0
    RED = 1

@dataclass(eq=False, repr=False)
class M(betterproto.Message):
    wait: timedelta = betterproto.message_field(1)
    color: Color = betterproto.enum_field(2)
    big: int = betterproto.int64_field(3)
    blobs: Dict[str, bytes] = betterproto.map_field(4, betterproto.TYPE_STRING, betterproto.TYPE_BYTES)
    bigs: Dict[str, int] = betterproto.map_field(5, betterproto.TYPE_STRING, betterproto.TYPE_INT64)
    colors: Dict[str, Color] = betterproto.map_field(6, betterproto.TYPE_STRING, betterproto.TYPE_ENUM)

durations = {}
for seconds in (-0.5, -1.5, -2.25, -2.0, 1.5):
    raw = bytes(M(wait=timedelta(seconds=seconds)))
    google = Duration.FromString(raw[2:])
    right = Duration()
    right.FromTimedelta(timedelta(seconds=seconds))
    inner = right.SerializeToString()
    durations[seconds] = (
        M().parse(raw).wait.total_seconds(),
        google.seconds + google.nanos / 1e9,
        M().parse(bytes([0x0A, len(inner)]) + inner).wait.total_seconds(),
        M().from_json(M(wait=timedelta(seconds=seconds)).to_json()).wait.total_seconds(),
    )
    print(f"{seconds}: read by itself {durations[seconds][0]}, by protobuf {durations[seconds][1]}; from protobuf {durations[seconds][2]}; by JSON {durations[seconds][3]}")

def json_of(message):
    try:
        return message.to_json()
    except Exception as error:
        return type(error).__name__

texts = [json_of(m) for m in (
    M().parse(bytes([0x10, 7])), M(blobs={"a": b"\xff"}), M(big=2**60, bigs={"a": 2**60}), M(color=Color.RED, colors={"a": Color.RED}))]
print(texts)
ok = durations == {
    -0.5: (0.5, 0.5, -0.5, -0.5), -1.5: (-0.5, -0.5, -1.5, -1.5), -2.25: (-1.25, -1.25, -2.25, -2.25),
    -2.0: (-2.0, -2.0, -2.0, -2.0), 1.5: (1.5, 1.5, 1.5, 1.5),
} and texts == ["ValueError", "TypeError", '{"big": "1152921504606846976", "bigs": {"a": 1152921504606846976}}', '{"color": "RED", "colors": {"a": 1}}']
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
