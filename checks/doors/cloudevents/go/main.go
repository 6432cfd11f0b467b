// Sends the cases by the CloudEvents SDK for Go: doors CASES URL KEY MODE. Prints a line of JSON each.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

type sentCase struct {
	Name       string
	Attributes map[string]string
	Extensions map[string]any
	Data       struct {
		JSON   json.RawMessage
		Text   *string
		Base64 *string
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func eventOf(c sentCase) event.Event {
	e := event.New()
	for name, value := range c.Attributes {
		switch name {
		case "id":
			e.SetID(value)
		case "source":
			e.SetSource(value)
		case "type":
			e.SetType(value)
		case "subject":
			e.SetSubject(value)
		case "dataschema":
			e.SetDataSchema(value)
		case "time":
			at, err := time.Parse(time.RFC3339Nano, value)
			check(err)
			e.SetTime(at)
		}
	}
	for name, value := range c.Extensions {
		if number, ok := value.(float64); ok {
			value = int32(number)
		}
		e.SetExtension(name, value)
	}
	contentType := c.Attributes["datacontenttype"]
	switch {
	case c.Data.Text != nil:
		// As bytes: a string becomes an element of XML where it is said to be XML.
		check(e.SetData(contentType, []byte(*c.Data.Text)))
	case c.Data.Base64 != nil:
		raw, err := base64.StdEncoding.DecodeString(*c.Data.Base64)
		check(err)
		check(e.SetData(contentType, raw))
	case c.Data.JSON != nil:
		if contentType == "" {
			contentType = event.ApplicationJSON
		}
		check(e.SetData(contentType, c.Data.JSON))
	}
	return e
}

func send(name string, request *http.Request, key string) {
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	line := map[string]any{"name": name}
	if err != nil {
		line["error"] = err.Error()
	} else {
		body, err := io.ReadAll(response.Body)
		check(err)
		line["status"], line["body"] = response.StatusCode, string(body)
	}
	text, err := json.Marshal(line)
	check(err)
	fmt.Println(string(text))
}

func main() {
	cases, url, key, mode := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	file, err := os.ReadFile(cases)
	check(err)
	var every []sentCase
	check(json.Unmarshal(file, &every))
	ctx := context.Background()
	var events []event.Event
	for _, one := range every {
		events = append(events, eventOf(one))
	}
	if mode == "batch" {
		request, err := cehttp.NewHTTPRequestFromEvents(ctx, url, events)
		check(err)
		send("batch", request, key)
		return
	}
	if mode == "structured" {
		ctx = binding.WithForceStructured(ctx)
	}
	for i, e := range events {
		request, err := cehttp.NewHTTPRequestFromEvent(ctx, url, e)
		check(err)
		send(every[i].Name, request, key)
	}
}
