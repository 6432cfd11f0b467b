#!/bin/sh
# aiohttp-sse-client 0.2.1 (Python) over aiohttp 3.14.5.
#
# Behaviour: all blanks in front of an event's data are removed, not just one; the `type` of an event without a name is
#   None, not "message"; a stream that starts with a byte order mark loses its first event; lines that end in CR alone are
#   never seen as ends.
# One would expect: one blank removed, "message", mark ignored, CR as good as LF, as in the HTML standard.
# Seen: "data:  two" -> "two"; "data: one" -> "one"; type None; behind the mark only the second event; with CR none in 2 s.
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check aiohttp-sse-client==0.2.1 aiohttp==3.14.5
cat > run.py <<'PY'
import asyncio, sys
from aiohttp import web
from aiohttp_sse_client.client import EventSource

bodies = {
    "blanks": "data: one\n\ndata:  two\n\n",
    "mark": "\ufeffdata: one\n\ndata: two\n\n",
    "cr": "data: one\r\rdata: two\r\r",
}

async def answer(request):
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(bodies[request.match_info["name"]].encode())
    await asyncio.sleep(4)
    return response

async def read(url):
    events = []
    async def go():
        async with EventSource(url) as source:
            async for event in source:
                events.append((event.type, event.data))
    try:
        await asyncio.wait_for(go(), 2)
    except asyncio.TimeoutError:
        pass
    return events

async def main():
    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    seen = {name: await read(f"http://127.0.0.1:{port}/{name}") for name in bodies}
    for name, events in seen.items():
        print(name, events)
    await runner.cleanup()
    return seen == {"blanks": [(None, "one"), (None, "two")], "mark": [(None, "two")], "cr": []}

ok = asyncio.run(main())
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
