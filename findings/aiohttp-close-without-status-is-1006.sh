#!/bin/sh
# aiohttp 3.14.5 (Python), its WebSocket client.
#
# Behaviour: when the server ends a connection with a close frame that carries no status (an empty close frame, valid),
#   the client answers it properly with a close frame, but `close_code` is 1006 and `exception()` is set, just as if
#   the connection had been lost. With a status, also one of the application's own, all is as expected.
#   Beside it: max_msg_size is not the largest message taken. One of exactly that size is refused with 1009.
# One would expect: 1005 (no status received) and no exception, as other clients say; and "max" to be inclusive, as in
#   other clients.
# Seen: empty close frame -> close_code 1006, exception EofStream; 3512 -> 3512, None; 4194303 bytes taken, 4194304 refused.
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check aiohttp==3.14.5
cat > run.py <<'PY'
import asyncio, base64, hashlib, struct, sys
import aiohttp

answers = {}

async def serve(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    path = head.split()[1]
    key = next(l.split(":", 1)[1].strip() for l in head.split("\r\n") if l.lower().startswith("sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    if path == "/none":
        writer.write(b"\x88\x00")
    elif path == "/3512":
        writer.write(b"\x88\x07" + struct.pack(">H", 3512) + b"drain")
    else:
        size = int(path[1:])
        writer.write(b"\x81\x7f" + struct.pack(">Q", size) + b"a" * size)
    try:
        await writer.drain()
        frame = await reader.readexactly(2)
        answers[path] = frame[0] & 15
        await reader.readexactly((frame[1] & 127) + 4)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    seen = {}
    async with aiohttp.ClientSession() as session:
        for path in ("/none", "/3512"):
            ws = await session.ws_connect(url + path)
            async for _ in ws:
                pass
            await asyncio.sleep(0.2)
            seen[path] = (ws.close_code, type(ws.exception()).__name__, "answered" if answers.get(path) == 8 else "not answered")
        for size in (4194303, 4194304):
            ws = await session.ws_connect(f"{url}/{size}")
            message = await ws.receive()
            seen[size] = (message.type.name, len(message.data) if message.type.name == "TEXT" else str(message.data)[:120])
            await ws.close()
    for k, v in seen.items():
        print(k, v)
    ok = (seen["/none"] == (1006, "EofStream", "answered") and seen["/3512"] == (3512, "NoneType", "answered")
          and seen[4194303] == ("TEXT", 4194303) and seen[4194304][0] == "ERROR")
    print("as described" if ok else "CHANGED")
    return ok

sys.exit(not asyncio.run(asyncio.wait_for(main(), 60)))
PY
v/bin/python run.py
