// Publishes each line that it reads, and prints each message of a channel once: go run . URL CHANNEL
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/coder/websocket"
)

type object = map[string]any

// frame is what this client reads of an OutboundMessage.
type frame struct {
	ID        string
	Connected *struct {
		Subscriptions []struct{ Position, Error object }
		Window        time.Duration `json:"dedup_window_ms"`
	}
	Publication struct {
		Messages []struct {
			Epoch, Offset string
			Payload       struct {
				Text string `json:"text_data"`
			}
		}
	}
	Ack        object `json:"publish_ack"`
	Recovered  struct{ Position, Gap object }
	Gap, Error object
	Disconnect struct {
		RetryAfter time.Duration `json:"retry_after_ms"`
	}
}

var (
	url, channel = os.Args[1], os.Args[2]
	lines        = make(chan string)
	since        object  // Where to go on: the position of the last message.
	unacked      []*note // What was published and has no answer: it is sent again, and counts once by the event's id.
)

type note struct {
	message object
	first   time.Time // When it was sent first.
}

// comesBack is the table of SPEC.md, E2; -1 is a connection that was lost.
func comesBack(code websocket.StatusCode) bool {
	switch code {
	case 3502, 3504, 3510, 3511, 3512, 3513:
		return true
	case 1009:
		return false
	}
	return code < 3500 || code >= 4000 && code < 4500
}

func mayRetry(err object) bool { return err["code"] == "RATE_LIMITED" || err["code"] == "UNAVAILABLE" }

// session returns the close code, how long the server wants the client to stay away, and whether it was connected.
func session() (code websocket.StatusCode, wait time.Duration, connected bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	silence := time.AfterFunc(10*time.Second, cancel) // The first answer has a time limit, and so has each later one.
	defer silence.Stop()
	socket, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"messageloop+json"}})
	if err != nil {
		log.Print(err)
		return -1, 0, false
	}
	defer socket.CloseNow()
	if socket.Subprotocol() != "messageloop+json" {
		log.Print("this is no MessageLoop server")
		return -1, 0, false
	}
	socket.SetReadLimit(1 << 20) // It is 32 KiB otherwise, and frames may be larger.
	send := func(message object) {
		text, _ := json.Marshal(message)
		_ = socket.Write(ctx, websocket.MessageText, text) // Who reads meets a loss as well, with its code.
	}
	publish := func(one *note) {
		if one.first.IsZero() {
			one.first = time.Now()
		}
		send(one.message)
		one.message["again"] = true
	}
	var window time.Duration // How long the server knows an event again, less what a message may take on its way.
	republish := func() {
		unacked = slices.DeleteFunc(unacked, func(one *note) bool {
			late := !one.first.IsZero() && time.Since(one.first) > window
			if late {
				log.Print("outcome unknown: ", one.message)
			}
			return late
		})
		for _, one := range unacked {
			publish(one)
		}
	}
	entry := object{"channel": channel}
	if since != nil {
		entry["since"] = since
	}
	send(object{"connect": object{"token": os.Getenv("MESSAGELOOP_TOKEN"), "subscriptions": []object{entry},
		"capabilities": []string{"control", "recovery"}}})
	texts, ended := make(chan []byte, 64), make(chan websocket.StatusCode, 1)
	go func() { // In a goroutine of its own: the library answers pings, and sees the close, only while somebody reads.
		for {
			_, text, err := socket.Read(ctx)
			if err != nil {
				close(texts)
				ended <- websocket.CloseStatus(err)
				return
			}
			silence.Reset(60 * time.Second) // Each ping is answered, so silence for longer than two of them is a loss.
			select {
			case texts <- text:
			case <-ctx.Done():
			}
		}
	}()
	pings := time.NewTicker(25 * time.Second)
	defer pings.Stop()
	var input chan string // Nothing is published before the session has begun.
	for {
		select {
		case line := <-input:
			id := fmt.Sprintf("%016x", rand.Uint64())
			event := object{"id": id, "source": "/example", "type": "note", "text_data": line}
			one := &note{message: object{"id": id, "channel": channel, "publish": event}}
			unacked = append(unacked, one)
			publish(one)
		case <-pings.C:
			_ = socket.Write(ctx, websocket.MessageText, []byte("ping"))
			republish()
		case text, open := <-texts:
			if !open {
				return <-ended, wait, connected
			}
			var frame frame
			if json.Unmarshal(text, &frame) != nil {
				continue // The text frame "pong".
			}
			if !take(frame) {
				return -1, 0, false
			}
			wait = frame.Disconnect.RetryAfter * time.Millisecond
			if frame.Connected != nil {
				connected, input = true, lines
				window = frame.Connected.Window*time.Millisecond - 30*time.Second
				republish()
			}
		}
	}
}

// take returns whether the connection is of use: one that could not subscribe is not.
func take(frame frame) bool {
	if frame.Connected != nil {
		entry := frame.Connected.Subscriptions[0]
		if entry.Error != nil && !mayRetry(entry.Error) {
			log.Fatal(entry.Error)
		} else if entry.Error != nil {
			return false
		}
		if since == nil {
			since = entry.Position
		}
	}
	for _, message := range frame.Publication.Messages {
		fmt.Println(message.Payload.Text)
		if message.Epoch != "" { // What is not in the log has no position.
			since = object{"epoch": message.Epoch, "offset": message.Offset}
		}
	}
	if frame.Recovered.Position != nil {
		since = frame.Recovered.Position
	}
	for _, gap := range []object{frame.Gap, frame.Recovered.Gap} {
		if gap != nil {
			log.Print("missed: ", gap)
		}
	}
	if frame.Error != nil {
		log.Print("error: ", frame.Error)
	}
	if frame.Ack != nil || frame.Error != nil && !mayRetry(frame.Error) {
		unacked = slices.DeleteFunc(unacked, func(one *note) bool { return one.message["id"] == frame.ID })
	}
	return true
}

func main() {
	go func() {
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			lines <- input.Text()
		}
	}()
	for tries := 0; ; tries++ {
		code, wait, connected := session()
		if !comesBack(code) {
			log.Fatal("closed with ", int(code))
		}
		if connected {
			tries = 0
		}
		time.Sleep(wait + rand.N(min(20*time.Second, 500*time.Millisecond<<min(tries, 6))))
	}
}
