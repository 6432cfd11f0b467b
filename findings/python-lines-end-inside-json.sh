#!/bin/sh
# httpx 0.28.1, requests 2.34.2, ndjson 0.3.1 (PyPI), beside jsonlines 4.0.0.
#
# Behaviour: JSON lets U+2028, U+2029 and U+0085 stand in a string as they are, and JSON.stringify of JavaScript, Go's encoder with
#   SetEscapeHTML(false) and Python's ensure_ascii=False write some or all of them so. httpx's iter_lines(), and requests'
#   iter_lines(decode_unicode=True), end a line there: a stream of newline-delimited JSON, or a hand-read event stream, breaks
#   in the middle of a message. ndjson.loads() does worse: it makes one array of the lines, so the letter silently becomes a comma.
# One would expect: lines that end at LF (and CR LF), as the NDJSON specification (section 3.1) and RFC 8259 allow.
# Seen: two records: httpx 4 lines, requests 4 (2 without decode_unicode), ndjson 'x,y', jsonlines 2 records, unspoiled.
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check httpx==0.28.1 requests==2.34.2 ndjson==0.3.1 jsonlines==4.0.0
cat > run.py <<'PY'
import http.server, io, json, sys, threading
import httpx, jsonlines, ndjson, requests

records = [{"a": "x\u2028y"}, {"b": "p\u0085q"}]
body = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
session = requests.Session()
session.trust_env = False
with httpx.Client(trust_env=False) as client, client.stream("GET", url) as answer:
    seen = {"httpx": list(answer.iter_lines())}
seen["requests, text"] = list(session.get(url, stream=True).iter_lines(decode_unicode=True))
seen["requests, bytes"] = [json.loads(line) for line in session.get(url, stream=True).iter_lines()]
seen["ndjson.loads"] = ndjson.loads(body.decode())
seen["ndjson.reader"] = list(ndjson.reader(io.StringIO(body.decode())))
seen["jsonlines"] = list(jsonlines.Reader(io.BytesIO(body)))
for name, value in seen.items():
    print(f"{name:16} {value!a}")
broken = ['{"a": "x', 'y"}', '{"b": "p', 'q"}']
ok = seen == {"httpx": broken, "requests, text": broken, "requests, bytes": records,
              "ndjson.loads": [{"a": "x,y"}, {"b": "p,q"}], "ndjson.reader": records, "jsonlines": records}
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
