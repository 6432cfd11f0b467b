#!/bin/sh
# cloudevents 10.0.0 (npm), on Node 24.21 and 20.20.
#
# Behaviour: with CE_USE_BIG_INT=true in the environment, which its README offers for numbers beyond 2^53, reading
#   one event replaces the global JSON of the whole process by that of json-bigint. From then on, in code that has
#   nothing to do with events, JSON.parse yields BigInts and objects without a prototype, refuses a key "__proto__",
#   takes numbers that are none, such as 01, and throws what is no SyntaxError; JSON.rawJSON and JSON.isRawJSON are gone.
#   Without the variable each event that is read puts back the JSON of the moment when the package was loaded: a
#   JSON that somebody has patched since then is lost.
# One would expect: the option concerns the data of events.
# Seen: before: number, Object.prototype, "object", SyntaxError; after one HTTP.toEvent: bigint, null, an error, no SyntaxError.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0
cat > run.cjs <<'JS'
const tried = (text) => { try { return JSON.parse(text); } catch (error) { return error; } };
const look = () => [
  typeof tried('{"a":12345678901234567890}').a,
  Object.getPrototypeOf(tried("{}")) === Object.prototype,
  tried('{"__proto__":1}') instanceof Object ? "object" : "other",
  tried('{"__proto__":1}') instanceof Error || tried('{"__proto__":1}')?.name === "SyntaxError" ? "refused" : "taken",
  tried("{") instanceof SyntaxError,
  tried("01") === 1,
].join(" ");
const { HTTP } = require("cloudevents");
const message = { headers: { "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0", "content-type": "application/json" }, body: "{}" };
const own = JSON;
const before = look();
process.env.CE_USE_BIG_INT = "true";
HTTP.toEvent(message);
const after = look();
const replaced = JSON !== own;
delete process.env.CE_USE_BIG_INT;
HTTP.toEvent(message);
console.log(`before: ${before}\nafter:  ${after}\nglobal JSON replaced: ${replaced}, put back by the next event: ${JSON === own}`);
const patched = { parse: own.parse, stringify: own.stringify };
globalThis.JSON = patched;
HTTP.toEvent(message);
const lost = JSON !== patched;
globalThis.JSON = own;
console.log(`a patched JSON is lost by reading an event: ${lost}`);
const described = before === "number true object taken true false" && after.startsWith("bigint false") && after.includes("refused false") && replaced && JSON === own && lost;
console.log(described ? "as described" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node run.cjs
