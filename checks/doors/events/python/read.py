"""Reads a channel by httpx-sse: read.py EVENTS TICKETS. Prints a line of JSON for each event.

The library does not reconnect: its iterator ends, or raises, and the loop around it is its user's.
"""

import json
import random
import sys
import time

import httpx
from httpx_sse import SSEError, connect_sse

events, tickets = sys.argv[1:3]


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def read(client, ticket, last_event_id):
    """Reads to the end of the stream. Yields the id of each event and what it says of reconnecting."""
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with connect_sse(client, "GET", events, params={"ticket": ticket}, headers=headers) as source:
        if source.response.status_code == 204:
            raise PermissionError("the ticket has expired")
        for event in source.iter_sse():
            told = json.loads(event.data)
            say(
                event.event,
                text=told.get("payload", {}).get("text_data"),
                reason=told.get("reason"),
            )
            yield event.id, event.retry


# A heartbeat is due every 15 s.
with httpx.Client(timeout=httpx.Timeout(10, read=45)) as client:
    ticket, last_event_id, pause = None, None, 1
    while True:
        try:
            if ticket is None:
                ticket = client.get(tickets).raise_for_status().text
            for last_event_id, retry in read(client, ticket, last_event_id):
                pause = retry / 1000 if retry is not None else pause
        except PermissionError:
            ticket = None
            say("closed")
        except (httpx.HTTPError, SSEError):
            pass
        time.sleep(pause * random.uniform(0.8, 1.2))
