#!/bin/sh
# pbjson-types 0.9.0 (Rust), the well-known types of protobuf for JSON by serde.
#
# Behaviour: a whole number beyond 2^53 anywhere in a Struct or Value is "out of range integral type conversion attempted", and the
#   message is refused; the same number with ".0" is taken. Infinity and NaN of a DoubleValue are written as null, which is
#   read as no value. A FieldMask is written and read as an object of paths, not as one string, and an Any as typeUrl and
#   value. An int64 as 1e3 is refused. Timestamps are written with +00:00.
# One would expect: ProtoJSON: any JSON number, "Infinity" and "NaN", "fooBar,a.b", "@type", exponents of whole numbers taken, and Z.
# Seen: printed below.
# Needs: Rust 1.95.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "run"
version = "0.0.0"
edition = "2021"
[dependencies]
pbjson-types = "=0.9.0"
serde_json = "1"
TOML
cat > src/main.rs <<'RS'
use pbjson_types::*;
fn text<T, E: std::fmt::Display>(result: Result<T, E>, show: impl Fn(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => format!("error: {}", error.to_string().split(" at line").next().unwrap()),
    }
}
fn main() {
    let structure = |json: &str| text(serde_json::from_str::<Struct>(json), |s| serde_json::to_string(&s).unwrap().replace("e+", "e"));
    let mask = FieldMask { paths: vec!["foo_bar".into(), "a.b".into()] };
    let seen = [
        structure(r#"{"id":9007199254740991}"#),
        structure(r#"{"id":123456789012345678}"#),
        structure(r#"{"id":123456789012345678.0}"#),
        serde_json::to_string(&DoubleValue { value: f64::INFINITY }).unwrap(),
        serde_json::to_string(&DoubleValue { value: f64::NAN }).unwrap(),
        serde_json::to_string(&mask).unwrap(),
        text(serde_json::from_str::<FieldMask>("\"fooBar,a.b\""), |_| "read".into()).split(':').next().unwrap().into(),
        text(serde_json::from_str::<Int64Value>("1e3"), |_| "read".into()).split(':').next().unwrap().into(),
        text(serde_json::from_str::<Int64Value>("\"1000\""), |v| v.value.to_string()),
        serde_json::to_string(&Timestamp { seconds: 0, nanos: 0 }).unwrap(),
        serde_json::to_string(&Any { type_url: "type.googleapis.com/google.protobuf.Empty".into(), value: vec![].into() }).unwrap(),
    ];
    for line in &seen {
        println!("{line}");
    }
    let ok = seen == [
        r#"{"id":9007199254740991.0}"#,
        "error: out of range integral type conversion attempted",
        r#"{"id":1.2345678901234568e17}"#,
        "null",
        "null",
        r#"{"paths":["foo_bar","a.b"]}"#,
        "error",
        "error",
        "1000",
        r#""1970-01-01T00:00:00+00:00""#,
        r#"{"typeUrl":"type.googleapis.com/google.protobuf.Empty"}"#,
    ];
    println!("{}", if ok { "as described" } else { "CHANGED" });
    std::process::exit(if ok { 0 } else { 1 });
}
RS
cargo run --quiet
