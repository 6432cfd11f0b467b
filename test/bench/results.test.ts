/** What the bench makes of its measurements. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { tablesOf } from "../../bench/report.ts";
import { type Results, RowMeasurements, worseThan } from "../../bench/results.ts";
import type { Measurement, Row } from "../../bench/row.ts";

const ROW: Row = {
  name: "fan-out",
  question: "how much",
  unit: "deliveries",
  measure: () => Promise.reject(new Error("measures nothing")),
};
const NAMES = ["messageloop", "bare", "peer"];

/** Costs of each target by generation; undefined where it failed. */
function measured(costs: Record<string, readonly (number | undefined)[]>): Results {
  const row = new RowMeasurements("server", "ns", ROW, NAMES);
  for (const [name, values] of Object.entries(costs)) {
    for (const cost of values) row.add(name, cost === undefined ? new Error("lost") : { cost });
  }
  return resultsOf(row);
}

function resultsOf(row: RowMeasurements, generations = 3): Results {
  return {
    machine: { cpu: "a processor", cores: 2, system: "Linux", node: "24" },
    commit: "abc",
    date: "2026-01-01T00:00:00.000Z",
    generations,
    others: 0,
    rows: [row.result(generations)],
  };
}

test("a ratio is the median of the pairs' ratios, not that of the medians", () => {
  const { rows } = measured({ messageloop: [100, 400, 90], bare: [100, 200, 30] });
  expect(rows[0]?.targets["messageloop"]?.cost).toBe(100);
  expect(rows[0]?.targets["bare"]?.cost).toBe(100);
  expect(rows[0]?.ratios["bare"]).toEqual({ median: 2, low: 1, high: 3 });
});

test("where targets took turns a pair is a part of each, and one that was disturbed is outvoted", () => {
  const row = new RowMeasurements("server", "ns", ROW, NAMES);
  const cost = 100;
  for (let generation = 0; generation < 3; generation++) {
    row.add("messageloop", { cost, parts: [110, 220, 900, 55] });
    row.add("bare", { cost, parts: [100, 200, 100, 50, 70] });
    row.add("peer", { cost: 50 });
  }
  const [{ ratios = {} } = {}] = resultsOf(row).rows;
  expect(ratios["bare"]?.median).toBeCloseTo(1.1);
  expect(ratios["peer"]?.median).toBe(2);
});

test("a target that failed once has no result, and one that cannot answer is not missed", () => {
  const { rows } = measured({ messageloop: [100, 100, 100], bare: [100, undefined, 100] });
  expect(rows[0]?.failed).toEqual(["bare"]);
  expect(Object.keys(rows[0]?.targets ?? {})).toEqual(["messageloop"]);
  expect(rows[0]?.ratios).toEqual({});
});

test("where our own failed there is nothing to compare", () => {
  const { rows } = measured({
    messageloop: [100, undefined, 100],
    bare: [50, 50, 50],
    peer: [50, 50, 50],
  });
  expect(rows[0]?.failed).toEqual(["messageloop"]);
  expect(rows[0]?.ratios).toEqual({});
});

test("a ratio is worse where its whole interval is a tenth more than the committed one", () => {
  const committed = measured({ messageloop: [200, 200, 200], bare: [100, 100, 100] });
  const near = measured({ messageloop: [215, 230, 230], bare: [100, 100, 100] });
  const far = measured({ messageloop: [225, 230, 230], bare: [100, 100, 100] });
  expect(worseThan(committed, near)).toEqual([]);
  expect(worseThan(committed, far)).toEqual(["fan-out: at least 2.25 of bare, allowed is 2.20"]);
});

test("a table says where the generator may have been what limits", () => {
  const row = new RowMeasurements("server", "ns", ROW, NAMES);
  const saturated = (target: number, generator: number): Measurement => ({
    cost: 5_000,
    saturation: { perSecond: 1_000, target, generator },
  });
  row.add("messageloop", saturated(0.9, 0.5));
  row.add("bare", saturated(0.4, 0.5));
  row.add("peer", saturated(1, 0.95));
  const tables = tablesOf(resultsOf(row, 1));
  expect(tables).toContain("| fan-out |  |  |  | 1,000 | 1,000 or more | 1,000 or more |");
  expect(tables).toContain("| fan-out | deliveries | 5.00 | 5.00, **1.00** |");
  expect(tables).toContain(
    "- fan-out: the generator took 0.50 of a core, bare 0.40 at saturation.",
  );
});

test("a row beside programs of its own has a line for each, and encodings share a column", () => {
  const wide = rowBeside("fan-out", ["messageloop", "peer-json"]);
  const proto = rowBeside("fan-out-proto", ["messageloop", "peer-proto"]);
  const long = rowBeside("tokens", ["messageloop", "anonymous"]);
  const rows = [wide, proto, long].flatMap((row) => resultsOf(row, 1).rows);
  const tables = tablesOf({ ...resultsOf(wide, 1), rows });
  expect(tables).toContain("| row | operations | messageloop | peer, messageloop ÷ it |");
  expect(tables).toContain("| fan-out | deliveries | 1.00 | 1.00, **1.00** |");
  expect(tables).toContain("| fan-out-proto | deliveries | 1.00 | 1.00, **1.00** |");
  expect(tables).toContain("| tokens | deliveries | 1.00 | anonymous | 1.00, **1.00** |");
});

function rowBeside(name: string, targets: readonly string[]): RowMeasurements {
  const row = new RowMeasurements("server", "ns", { ...ROW, name }, targets);
  for (const target of targets) row.add(target, { cost: 1_000 });
  return row;
}

test("the committed tables are those of the committed results", () => {
  const [results, tables] = ["json", "md"].map((kind) => {
    return readFileSync(new URL(`../../bench/results.${kind}`, import.meta.url), "utf8");
  });
  expect(tables).toBe(`# The last run\n\n${tablesOf(JSON.parse(results ?? ""))}\n`);
});
