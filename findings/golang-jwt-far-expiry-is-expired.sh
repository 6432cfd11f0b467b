#!/bin/sh
# github.com/golang-jwt/jwt/v5 5.3.1 (Go), PyJWT 2.15.1 (Python), jose 6.2.18 (npm, on Node 20.20 and 24.21).
#
# Behaviour on tokens signed with HS256, each valid by RFC 7519:
#   - exp 1e20 (a NumericDate may be any JSON number): golang-jwt says "token is expired"; the others take it.
#   - iat five minutes ahead (a clock that runs fast; no rule of the RFC refuses it): PyJWT says "not yet valid (iat)"; the
#     others take it.
#   - aud "x" where the reader names no audience: PyJWT says "Invalid audience", jose and golang-jwt take it.
# One would expect: the same verdict from three libraries of the same standard.
# Seen: jose takes all three; golang-jwt refuses the first; PyJWT refuses the second and the third.
# Needs: Go 1.26, Python 3.11.
set -eu
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts jose@6.2.18
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check PyJWT==2.15.1
cat > js.mjs <<'JS'
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { jwtVerify } from "jose";
const key = Buffer.alloc(32, 7);
const b64 = (s) => Buffer.from(s).toString("base64url");
const now = Math.floor(Date.now() / 1000);
const tokens = [];
for (const claims of ['{"exp":1e20}', `{"iat":${now + 300}}`, '{"aud":"x"}']) {
  const text = `${b64('{"alg":"HS256","typ":"JWT"}')}.${b64(claims)}`;
  tokens.push(`${text}.${createHmac("sha256", key).update(text).digest("base64url")}`);
}
writeFileSync("tokens", tokens.join("\n"));
const out = [];
for (const t of tokens) out.push(await jwtVerify(t, key).then(() => "taken", (e) => `refused: ${e.message}`));
console.log(out.join("\n"));
JS
cat > py.py <<'PY'
import jwt
for t in open("tokens").read().split("\n"):
    try:
        jwt.decode(t, b"\x07" * 32, algorithms=["HS256"])
        print("taken")
    except jwt.PyJWTError as e:
        print("refused:", e)
PY
cat > main.go <<'GO'
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	b, _ := os.ReadFile("tokens")
	for _, t := range strings.Split(string(b), "\n") {
		_, err := jwt.Parse(t, func(*jwt.Token) (any, error) { return bytes.Repeat([]byte{7}, 32), nil }, jwt.WithValidMethods([]string{"HS256"}))
		if err != nil {
			fmt.Println("refused:", err)
		} else {
			fmt.Println("taken")
		}
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/golang-jwt/jwt/v5@v5.3.1 >/dev/null 2>&1
node js.mjs > jose
v/bin/python py.py > pyjwt
go run . > golang-jwt
paste -d '|' jose pyjwt golang-jwt
cut -d: -f1 jose pyjwt golang-jwt | tr '\n' ' ' > seen
if [ "$(cat seen)" = "taken taken taken taken refused refused refused taken taken " ]; then echo "as described"; else echo CHANGED; exit 1; fi
