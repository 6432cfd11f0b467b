#!/bin/sh
# websocket-client 1.9.2 (Python).
#
# Behaviour: recv() answers '' both for an empty text message and for the server's close frame, and the close code and
#   reason are gone with it; only recv_data() tells them apart. WebSocketApp calls on_error for every end, also for
#   status 1000, before on_close. And the handshake sends an Origin header without being asked, made from the URL,
#   so a server that checks origins treats this program as a browser page of its own host.
# One would expect: an exception with the code at the close (as for a lost connection), no error for a normal close, and no
#   Origin from a program that is no browser.
# Seen: recv() '' 'x' '' for messages "", "x" and a close 3512 "drain"; events open, message "", message "x", error
#   (... code 1000), close 1000; header "Origin: http://127.0.0.1:PORT".
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check websocket-client==1.9.2
cat > run.py <<'PY'
import base64, hashlib, socket, struct, sys, threading
import websocket

listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
heads = []

def serve():
    while True:
        peer, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(4096)
        head = head.decode()
        heads.append(head)
        key = next(l.split(":", 1)[1].strip() for l in head.split("\r\n") if l.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        close = struct.pack(">H", 1000) if head.startswith("GET /1000") else struct.pack(">H", 3512) + b"drain"
        peer.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
                     + b"\x81\x00" + b"\x81\x01x" + bytes([0x88, len(close)]) + close)
        peer.settimeout(5)
        try:
            peer.recv(100)
        except OSError:
            pass
        peer.close()

threading.Thread(target=serve, daemon=True).start()
url = f"ws://127.0.0.1:{port}/"
ws = websocket.create_connection(url + "3512", timeout=5)
received = [ws.recv() for _ in range(3)]
print("recv():", received)
events = []
app = websocket.WebSocketApp(url + "1000",
    on_open=lambda w: events.append("open"), on_message=lambda w, m: events.append(f"message {m!r}"),
    on_error=lambda w, e: events.append(f"error {e}"), on_close=lambda w, code, reason: events.append(f"close {code}"))
app.run_forever()
print("WebSocketApp:", events)
origin = [l for l in heads[0].split("\r\n") if l.lower().startswith("origin:")]
print("header:", origin)
ok = (received == ["", "x", ""] and len(events) == 5 and events[3].startswith("error") and "1000" in events[3]
      and events[4] == "close 1000" and origin == [f"Origin: http://127.0.0.1:{port}"])
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
