"""Publishes each line that it reads, and prints each message of a channel once: client.py URL CHANNEL."""

import asyncio
import json
import os
import random
import sys
import time
import uuid

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

URL, CHANNEL = sys.argv[1:3]
# No pings of the library's own: on Workers the server does not see them, and a slow reader would miss the answer.
OPTIONS = {"subprotocols": ["messageloop+json"], "max_size": 2**20, "ping_interval": None, "close_timeout": 2}
RETRY = {"RATE_LIMITED", "UNAVAILABLE"}
socket = None  # Of the session, while there is one.
since = None  # Where to go on: the position of the last message.
unacked = {}  # What was published and has no answer, by the event's id: it is sent again, and counts once.
deadlines = {}  # Until when that may be.
window = 0.0  # How long the server knows an event again, in seconds, less what a message may take on its way.
tries = 0  # To connect, since there was a session.
wait = 0.0  # How long the server wants the client to stay away, in seconds.


def comes_back(code):
    """The table of SPEC.md, E2; None is a connection that was lost."""
    if code is None or code in {3502, 3504, 3510, 3511, 3512, 3513}:
        return True
    return code != 1009 and (code < 3500 or 4000 <= code < 4500)


async def publish_lines():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        event = {"id": str(uuid.uuid4()), "source": "/example", "type": "note", "text_data": line.decode().rstrip()}
        unacked[event["id"]] = {"id": event["id"], "channel": CHANNEL, "publish": event}
        await publish(event["id"])


async def publish(name):
    """Sends an event, or sends it again for as long as the server would know that it is the same."""
    if not socket:
        return
    if time.monotonic() > deadlines.setdefault(name, time.monotonic() + window):
        print("outcome unknown:", unacked.pop(name), file=sys.stderr)
        return
    await send(json.dumps(unacked[name]))
    if name in unacked:
        unacked[name]["again"] = True


async def send(text):
    try:
        await socket.send(text)
    except ConnectionClosed:
        pass  # Who reads meets it as well, with its code.


async def beat(seconds):
    while True:
        for name in list(unacked):
            await publish(name)
        await asyncio.sleep(seconds)
        await send("ping")


async def session():
    global socket
    async with connect(URL, **OPTIONS) as opened:
        if opened.subprotocol != "messageloop+json":
            raise WebSocketException("this is no MessageLoop server")
        entry = {"channel": CHANNEL} | ({"since": since} if since else {})
        hello = {"token": os.environ.get("MESSAGELOOP_TOKEN", ""), "subscriptions": [entry]}
        await opened.send(json.dumps({"connect": hello | {"capabilities": ["control", "recovery"]}}))
        beating, patience = None, 10
        try:
            while True:
                async with asyncio.timeout(patience):
                    text = await opened.recv()
                frame = {} if text == "pong" else json.loads(text)
                take(frame)
                if "connected" in frame:
                    interval = frame["connected"].get("ping_interval_ms", 25_000) / 1000
                    # Each ping is answered: silence for longer is a connection that was lost.
                    socket, beating, patience = opened, asyncio.create_task(beat(interval)), 2 * interval + 10
        finally:
            socket = None
            if beating:
                beating.cancel()


def take(frame):
    global since, tries, wait, window
    if "connected" in frame:
        entry = frame["connected"]["subscriptions"][0]
        if "error" in entry:
            raise (OSError if entry["error"]["code"] in RETRY else SystemExit)(entry["error"])
        since, tries = since or entry["position"], 0
        window = max(0, frame["connected"].get("dedup_window_ms", 0) / 1000 - 30)
    for message in frame.get("publication", {}).get("messages", []):
        print(message["payload"]["text_data"], flush=True)
        if "epoch" in message:  # What is not in the log has no position.
            since = {"epoch": message["epoch"], "offset": message["offset"]}
    since = frame.get("recovered", {}).get("position", since)
    if gap := frame.get("gap") or frame.get("recovered", {}).get("gap"):
        print("missed:", gap, file=sys.stderr)
    error = frame.get("error")
    if "publish_ack" in frame or error and error["code"] not in RETRY:
        unacked.pop(frame.get("id"), None)
        deadlines.pop(frame.get("id"), None)
    if error:
        print("error:", error, file=sys.stderr)
    wait = frame.get("disconnect", {}).get("retry_after_ms", 0) / 1000


async def run():
    """Returns the close code that says not to come back."""
    global tries
    while True:
        code = None
        try:
            await session()
        except ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
        except (OSError, WebSocketException) as error:
            print("no connection:", repr(error), file=sys.stderr)
        if not comes_back(code):
            return code
        await asyncio.sleep(wait + random.uniform(0, min(20, 0.5 * 2 ** min(tries, 6))))
        tries += 1


async def main():
    _lines = asyncio.create_task(publish_lines())
    sys.exit(f"closed with {await run()}")


asyncio.run(main())
