#!/bin/sh
# CloudEvents SDK for Go 2.16.2 (event).
#
# Behaviour: SetData("application/xml", `<a b="1"/>`) with a string makes the data <string>&lt;a b=&#34;1&#34;/&gt;</string>:
#   the document is escaped and put into an element of its own. With []byte it goes as it is, and so does a string
#   with text/plain. In structured mode bytes of both types travel as data_base64, the string as `data`.
# One would expect: a string that is said to be XML is the document.
# Seen: as above, without an error; receivers read XML that is valid and holds the document as text.
# Needs: Go 1.26.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
cat > main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
)

func made(contentType string, data any) (string, string) {
	e := event.New()
	e.SetID("1")
	e.SetSource("/s")
	e.SetType("t")
	if err := e.SetData(contentType, data); err != nil {
		panic(err)
	}
	document, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(e.Data()), string(document)
}

func main() {
	const xml = `<a b="1"/>`
	text, _ := made("application/xml", xml)
	bytes, document := made("application/xml", []byte(xml))
	plain, _ := made("text/plain", xml)
	fmt.Printf("string: %s\nbytes:  %s\nplain:  %s\n%s\n", text, bytes, plain, document)
	if !strings.HasPrefix(text, "<string>&lt;a") || bytes != xml || plain != xml || !strings.Contains(document, "data_base64") {
		fmt.Println("CHANGED")
		os.Exit(1)
	}
	fmt.Println("as described")
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
