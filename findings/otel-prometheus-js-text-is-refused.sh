#!/bin/sh
# @opentelemetry/exporter-prometheus 0.223.0 with @opentelemetry/sdk-metrics 2.12.1 (npm), read by the parser of
# prometheus/common 0.74.0 (Go); opentelemetry-exporter-prometheus 0.66b2 (PyPI) beside it.
#
# Behaviour: names that are different and legal in OpenTelemetry, and equal once . has become _, are written as they
#   fall. Two instruments "queue.size" and "queue_size" give the same metric twice, each with its own HELP and TYPE; two
#   attributes "peer.id" and "peer_id" give the same label twice in one sample; an attribute "le" of a histogram a second
#   le. In each case the parser refuses the whole page, so that one attribute of one library takes all metrics away.
#   And the name has no unit in it, while a UNIT line, which asks for one at the name's end, is written: the counter
#   "wait" in ms is wait_total here and wait_milliseconds_total in Python, the histogram "wait.time" in s wait_time
#   and wait_time_seconds, so dashboards do not carry over from one service to the next.
# One would expect: what the compatibility rules of OpenTelemetry say: colliding labels joined by ";", one TYPE for a
#   name, the unit as a suffix, and a page that Prometheus reads.
# Seen: second HELP line; duplicate label names; expected float as value for 'le'; names as above. Each instrument alone is read.
# Needs: Go 1.24, Python 3.11, Node 20 or later.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/api@1.9.1 @opentelemetry/sdk-metrics@2.12.1 @opentelemetry/exporter-prometheus@0.223.0
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2
cat > page.cjs <<'JS'
const { MeterProvider } = require("@opentelemetry/sdk-metrics");
const { PrometheusExporter, PrometheusSerializer } = require("@opentelemetry/exporter-prometheus");
const cases = {
  instruments: (meter) => { meter.createUpDownCounter("queue.size").add(1); meter.createUpDownCounter("queue_size").add(2); },
  labels: (meter) => meter.createCounter("calls").add(1, { "peer.id": "a", peer_id: "b" }),
  le: (meter) => meter.createHistogram("wait").record(1, { le: "mine" }),
  units: (meter) => { meter.createCounter("wait", { unit: "ms" }).add(1); meter.createHistogram("wait.time", { unit: "s" }).record(1); },
};
(async () => {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  cases[process.argv[2]](new MeterProvider({ readers: [exporter] }).getMeter("m"));
  const { resourceMetrics } = await exporter.collect();
  process.stdout.write(new PrometheusSerializer().serialize(resourceMetrics));
  process.exit(0);
})();
JS
cat > names.py <<'PY'
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY
meter = MeterProvider(metric_readers=[PrometheusMetricReader()]).get_meter("m")
meter.create_counter("wait", unit="ms").add(1)
meter.create_histogram("wait.time", unit="s").record(1)
print(",".join(sorted(sample.name for family in REGISTRY.collect() for sample in family.samples if sample.name.startswith("wait") and not sample.name.endswith(("_bucket", "_sum")))))
PY
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func main() {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(os.Stdin)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("read", len(families))
}
GO
cat > go.mod <<'MOD'
module finding

go 1.24.0
MOD
GOFLAGS=-mod=mod go get github.com/prometheus/common@v0.74.0 > /dev/null 2>&1
GOFLAGS=-mod=mod go build -o parse .
same=yes
check() {
  text=$(node page.cjs "$1"); seen=$(printf '%s\n' "$text" | ./parse)
  echo "$1: $seen"
  case $seen in *"$2"*) ;; *) same=no; echo "CHANGED, wanted $2" ;; esac
}
check instruments 'second HELP line for metric name "queue_size"'
check labels 'duplicate label names for metric "calls_total"'
check le "expected float as value for 'le' label"
check units 'read'
javascript=$(printf '%s\n' "$text" | grep -v '^#' | sed 's/[{ ].*//' | grep '^wait' | grep -v '_bucket\|_sum' | sort -u | paste -sd, -)
unit=$(printf '%s\n' "$text" | grep '^# UNIT' | paste -sd, -)
python=$(v/bin/python names.py)
echo "names: JavaScript $javascript ($unit); Python $python"
[ "$javascript" = wait_time_count,wait_total ] && [ "$python" = wait_milliseconds_total,wait_time_seconds_count ] && [ "$unit" = '# UNIT wait_total ms,# UNIT wait_time s' ] || same=no
[ "$same" = yes ] && echo "as described"
