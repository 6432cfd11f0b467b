"""Sends the cases by the CloudEvents SDK for Python: send.py CASES URL KEY MODE. Prints a line of JSON each."""

import base64
import http.client
import json
import sys
from urllib.parse import urlsplit

from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from dateutil.parser import isoparse

cases, url, key, mode = sys.argv[1:5]
target = urlsplit(url)


def event_of(case):
    attributes = {**case["attributes"], **case.get("extensions", {})}
    if "time" in attributes:
        attributes["time"] = isoparse(attributes["time"])
    data = case.get("data", {})
    if "base64" in data:
        return CloudEvent(attributes, base64.b64decode(data["base64"]))
    return CloudEvent(attributes, data.get("json", data.get("text")))


def send(name, message):
    headers = {**message.headers, "authorization": f"Bearer {key}"}
    # Not urllib: it adds a content type where an event has none.
    connection = http.client.HTTPConnection(target.netloc)
    connection.request("POST", target.path, body=message.body, headers=headers)
    response = connection.getresponse()
    body = response.read().decode()
    print(json.dumps({"name": name, "status": response.status, "body": body}), flush=True)
    connection.close()


with open(cases, encoding="utf-8") as file:
    every = json.load(file)
if mode == "batch":
    parts = [to_structured_event(event_of(case)).body for case in every]
    headers = {"content-type": "application/cloudevents-batch+json"}
    send("batch", HTTPMessage(headers, b"[" + b",".join(parts) + b"]"))
else:
    for case in every:
        convert = to_structured_event if mode == "structured" else to_binary_event
        send(case["name"], convert(event_of(case)))
