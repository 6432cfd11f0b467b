#!/bin/sh
# cloudevents-sdk 0.9.0 (Rust).
#
# Behaviour: whether data is JSON is told from the letters of datacontenttype: it has to begin with application/json or
#   text/json, or to end in +json. APPLICATION/JSON, and application/vnd.x+json; charset=utf-8, are not, and an event whose data is an object
#   then fails as a whole: invalid type: map, expected a string. So does an event with such data under any other type.
#   JSON that was given as bytes goes out as data_base64 under application/json.
# One would expect: media types compared without case and parameters (RFC 9110, 8.3.1), and any JSON value in `data` (JSON event
#   format, 3.1), whatever datacontenttype says.
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
cloudevents-sdk = "=0.9.0"
serde_json = "1"
TOML
cat > src/main.rs <<'RS'
use cloudevents::{Event, EventBuilder, EventBuilderV10};
fn main() {
    let mut ok = true;
    for (kind, wanted) in [
        ("application/json", "read"),
        ("application/json; charset=utf-8", "read"),
        ("application/vnd.x+json", "read"),
        ("application/vnd.x+json; charset=utf-8", "invalid type: map, expected a string"),
        ("APPLICATION/JSON", "invalid type: map, expected a string"),
        ("application/cbor", "invalid type: map, expected a string"),
    ] {
        let json = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"{kind}","data":{{"a":1}}}}"#);
        let seen = match serde_json::from_str::<Event>(&json) {
            Ok(_) => "read".to_string(),
            Err(error) => error.to_string(),
        };
        println!("{kind:40} {seen}");
        ok &= seen == wanted;
    }
    let event = EventBuilderV10::new().id("1").source("/s").ty("t").data("application/json", br#"{"a":1}"#.to_vec()).build().unwrap();
    let json = serde_json::to_string(&event).unwrap();
    println!("{json}");
    ok &= json.contains(r#""data_base64":"eyJhIjoxfQ==""#);
    println!("{}", if ok { "as described" } else { "CHANGED" });
    std::process::exit(if ok { 0 } else { 1 });
}
RS
cargo run --quiet
