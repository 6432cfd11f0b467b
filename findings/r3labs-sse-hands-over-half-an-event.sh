#!/bin/sh
# github.com/r3labs/sse/v2 2.10.0 (Go).
#
# Behaviour: where a connection ends in the middle of an event, what has come of it is given to the handler like any other. An
#   event without an id has the id of the event before it. Where the line of the id is what was cut short, the client
#   keeps that part, and resumes there.
# One would expect: an event that its blank line does not end is discarded, as the HTML standard says and browsers do.
# Seen, with a stream that is cut inside the second event, its data and its id in turns: data `{"n":` with id "e-11"; data
#   `{"n":2}` with id "e-1", which is sent as Last-Event-ID although the server never gave out such an id.
# Needs: Go 1.26.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/r3labs/sse/v2"
)

func run(second string) string {
	asked := []string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		if len(asked) == 1 {
			fmt.Fprintf(w, "data: {\"n\":1}\nid: e-11\n\n%s", second)
		}
	}))
	defer server.Close()
	client := sse.NewClient(server.URL)
	heard := ""
	for range 2 {
		if err := client.SubscribeRaw(func(e *sse.Event) { heard += fmt.Sprintf("%s of %s, ", e.Data, e.ID) }); err != nil {
			panic(err)
		}
	}
	return heard + "resumed at " + asked[1]
}

func main() {
	data, id := run(`data: {"n":`), run("data: {\"n\":2}\nid: e-1")
	fmt.Println("cut in the data:", data)
	fmt.Println("cut in the id:", id)
	if data == `{"n":1} of e-11, {"n": of e-11, resumed at e-11` && id == `{"n":1} of e-11, {"n":2} of e-1, resumed at e-1` {
		fmt.Println("as described")
		return
	}
	fmt.Println("CHANGED")
	os.Exit(1)
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/r3labs/sse/v2@v2.10.0 >/dev/null 2>&1
go run .
