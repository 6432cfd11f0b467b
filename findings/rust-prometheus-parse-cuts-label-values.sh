#!/bin/sh
# prometheus-parse 0.2.5 (Rust).
#
# Behaviour: label values are cut with no regard to their quotes. A value with a comma ends at the comma, a label whose value holds = is
#   dropped, a line whose value holds } vanishes altogether, and so does a line with blanks around the braces or with empty
#   braces, all without an error; two series of a page become one. Escapes are handed over as they are written, backslash and all. In the sum
#   and count of histograms the type is Untyped.
# One would expect: any UTF-8 in label values, with \\, \" and \n undone, and blanks allowed between tokens (the text
#   exposition format, "Text format details").
# Seen: path="a,b" -> "a"; query="x=1" -> no label; route="/u/{id}" -> no line; a{} 8 -> no line; "p\"q" -> p\"q.
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
prometheus-parse = "=0.2.5"
TOML
cat > src/main.rs <<'RS'
use prometheus_parse::Scrape;
fn main() {
    let mut ok = true;
    for (line, wanted) in [
        (r#"a{path="x"} 1"#, r#"[("path", "x")]"#),
        (r#"a{path="a,b"} 1"#, r#"[("path", "a")]"#),
        (r#"a{query="x=1"} 1"#, "[]"),
        (r#"a{query="x=1",code="200"} 1"#, r#"[("code", "200")]"#),
        (r#"a{route="/u/{id}"} 1"#, "no line"),
        (r#"a{path="p\"q"} 1"#, r#"[("path", "p\\\"q")]"#),
        (r#"a{path="l\nm"} 1"#, r#"[("path", "l\\nm")]"#),
        (r#"a{} 8"#, "no line"),
        (r#"a { path = "x" } 9"#, "no line"),
    ] {
        let page = format!("# TYPE a counter\n{line}\n");
        let seen = match Scrape::parse(page.lines().map(|l| Ok(l.to_string()))) {
            Err(error) => error.to_string(),
            Ok(scrape) => match scrape.samples.first() {
                None => "no line".to_string(),
                Some(sample) => format!("{:?}", sample.labels.iter().collect::<Vec<_>>()),
            },
        };
        println!("{line:34} {seen}");
        ok &= seen == wanted;
    }
    println!("{}", if ok { "as described" } else { "CHANGED" });
    std::process::exit(if ok { 0 } else { 1 });
}
RS
cargo run --quiet
