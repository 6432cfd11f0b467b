/** The results as tables for people. */
import type { Results, RowResult, TargetResult } from "./results.ts";
import type { Interval } from "./statistics.ts";

/** Where the generator takes this much of a core, or more than the target, the target may be able to do more. */
const BUSY = 0.9;
/** Where other programs take more cores, the machine is not quiet. */
const OTHERS = 0.1;
/** Where more publishes than this leave late, the rate was not quite what it says. */
const LATE = 0.02;
const OURS = "messageloop";

/** Our own beside other programs. */
export function tablesOf(results: Results): string {
  const hosts = [...new Set(results.rows.map(({ host }) => host))];
  const tables = hosts.map((host) => tablesOfHost(host, rowsOf(results, host)));
  return [whereOf(results), ...tables, notesOf(results)].join("\n\n");
}

/** Our own beside other builds of it. */
export function comparisonOf(results: Results, others: readonly string[]): string {
  const rows = results.rows.map((row) => [
    row.host,
    row.name,
    costOf(row, Object.values(row.targets)[0]),
    ...others.flatMap((other) => {
      const ratio = row.ratios[other];
      const { low = Number.NaN, high = Number.NaN } = ratio ?? {};
      return [
        costOf(row, row.targets[other]),
        ratio === undefined ? "" : intervalOf(ratio, 3),
        low === high ? "" : low > 1 ? "more" : high < 1 ? "less" : "",
      ];
    }),
  ]);
  const columns = others.flatMap((other) => [other, "ratio", "costs"]);
  const head = ["host", "row", "this tree", ...columns];
  return [whereOf(results), table(head, rows), notesOf(results)].join("\n\n");
}

function whereOf({ machine, commit, date, generations, others }: Results): string {
  const { cores, cpu, system, node } = machine;
  const busy = others > OTHERS ? ": too much, this says little" : "";
  return [
    `${cores} cores of ${cpu}, ${system}, Node ${node}; commit ${commit}, ${date}.`,
    `${generations} generations; other programs took ${others.toFixed(2)} cores meanwhile${busy}.`,
  ].join("\n");
}

function rowsOf({ rows }: Results, host: string): readonly RowResult[] {
  return rows.filter((row) => row.host === host && Object.keys(row.targets).length > 0);
}

function tablesOfHost(host: string, all: readonly RowResult[]): string {
  const [billed, rows] = [true, false].map((is) => all.filter((row) => isBilled(row) === is));
  return [
    ...(rows?.length ? [measuredOf(host, rows)] : []),
    ...(billed?.length ? [billedOf(host, billed)] : []),
  ].join("\n\n");
}

function isBilled({ cost }: RowResult): boolean {
  return cost === "nanodollars";
}

/** What was counted, and its price. */
function billedOf(host: string, rows: readonly RowResult[]): string {
  const [first] = rows.flatMap(({ targets }) => Object.values(targets));
  const counts = Object.keys(first?.counted ?? {});
  const lines = rows.flatMap((row) =>
    Object.entries(row.targets).map(([name, target]) => [
      row.name,
      row.unit,
      name,
      ...counts.map((count) => grouped(target.counted?.[count] ?? Number.NaN)),
      costOf(row, target),
    ]),
  );
  return [
    `### ${host}: billed for a million operations, and its price in dollars`,
    table(["row", "operations", "", ...counts, "dollars"], lines),
  ].join("\n\n");
}

/** Rows with the programs of the first one have a column for each; others have a line for each of theirs. */
function measuredOf(host: string, rows: readonly RowResult[]): string {
  const columns = othersOf(rows[0]).map(columnOf);
  const wide = rows.filter((row) =>
    othersOf(row).every((name) => columns.includes(columnOf(name))),
  );
  const long = rows.filter((row) => !wide.includes(row));
  return [
    `### ${host}: CPU seconds of a million operations, or bytes of each`,
    wideCosts(wide, columns),
    ...(long.length > 0 ? [longCosts(long)] : []),
    `### ${host}: latency at the fixed rate in ms, and operations a second at saturation; p99 of other programs after it`,
    wideRates(wide, columns),
    ...(long.some(isSaturated) ? [longRates(long.filter(isSaturated))] : []),
  ].join("\n\n");
}

function wideCosts(rows: readonly RowResult[], columns: readonly string[]): string {
  const lines = rows.map((row) => [
    row.name,
    row.unit,
    costOf(row, oursOf(row)),
    ...columns.map((column) => besideOf(row, otherOf(row, column))),
  ]);
  const head = columns.map((column) => `${column}, ${OURS} ÷ it`);
  return table(["row", "operations", OURS, ...head], lines);
}

function longCosts(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) =>
    othersOf(row).map((other) => {
      return [row.name, row.unit, costOf(row, oursOf(row)), other, besideOf(row, other)];
    }),
  );
  return table(["row", "operations", OURS, "beside", `its cost, ${OURS} ÷ it`], lines);
}

function wideRates(rows: readonly RowResult[], columns: readonly string[]): string {
  const lines = rows.map((row) => [
    row.name,
    ...latencyOf(oursOf(row)),
    rateOf(oursOf(row)),
    ...columns.map((column) => rateAndLatencyOf(row.targets[otherOf(row, column) ?? ""])),
  ]);
  return table(["row", "p50", "p99", "p99.9", OURS, ...columns], lines);
}

function longRates(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) =>
    othersOf(row).map((other) => {
      const rates = [rateOf(oursOf(row)), other, rateOf(row.targets[other])];
      return [row.name, ...latencyOf(oursOf(row)), ...rates];
    }),
  );
  return table(["row", "p50", "p99", "p99.9", OURS, "beside", "it"], lines);
}

function besideOf(row: RowResult, other: string | undefined): string {
  const ratio = row.ratios[other ?? ""];
  if (ratio === undefined) return "";
  return `${costOf(row, row.targets[other ?? ""])}, ${intervalOf(ratio)}`;
}

function isSaturated(row: RowResult): boolean {
  return oursOf(row)?.saturation !== undefined;
}

function oursOf({ targets }: RowResult): TargetResult | undefined {
  return targets[OURS];
}

function othersOf(row: RowResult | undefined): readonly string[] {
  return Object.keys(row?.targets ?? {}).filter((name) => name !== OURS);
}

function otherOf(row: RowResult, column: string): string | undefined {
  return othersOf(row).find((name) => columnOf(name) === column);
}

/** A program that speaks one encoding in one row and the other in the next has one column. */
function columnOf(name: string): string {
  return name.replace(/-(?:json|proto)$/, "");
}

function costOf({ cost }: RowResult, target: TargetResult | undefined): string {
  if (target === undefined) return "failed";
  if (cost === "bytes") return grouped(target.cost);
  const million = target.cost / 1e3;
  return cost === "ns" ? million.toFixed(2) : million.toPrecision(3);
}

function intervalOf({ median, low, high }: Interval, digits = median < 10 ? 2 : 0): string {
  const [middle, from, to] = [median, low, high].map((ratio) => ratio.toFixed(digits));
  // One value alone says nothing about where the ratio may lie.
  if (low === high) return `**${middle}**`;
  return `**${middle}** (${from}–${to})`;
}

function latencyOf(target: TargetResult | undefined): readonly string[] {
  const { p50, p99, p999 } = target?.latency ?? {};
  return [p50, p99, p999].map((ms) => (ms === undefined ? "" : ms.toPrecision(3)));
}

function rateOf(target: TargetResult | undefined): string {
  const { saturation } = target ?? {};
  if (saturation === undefined) return "";
  return `${grouped(saturation.perSecond)}${limited(saturation) ? " or more" : ""}`;
}

/** The rate, and the p99 at the fixed rate. */
function rateAndLatencyOf(target: TargetResult | undefined): string {
  const rate = rateOf(target);
  const p99 = target?.latency?.p99;
  return rate === "" || p99 === undefined ? rate : `${rate}; ${p99.toPrecision(3)} ms`;
}

function limited({ target, generator }: NonNullable<TargetResult["saturation"]>): boolean {
  return generator > target || generator > BUSY;
}

function notesOf({ rows }: Results): string {
  const notes: string[] = [];
  for (const { name, targets } of rows) {
    for (const [target, { saturation, late = 0 }] of Object.entries(targets)) {
      if (saturation !== undefined && limited(saturation)) {
        const [its, own] = [saturation.target, saturation.generator].map((cores) =>
          cores.toFixed(2),
        );
        notes.push(`${name}: the generator took ${own} of a core, ${target} ${its} at saturation.`);
      }
      if (late > LATE) {
        notes.push(
          `${name}: ${(late * 100).toFixed(0)} % of the publishes to ${target} left more than a millisecond late.`,
        );
      }
    }
  }
  return notes.map((note) => `- ${note}`).join("\n");
}

/** A table of Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** A whole number with its thousands apart. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
