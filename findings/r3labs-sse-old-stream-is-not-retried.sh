#!/bin/sh
# github.com/r3labs/sse/v2 2.10.0 (Go), with gopkg.in/cenkalti/backoff.v1 1.1.0.
#
# Behaviour: the time in which Subscribe tries again after a lost connection counts from the call of Subscribe and not from the
#   loss. It is 15 minutes unless one sets it, so a stream that has been up for longer is given up at its first loss, without a
#   single try: Subscribe returns "unexpected EOF". The pause between tries does not begin anew either once a stream is up again.
# One would expect: 15 minutes of tries after a loss, whenever it comes. A test that cuts a young stream shows just that.
# Seen, with 2 s in place of the 15 minutes and a server that cuts the first stream after 0.3 s or after 2.5 s: 2 connections and
#   the event of the second one; 1 connection and an error.
# Needs: Go 1.26.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

func run(cutAfter time.Duration) string {
	var connections atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		n := connections.Add(1)
		fmt.Fprintf(w, "id: %d\ndata: of connection %d\n\n", n, n)
		w.(http.Flusher).Flush()
		if n == 1 {
			time.Sleep(cutAfter)
			// Cuts the connection in the middle of the body.
			panic(http.ErrAbortHandler)
		}
		time.Sleep(200 * time.Millisecond)
	}))
	defer server.Close()
	client := sse.NewClient(server.URL)
	strategy := backoff.NewExponentialBackOff()
	strategy.MaxElapsedTime = 2 * time.Second
	client.ReconnectStrategy = strategy
	heard := 0
	err := client.SubscribeRawWithContext(context.Background(), func(*sse.Event) { heard++ })
	return fmt.Sprintf("%d connections, %d events, %v", connections.Load(), heard, err)
}

func main() {
	limit := backoff.NewExponentialBackOff().MaxElapsedTime
	young, old := run(300*time.Millisecond), run(2500*time.Millisecond)
	fmt.Println("default limit:", limit)
	fmt.Println("cut after 0.3 s:", young)
	fmt.Println("cut after 2.5 s:", old)
	if limit == 15*time.Minute && young == "2 connections, 2 events, <nil>" && old == "1 connections, 1 events, unexpected EOF" {
		fmt.Println("as described")
		return
	}
	fmt.Println("CHANGED")
	os.Exit(1)
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/r3labs/sse/v2@v2.10.0 gopkg.in/cenkalti/backoff.v1@v1.1.0 >/dev/null 2>&1
go run .
