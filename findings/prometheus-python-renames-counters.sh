#!/bin/sh
# prometheus_client 0.26.0 (Python), its parser of the classic text format (prometheus_client.parser), and prom-client 15.1.3
# (npm) as the writer, on Node 20.20 and 24.21.
#
# Behaviour: the Python parser does not give the names that stand in the text. A counter "sends" is read as a sample
#   "sends_total"; a counter "sends_total" is read as family "sends". The same text without its TYPE line, or a gauge of that name,
#   keeps it. prom-client does the renaming on the other side: the same registry writes "sends" as classic text and
#   "sends_total" as OpenMetrics, so dashboards break at the switch. And prom-client writes NaN as "Nan".
# One would expect: samples by the names in the text (as Go's expfmt gives them), and "NaN" as both formats spell it.
# Seen: classic text "sends 5" -> family sends, sample sends_total; "# TYPE a_created counter" -> sample a_created_total;
#   OpenMetrics text sends_total 5; gauge "g Nan".
# Needs: Python 3.11.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts prom-client@15.1.3
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check prometheus_client==0.26.0
cat > write.cjs <<'JS'
const { Counter, Gauge, Registry } = require("prom-client");
const { writeFileSync } = require("node:fs");
(async () => {
  for (const [file, type] of [["classic", Registry.PROMETHEUS_CONTENT_TYPE], ["open", Registry.OPENMETRICS_CONTENT_TYPE]]) {
    const registry = new Registry();
    registry.setContentType(type);
    new Counter({ name: "sends", help: "h", registers: [registry] }).inc(5);
    new Counter({ name: "reads_total", help: "h", registers: [registry] }).inc(6);
    new Gauge({ name: "g", help: "h", registers: [registry] }).set(NaN);
    writeFileSync(file, await registry.metrics());
  }
})();
JS
node write.cjs
cat > run.py <<'PY'
import sys
from prometheus_client.parser import text_string_to_metric_families as parse

classic, open_metrics = open("classic").read(), open("open").read()
lines = lambda text: [l for l in text.splitlines() if l and l[0] != "#"]
print("prom-client, classic:    ", lines(classic))
print("prom-client, OpenMetrics:", lines(open_metrics))
names = lambda text: [(f.name, [s.name for s in f.samples]) for f in parse(text)]
read = names(classic)
created = names("# TYPE a_created counter\na_created 5\n")
untyped = names("reads_total 6\n")
print("Python reads classic:    ", read)
print("a_created, a counter:    ", created)
print("reads_total, no TYPE:    ", untyped)
ok = (lines(classic) == ["sends 5", "reads_total 6", "g Nan"] and lines(open_metrics) == ["sends_total 5", "reads_total 6", "g Nan"]
      and read == [("sends", ["sends_total"]), ("reads", ["reads_total"]), ("g", ["g"])]
      and created == [("a_created", ["a_created_total"])] and untyped == [("reads_total", ["reads_total"])])
print("as described" if ok else "CHANGED")
sys.exit(not ok)
PY
v/bin/python run.py
