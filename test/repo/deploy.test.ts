/** The dashboard and the alert rules name metrics, labels and codes that there are. What promtool says has a check. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { queriesOf } from "../../checks/deploy/queries.ts";
import { FAMILIES } from "../../src/http/metrics/metrics.ts";
import { PROCESS_FAMILIES } from "../../src/http/metrics/process.ts";
import { REGION_METRICS } from "../../src/http/metrics/regions.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: { readonly severity: string };
      readonly annotations: { readonly summary: string };
    }[];
  }[];
}

const rules = (parse(read("deploy/prometheus/alerts.yml")) as Rules).groups.flatMap(
  (group) => group.rules,
);
const dashboard = JSON.parse(read("deploy/grafana/messageloop.json"));
const queries = [...rules.map(({ expr }) => expr), ...queriesOf(dashboard)];

const names = new Set([
  ...Object.keys(FAMILIES),
  ...Object.keys(PROCESS_FAMILIES),
  ...REGION_METRICS,
]);
const golden = read("test/fixtures/metrics.txt").trim().split("\n");
const histograms = golden
  .filter((line) => line.includes(" histogram"))
  .map((line) => line.split(" ")[0] ?? "");

/** The series of all metrics. */
const series = new Set([
  ...names,
  ...histograms.flatMap((name) => ["_bucket", "_sum", "_count"].map((end) => `${name}${end}`)),
]);

test("every metric that deploy/ names exists", () => {
  const texts = [...queries, read("deploy/README.md"), JSON.stringify(dashboard.templating)];
  const named = new Set(texts.flatMap((text) => text.match(/\bmessageloop_\w+/g) ?? []));
  expect(named.size).toBeGreaterThan(30);
  for (const name of named) expect(series, name).toContain(name);
  // A histogram is asked for by its series.
  for (const query of queries) {
    for (const name of histograms) expect(query).not.toMatch(new RegExp(`\\b${name}\\b`));
  }
});

test("every label that a query asks for is one of ours or of a scrape", () => {
  const ours = golden.flatMap((line) => line.split(" ")[2]?.split(",") ?? []);
  const known = new Set([...ours, "region", "job", "instance", "le"]);
  const asked = queries.flatMap((query) => [
    ...[...query.matchAll(/[{,]\s*(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label]) => label),
    ...[...query.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", ")),
  ]);
  expect(asked.length).toBeGreaterThan(100);
  for (const label of asked) expect(known, label).toContain(label);
});

test("codes in the rules are those of sessions that the server closes", () => {
  const codes = queries.flatMap((query) =>
    [...query.matchAll(/code="(\d+)"/g)].map(([, code]) => Number(code)),
  );
  const known = Object.values(DISCONNECTS).map(({ code }) => code);
  expect(codes.length).toBeGreaterThan(2);
  for (const code of codes) expect(known).toContain(code);
});

test("rules are counters' rates and gauges' values, each with a name and a sentence of its own", () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    expect(alert).toMatch(/^MessageLoop[A-Z][A-Za-z]+$/);
    expect(["page", "ticket"]).toContain(labels.severity);
    expect(annotations.summary).toMatch(/\.$/);
    for (const [, before, name = ""] of expr.matchAll(/(rate\(|increase\()?(messageloop_\w+)/g)) {
      const rises = /_(total|bucket|count|sum)$/.test(name);
      expect(before !== undefined, name).toBe(rises);
    }
  }
});

test("panels have titles and places of their own", () => {
  const places = dashboard.panels.map(({ gridPos }: { gridPos: object }) =>
    JSON.stringify(gridPos),
  );
  expect(new Set(places).size).toBe(places.length);
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { title } of dashboard.panels) expect(title).toMatch(/^\S/);
});
