#!/bin/sh
# github.com/gin-contrib/sse 1.1.0 (what Gin's c.SSEvent writes by) and github.com/tmaxmax/go-sse 0.12.0 (Go), as writers of events.
#
# Behaviour: gin-contrib/sse changes the text it sends: a leading blank is lost, as it puts none of its own behind "data:"; CR becomes
#   the two characters \ and r, so text with the line ends of Windows has a "\r" at the end of each line; nil is the text
#   <nil>. go-sse sends no event at all for an empty text, and drops a line end at the end of the data.
# One would expect: what was sent, but for CR, which the format cannot carry (HTML standard, 9.2.6: one blank behind the colon is
#   dropped, an empty data line is data, and the lines are joined by LF).
# Seen: each text as an independent reader (eventsource-parser 4.1.3, npm) has it:
#   gin " x" -> "x", "a\r\nb" -> "a\\r\nb", "a\n" -> "a\n", "" -> "", nil -> "<nil>"; go-sse " x" -> " x",
#   "a\r\nb" -> "a\nb", "a\n" -> "a", "" -> no event.
# Needs: Go 1.26, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts eventsource-parser@4.1.3
cat > main.go <<'GO'
package main

import (
	"bytes"
	"encoding/json"
	"os"

	gin "github.com/gin-contrib/sse"
	"github.com/tmaxmax/go-sse"
)

func main() {
	texts := []any{" x", "a\r\nb", "a\n", "", nil}
	streams := map[string][]string{}
	for _, text := range texts {
		var b bytes.Buffer
		if err := gin.Encode(&b, gin.Event{Data: text}); err != nil {
			panic(err)
		}
		streams["gin-contrib/sse"] = append(streams["gin-contrib/sse"], b.String())
		if s, ok := text.(string); ok {
			m := sse.Message{}
			m.AppendData(s)
			b, err := m.MarshalText()
			if err != nil {
				panic(err)
			}
			streams["go-sse"] = append(streams["go-sse"], string(b))
		}
	}
	json.NewEncoder(os.Stdout).Encode(streams)
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/gin-contrib/sse@v1.1.0 github.com/tmaxmax/go-sse@v0.12.0 >/dev/null 2>&1
go run . > streams.json
cat > run.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createParser } from "eventsource-parser";
const read = (stream) => {
  const data = [];
  createParser({ onEvent: (event) => data.push(event.data) }).feed(stream);
  return data.length === 0 ? "no event" : data[0];
};
const streams = JSON.parse(readFileSync("streams.json", "utf8"));
const seen = Object.fromEntries(Object.entries(streams).map(([name, list]) => [name, list.map(read)]));
console.log(JSON.stringify(seen, null, 1));
const wanted = { "gin-contrib/sse": ["x", "a\\r\nb", "a\n", "", "<nil>"], "go-sse": [" x", "a\nb", "a", "no event"] };
process.exit(JSON.stringify(seen) === JSON.stringify(wanted) ? 0 : 1);
JS
node run.mjs
