#!/bin/sh
# nats-py 2.16.0 (PyPI) beside nats 2.29.3 (npm), against the same raw server.
#
# Behaviour: a NATS header may stand in a message several times. nats-py keeps one value of it, the last, in a plain dict;
#   the JavaScript client keeps all, and its get() gives the first. So a message with A: 1 and A: 2 is A = 2 in Python and
#   A = 1 in JavaScript. And as publish() takes a dict, nats-py cannot send such a message either.
#   Beside it: names are matched by case in both (a header "lower" is not found as "Lower").
# One would expect: the same value in both, or all of them, as NATS headers are described like HTTP's.
# Seen: nats-py {'A': '2', 'lower': 'l'}; nats.js values ["1","2"], get "1".
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts nats@2.29.3
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check nats-py==2.16.0
cat > client.cjs <<'JS'
const { connect } = require("nats");
(async () => {
  const connection = await connect({ servers: process.argv[2] });
  const subscription = connection.subscribe("news", { max: 1 });
  for await (const { headers } of subscription) {
    console.log(JSON.stringify({ all: headers.values("A"), get: headers.get("A"), lower: headers.get("lower"), Lower: headers.get("Lower") }));
  }
  await connection.close();
})();
JS
cat > run.py <<'PY'
import asyncio, json, sys
import nats

HEAD = b"NATS/1.0\r\nA: 1\r\nA: 2\r\nlower: l\r\n\r\n"

async def serve(reader, writer):
    writer.write(b'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n')
    while line := await reader.readline():
        if line.startswith(b"PING"):
            writer.write(b"PONG\r\n")
        elif line.startswith(b"SUB "):
            writer.write(b"HMSG news %s %d %d\r\n%shi\r\n" % (line.split()[-1], len(HEAD), len(HEAD) + 2, HEAD))
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "nats://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    connection = await nats.connect(url)
    subscription = await connection.subscribe("news")
    python = (await subscription.next_msg(timeout=5)).headers
    await connection.close()
    child = await asyncio.create_subprocess_exec("node", "client.cjs", url, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(child.communicate(), 20)
    javascript = json.loads(out)
    print("nats-py", python)
    print("nats.js", javascript)
    return python == {"A": "2", "lower": "l"} and javascript == {"all": ["1", "2"], "get": "1", "lower": "l", "Lower": ""}

ok = asyncio.run(asyncio.wait_for(main(), 60))
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
