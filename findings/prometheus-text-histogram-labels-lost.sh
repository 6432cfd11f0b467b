#!/bin/sh
# parse-prometheus-text-format 1.1.1 (npm), on Node 20.20 and 24.21.
#
# Behaviour: the labels of a histogram or summary are thrown away, and its series with different labels overwrite each other:
#   one entry is left, with the buckets of the last and without _sum and _count, and nothing tells whose it was. Counters
#   and gauges keep their labels. (A summary or histogram without labels does keep sum and count.)
# One would expect: one entry for each set of labels, as for counters.
# Seen: two series m="x" and m="y" -> one entry {"buckets":{"1":"5","+Inf":"6"}}; summary: one entry, quantile 0.5 -> 9.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts parse-prometheus-text-format@1.1.1
cat > run.cjs <<'JS'
const parse = require("parse-prometheus-text-format");
const series = (m, a, b, sum) => `h_bucket{m="${m}",le="1"} ${a}\nh_bucket{m="${m}",le="+Inf"} ${b}\nh_sum{m="${m}"} ${sum}\nh_count{m="${m}"} ${b}\n`;
const quantile = (m, q) => `s{m="${m}",quantile="0.5"} ${q}\ns_sum{m="${m}"} 3\ns_count{m="${m}"} 2\n`;
const text = `# TYPE c counter\nc{m="x"} 1\nc{m="y"} 2\n# TYPE h histogram\n${series("x", 1, 2, 3)}${series("y", 5, 6, 7)}# TYPE s summary\n${quantile("x", 1)}${quantile("y", 9)}`;
const seen = parse(text).map((f) => `${f.name} ${JSON.stringify(f.metrics)}`);
console.log(seen.join("\n"));
const ok = seen[0] === 'c [{"value":"1","labels":{"m":"x"}},{"value":"2","labels":{"m":"y"}}]' &&
  seen[1] === 'h [{"buckets":{"1":"5","+Inf":"6"}}]' && seen[2] === 's [{"quantiles":{"0.5":"9"}}]';
const plain = JSON.stringify(parse('# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 3\ns_count 2\n')[0].metrics);
console.log(`without labels: ${plain}`);
const all = ok && plain === '[{"quantiles":{"0.5":"1"},"count":"2","sum":"3"}]';
console.log(process.version, all ? "as described" : "CHANGED");
process.exit(all ? 0 : 1);
JS
node run.cjs
