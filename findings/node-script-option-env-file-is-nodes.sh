#!/bin/sh
# Node 20.20.2, 22.23.3 and 24.21.0.
#
# Behaviour: an option --env-file that stands after the script's name, and so belongs to the script, is acted on by Node
#   as well, wherever it stands there, as long as no -- comes first. Where the file is missing Node ends with status 9
#   before the script has run a line. Where the file sets NODE_OPTIONS with something that is not allowed there, too.
#   Where the file is fine it is read, but nothing of it arrives: the variables are not set, execArgv is empty, and the
#   script finds the option in process.argv.
# One would expect: what stands after the script's name is the script's alone, as with other options of Node.
# Seen: "script.js start --env-file missing": "missing: not found", 9; "script.js --env-file here": runs, A undefined;
#   "--env-file here script.js": A is 1; "script.js -- --env-file missing" runs.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo 'console.log("ran", JSON.stringify(process.argv.slice(2)), process.env.A, JSON.stringify(process.execArgv));' > script.js
echo 'A=1' > here
echo 'NODE_OPTIONS=--no-such-option' > odd
same=yes
check() { # wanted status, wanted text, arguments of node
  status=$1; text=$2; shift 2
  got=0; out=$("$node" "$@" 2>&1) || got=$?
  echo "  node $*: $got, $(echo "$out" | tail -n 1 | sed 's|.*/node: ||')"
  [ "$got" = "$status" ] && case $out in *"$text"*) ;; *) false ;; esac || { same=no; echo "  CHANGED, wanted $status, $text"; }
}
for version in 20.20.2 22.23.3 24.21.0; do
  mkdir "v$version"; (cd "v$version"; echo '{"private":true}' > package.json; npm install --silent --no-audit --no-fund "node@$version")
  node=$PWD/v$version/node_modules/node/bin/node
  echo "$("$node" --version)"
  check 0 'ran [] 1 ["--env-file","here"]' --env-file here script.js
  check 9 'missing: not found' script.js --env-file missing
  check 9 'missing: not found' script.js start --port 1 --env-file=missing
  check 9 'not allowed in NODE_OPTIONS' script.js --env-file odd
  check 0 'ran ["--env-file","here"] undefined []' script.js --env-file here
  check 0 'ran ["--","--env-file","missing"] undefined []' script.js -- --env-file missing
done
[ "$same" = yes ] && echo "as described"
