// Reads a channel by r3labs/sse: read EVENTS TICKETS. Prints a line of JSON for each event.
//
// The library tries again after an error, for a quarter of an hour in all, and not when the server ends the stream. So
// there has to be a loop around it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

var errExpired = errors.New("the ticket has expired")

type line struct {
	Event  string `json:"event"`
	Text   string `json:"text,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func say(told line) {
	text, _ := json.Marshal(told)
	fmt.Println(string(text))
}

func ticketAt(address string) (string, error) {
	answer, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("no ticket: %s", answer.Status)
	}
	return string(text), err
}

// The id of the last event.
var last string

func heard(event *sse.Event) {
	// What has come of an event when the connection ends is handed over as well. It has no id of its own: that comes last.
	if string(event.ID) == last {
		return
	}
	last = string(event.ID)
	var told struct {
		Reason  string
		Payload struct {
			Text string `json:"text_data"`
		}
	}
	if err := json.Unmarshal(event.Data, &told); err != nil {
		panic(err)
	}
	name := string(event.Event)
	if name == "" {
		name = "message"
	}
	say(line{name, told.Payload.Text, told.Reason})
}

func main() {
	events, tickets := os.Args[1], os.Args[2]
	client := sse.NewClient("")
	client.ResponseValidator = func(_ *sse.Client, answer *http.Response) error {
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent {
			return fmt.Errorf("no stream: %s", answer.Status)
		}
		// The library would go on trying with the same ticket.
		client.URL = ""
		say(line{Event: "closed"})
		return backoff.Permanent(errExpired)
	}
	for {
		if client.URL == "" {
			if ticket, err := ticketAt(tickets); err == nil {
				client.URL = events + "?ticket=" + url.QueryEscape(ticket)
			}
		}
		if client.URL != "" {
			_ = client.SubscribeRaw(heard)
		}
		time.Sleep(time.Second)
	}
}
