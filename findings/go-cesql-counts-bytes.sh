#!/bin/sh
# CloudEvents SQL for Go, github.com/cloudevents/sdk-go/sql/v2 2.16.2.
#
# Behaviour: a CESQL expression counts UTF-8 bytes, not characters: LENGTH of two letters is 5, `_` of LIKE stands for one
#   byte, and LEFT, RIGHT and SUBSTRING cut through a letter and answer text that is no valid UTF-8. So a filter
#   written and tested with ASCII silently stops matching for other names.
# One would expect: characters (as for `_` of LIKE in every SQL), and never a text cut within a character.
# Seen: LENGTH('é€') 5; 'é' LIKE '_' false, LIKE '__' true; LEFT('é€', 1) one byte C3; SUBSTRING('é€', 2) starts with A9.
# Needs: Go 1.26.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/v2/event"
)

func main() {
	e := event.New()
	e.SetID("1")
	e.SetSource("/s")
	e.SetType("t")
	bad := false
	for _, c := range [][2]string{
		{"LENGTH('ab')", "2"}, {"LENGTH('é€')", "5"},
		{"'e' LIKE '_'", "true"}, {"'é' LIKE '_'", "false"}, {"'é' LIKE '__'", "true"},
		{"LEFT('é€', 1)", "\xc3"}, {"RIGHT('é€', 1)", "\xac"}, {"SUBSTRING('é€', 2)", "\xa9€"},
	} {
		x, err := parser.Parse(c[0])
		if err != nil {
			fmt.Println(c[0], err)
			os.Exit(1)
		}
		v, err := x.Evaluate(e)
		fmt.Printf("%-24s %q %v\n", c[0], fmt.Sprint(v), err)
		bad = bad || err != nil || fmt.Sprint(v) != c[1]
	}
	if bad {
		fmt.Println("CHANGED")
		os.Exit(1)
	}
	fmt.Println("as described")
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 github.com/cloudevents/sdk-go/sql/v2@v2.16.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
