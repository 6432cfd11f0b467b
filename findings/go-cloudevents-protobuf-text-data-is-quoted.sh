#!/bin/sh
# CloudEvents SDK for Go 2.16.2 (event) with its protobuf format 2.16.2 (binding/format/protobuf/v2).
#
# Behaviour: an event in protobuf whose `text_data` holds JSON or plain text is read as if the text had still to be
#   turned into JSON. Under application/json, and without datacontenttype, the reader gets a JSON string around the
#   document: {"a":1} becomes "{\"a\":1}", hello becomes "hello" with its quotes. Under text/plain it is read as it is.
#   The same bytes in `binary_data` are always read as they are. Writing never uses text_data, not even for text/plain.
# One would expect: text_data and binary_data with the same bytes give the same event data, as the two fields differ
#   only in how the bytes travel; and text written as text_data.
# Seen: text_data application/json -> "{\"a\":1}"; none -> "hello"; text/plain -> hello;
#   binary_data application/json -> {"a":1}; text/plain written as binary_data.
# Needs: Go 1.26.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	format "github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	"github.com/cloudevents/sdk-go/binding/format/protobuf/v2/pb"
	"github.com/cloudevents/sdk-go/v2/event"
	"google.golang.org/protobuf/proto"
)

func message(contentType string) *pb.CloudEvent {
	m := &pb.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t", Attributes: map[string]*pb.CloudEventAttributeValue{}}
	if contentType != "" {
		m.Attributes["datacontenttype"] = &pb.CloudEventAttributeValue{Attr: &pb.CloudEventAttributeValue_CeString{CeString: contentType}}
	}
	return m
}

func main() {
	bad := false
	read := func(name string, m *pb.CloudEvent, want string) {
		b, err := proto.Marshal(m)
		if err == nil {
			var e event.Event
			if err = format.Protobuf.Unmarshal(b, &e); err == nil {
				fmt.Printf("%-32s %s\n", name, e.Data())
				bad = bad || string(e.Data()) != want
				return
			}
		}
		fmt.Println(name, err)
		bad = true
	}
	text := func(contentType, s string) *pb.CloudEvent {
		m := message(contentType)
		m.Data = &pb.CloudEvent_TextData{TextData: s}
		return m
	}
	read("text_data, application/json", text("application/json", `{"a":1}`), `"{\"a\":1}"`)
	read("text_data, no content type", text("", "hello"), `"hello"`)
	read("text_data, text/plain", text("text/plain", "hello"), "hello")
	binary := message("application/json")
	binary.Data = &pb.CloudEvent_BinaryData{BinaryData: []byte(`{"a":1}`)}
	read("binary_data, application/json", binary, `{"a":1}`)

	e := event.New()
	e.SetID("1")
	e.SetSource("/s")
	e.SetType("t")
	_ = e.SetData("text/plain", "hello")
	out, err := format.ToProto(&e)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("%-32s %T\n", "text/plain is written as", out.Data)
	if _, ok := out.Data.(*pb.CloudEvent_BinaryData); !ok {
		bad = true
	}
	if bad {
		fmt.Println("CHANGED")
		os.Exit(1)
	}
	fmt.Println("as described")
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 github.com/cloudevents/sdk-go/binding/format/protobuf/v2@v2.16.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
