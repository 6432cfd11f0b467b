#!/bin/sh
# jsonseq 1.0.0 (PyPI) and json-text-sequence 4.0.3 (npm, on Node 20.20 and 24.21), readers of JSON text sequences (RFC 7464).
#
# Behaviour: jsonseq's decoder takes the pieces that it is fed for single records: two records that arrive in one piece are the
#   error "Extra data", while the same bytes one letter at a time, or each record in its own piece, are read. So it works until two messages share a
#   read. json-text-sequence's Parser is a stream of objects and hands a record `null` on as it is, which ends the stream: the
#   records after it are lost, and the error "stream.push() after EOF" comes after `end`.
# One would expect: records separated by RS wherever the pieces end, and null a text like another (RFC 7464, section 2.1).
# Seen: one piece: JSONDecodeError; by letters: 2 records. 1, null, false: 1, end, ERR_STREAM_PUSH_AFTER_EOF.
# Needs: Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check jsonseq==1.0.0
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts json-text-sequence@4.0.3
cat > run.py <<'PY'
import sys
from jsonseq.decode import JSONSeqDecoder

def read(pieces):
    try:
        return list(JSONSeqDecoder().decode(pieces))
    except ValueError as error:
        return type(error).__name__

text = '\x1e{"a":1}\n\x1e{"b":2}\n'
seen = [read([text]), read(list(text)), read([text[:9], text[9:]]), read([text[:13], text[13:]])]
print("jsonseq: one piece, letters, a record each, cut within the second:", seen)
records = [{"a": 1}, {"b": 2}]
sys.exit(seen != ["JSONDecodeError", records, records, "JSONDecodeError"])
PY
cat > run.mjs <<'JS'
import { Parser } from "json-text-sequence";
const read = (text) => new Promise((resolve) => {
  const parser = new Parser(), seen = [];
  parser.on("data", (record) => seen.push(record));
  parser.on("error", (error) => seen.push(error.code));
  parser.on("end", () => seen.push("end"));
  parser.on("close", () => resolve(seen));
  parser.end(text);
});
const seen = [await read("\x1e1\n\x1efalse\n\x1e0\n\x1e\"\"\n"), await read("\x1e1\n\x1enull\n\x1efalse\n")];
console.log("json-text-sequence:", JSON.stringify(seen));
if (JSON.stringify(seen) !== '[[1,false,0,"","end"],[1,"end","ERR_STREAM_PUSH_AFTER_EOF"]]') process.exit(1);
JS
v/bin/python run.py && node run.mjs && echo "as described"
