#!/bin/sh
# CloudEvents SDK for Go 2.16.2 (event) with its protobuf format 2.16.2 (binding/format/protobuf/v2).
#
# Behaviour: an event that came in by protobuf is not marked as binary, whatever its content type. Written as JSON
#   afterwards, application/octet-stream bytes 00 FF become a text in `data`, with the byte FF as it is: the document is
#   no valid UTF-8, so no JSON for others, and there was no error. The same event made by SetData in the same program is
#   written as `data_base64`.
#   An event with `proto_data` loses its type URL altogether (no dataschema), and its bytes go the same way.
#   An event WITHOUT data, written to protobuf and read again, has empty data instead of none and cannot be written
#   as JSON any more (an error).
# One would expect: protobuf -> JSON keeps the bytes (data_base64), keeps the Any's type URL somewhere, and keeps "no data".
# Seen: sent AP8= ; by JSON directly "data_base64":"AP8="; by way of protobuf "data":"\u0000" and the bare byte FF;
#   proto_data of a Duration: datacontenttype application/protobuf, dataschema empty; no data: error of MarshalJSON.
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
	"time"
	"unicode/utf8"

	format "github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	"github.com/cloudevents/sdk-go/binding/format/protobuf/v2/pb"
	"github.com/cloudevents/sdk-go/v2/event"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func fresh() event.Event {
	e := event.New()
	e.SetID("1")
	e.SetSource("/s")
	e.SetType("t")
	return e
}

func throughProtobuf(e event.Event) event.Event {
	b, err := format.Protobuf.Marshal(&e)
	check(err)
	var back event.Event
	check(format.Protobuf.Unmarshal(b, &back))
	return back
}

func main() {
	bytes := fresh()
	check(bytes.SetData("application/octet-stream", []byte{0, 255}))
	direct, err := json.Marshal(bytes)
	check(err)
	indirect, err := json.Marshal(throughProtobuf(bytes))
	check(err)
	fmt.Printf("direct:           %s\nthrough protobuf: %q\n", direct, indirect)

	any, err := anypb.New(durationpb.New(time.Second))
	check(err)
	b, err := proto.Marshal(&pb.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t", Data: &pb.CloudEvent_ProtoData{ProtoData: any}})
	check(err)
	var typed event.Event
	check(format.Protobuf.Unmarshal(b, &typed))
	fmt.Printf("proto_data:       type %s, datacontenttype %q, dataschema %q, extensions %v\n", any.TypeUrl, typed.DataContentType(), typed.DataSchema(), typed.Extensions())

	empty := fresh()
	_, before := json.Marshal(empty)
	_, after := json.Marshal(throughProtobuf(empty))
	fmt.Printf("no data:          before %v, through protobuf %v\n", before, after)

	if !strings.Contains(string(direct), `"data_base64":"AP8="`) || strings.Contains(string(indirect), "data_base64") ||
		utf8.Valid(indirect) || typed.DataSchema() != "" || len(typed.Extensions()) != 0 || before != nil || after == nil {
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
