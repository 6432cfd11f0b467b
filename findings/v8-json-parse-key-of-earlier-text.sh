#!/bin/sh
# V8 13.6 in Node 24.21.0 (node from npm); right in V8 11.3 of Node 20.20.2.
#
# Behaviour: which key JSON.parse reads depends on what the process has parsed before. Once an object had a key with a
#   backslash behind other keys, an object that begins with the same keys and goes on with a key whose escaped form
#   begins with the same characters, and that has the same length, gets the earlier key: after {"a":1,"\\":2} the text
#   {"a":1,"\n":2} yields the key \ and not a line feed, and {"a":1,"\"":2} as well. Longer keys likewise: after
#   {"a":1,"x\\n":2} the text {"a":1,"x\nb":2} yields x\n (a backslash and an n).
# One would expect: the same text yields the same value, whoever else has sent JSON to the same process.
# Seen: "\n", "\"" and "x\nb" right in a fresh process, wrong behind the other texts.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund node@24.21.0
cat > run.mjs <<'JS'
const pairs = [
  ['{"a":1,"\\\\":2}', '{"a":1,"\\n":2}'],
  ['{"b":1,"\\\\":2}', '{"b":1,"\\"":2}'],
  ['{"c":1,"x\\\\n":2}', '{"c":1,"x\\nb":2}'],
];
const keyOf = (text) => Object.keys(JSON.parse(text))[1];
let wrong = 0;
for (const [earlier, text] of pairs) {
  const alone = keyOf(text.replace(/^."./, '{"z'));
  JSON.parse(earlier);
  const behind = keyOf(text);
  console.log(`${text}: ${JSON.stringify(alone)} alone, ${JSON.stringify(behind)} behind ${earlier}`);
  if (behind !== alone) wrong += 1;
}
console.log(process.version, "V8", process.versions.v8);
const described = wrong === pairs.length;
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node_modules/.bin/node run.mjs
