#!/bin/sh
# opentelemetry-proto 0.33.1 (Rust, feature with-serde), reading OTLP/JSON as go.opentelemetry.io/collector/pdata 1.71.0 writes it.
#
# Behaviour: an attribute with an empty list, which Go (and any writer that leaves out empty fields) writes as {"arrayValue":{}},
#   makes the whole request of spans unreadable: missing field `values`; so does a double that is "NaN". In metrics the same
#   faults are silent: a gauge with one such attribute, or with one point that is "NaN" or "Infinity", is read as a metric
#   without data, or a point without a value, and there is no error. Numbers as strings, unknown fields and left-out ids are read as they should.
# One would expect: left-out fields read as empty, "NaN" and "Infinity" as doubles (OTLP 1.x, "JSON Protobuf Encoding", which is
#   ProtoJSON but for ids and enums), and an error where something cannot be read.
# Seen: spans: error, error; metrics: no gauge for the empty list; a point without a value for "NaN".
# Needs: Go 1.26, Rust 1.95.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
mkdir go rust rust/src
cat > go/main.go <<'GO'
package main

import (
	"fmt"
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func main() {
	fills := []func(pcommon.Map){
		func(m pcommon.Map) { m.PutEmptySlice("tags").AppendEmpty().SetStr("x") },
		func(m pcommon.Map) { m.PutEmptySlice("tags") },
		func(m pcommon.Map) { m.PutDouble("ratio", math.NaN()) },
	}
	for _, fill := range fills {
		t := ptrace.NewTraces()
		s := t.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{2})
		fill(s.Attributes())
		b, err := (&ptrace.JSONMarshaler{}).MarshalTraces(t)
		fmt.Println(string(b))
		if err != nil {
			panic(err)
		}
	}
	for i, value := range []float64{1.5, 1.5, math.NaN()} {
		m := pmetric.NewMetrics()
		g := m.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		g.SetName("load")
		p := g.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetDoubleValue(value)
		if i == 1 {
			p.Attributes().PutEmptySlice("tags")
		}
		b, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(m)
		fmt.Println(string(b))
		if err != nil {
			panic(err)
		}
	}
}
GO
(cd go; go mod init finding; go get go.opentelemetry.io/collector/pdata@v1.71.0; go mod tidy) >/dev/null 2>&1
(cd go; go run .) > lines
cat > rust/Cargo.toml <<'TOML'
[package]
name = "run"
version = "0.0.0"
edition = "2021"
[dependencies]
serde_json = "1"
opentelemetry-proto = { version = "=0.33.1", default-features = false, features = ["gen-tonic-messages", "with-serde", "trace", "metrics"] }
TOML
cat > rust/src/main.rs <<'RS'
use opentelemetry_proto::tonic::collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
fn read(line: &str) -> String {
    if line.contains("resourceSpans") {
        return match serde_json::from_str::<ExportTraceServiceRequest>(line) {
            Err(error) => format!("error: {}", error.to_string().split(" at ").next().unwrap()),
            Ok(t) => format!("{} attribute", t.resource_spans[0].scope_spans[0].spans[0].attributes.len()),
        };
    }
    match serde_json::from_str::<ExportMetricsServiceRequest>(line) {
        Err(error) => format!("error: {error}"),
        Ok(m) => match &m.resource_metrics[0].scope_metrics[0].metrics[0].data {
            Some(Data::Gauge(gauge)) => format!("gauge, value {:?}", gauge.data_points[0].value),
            other => format!("data {other:?}"),
        },
    }
}
fn main() {
    let seen: Vec<String> = std::io::stdin().lines().map(|line| { let line = line.unwrap(); let seen = read(&line); println!("{line}\n    {seen}"); seen }).collect();
    let ok = seen == ["1 attribute", "error: missing field `values`", "error: invalid type: string \"NaN\", expected f64",
        "gauge, value Some(AsDouble(1.5))", "data None", "gauge, value None"];
    println!("{}", if ok { "as described" } else { "CHANGED" });
    std::process::exit(if ok { 0 } else { 1 });
}
RS
cd rust; cargo run --quiet < ../lines
