#!/bin/sh
# websockets 17.4 (PyPI), its reconnecting client, async for ... in connect(...).
#
# Behaviour: the exponential backoff that the loop is documented with counts failed attempts to connect alone. A
#   connection that opened and was closed by the server at once, "try again later" included, is followed by the next in
#   the same moment, for as long as the server goes on: here hundreds in a second, from one client.
# One would expect: a pause before each reconnect, growing while connections do not live.
# Seen: server that closes with 1013 as soon as it is open: more than 50 connections in one second (stopped there);
#   server that answers 503: at most 2 attempts in the same second, the second after the first delay.
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check websockets==17.4
cat > run.py <<'PY'
import asyncio, logging, sys
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

logging.getLogger("websockets").setLevel(logging.CRITICAL)
LIMIT = 50

async def counted(refuse):
    attempts = 0
    enough = asyncio.Event()

    def answer(connection, request):
        nonlocal attempts
        attempts += 1
        if attempts >= LIMIT:
            enough.set()
        return connection.respond(503, "later\n") if refuse else None

    async def handler(connection):
        await connection.close(1013, "try again later")

    async with serve(handler, "127.0.0.1", 0, process_request=answer) as server:
        url = "ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1]

        async def client():
            async for connection in connect(url):
                try:
                    async for _ in connection:
                        pass
                    raise RuntimeError("closed normally")
                except ConnectionClosed:
                    continue

        task = asyncio.create_task(client())
        started = asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(enough.wait(), 1)
        except asyncio.TimeoutError:
            pass
        took = asyncio.get_running_loop().time() - started
        task.cancel()
        await asyncio.wait([task])
        return attempts, took

async def main():
    closed, took = await counted(False)
    refused, _ = await counted(True)
    print(f"closed with 1013 once open: {closed} connections in {took:.2f} s; answered 503: {refused} attempts in 1 s")
    return closed >= 10 and refused <= 2

ok = asyncio.run(asyncio.wait_for(main(), 30))
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
