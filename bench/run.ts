/** `npm run bench`: what MessageLoop costs, beside other programs or another commit. bench/README.md tells how to read it. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { groupsWith } from "./groups.ts";
import { thisMachine } from "./machine.ts";
import { type MeasureOptions, measureGroup } from "./measure.ts";
import { besideCommits, besideOthers, besidePlain, type Mode, PLAIN } from "./modes.ts";
import { comparisonOf, tablesOf } from "./report.ts";
import { type Results, RowMeasurements, type RowResult, worseThan } from "./results.ts";
import type { Group, Measurement, Row } from "./row.ts";
import { median } from "./statistics.ts";
import type { Target } from "./target.ts";
import { ROOT } from "./trees.ts";

const COMMITTED = fileURLToPath(new URL("results.json", import.meta.url));
const COMMITTED_TABLES = fileURLToPath(new URL("results.md", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: "string", multiple: true },
    plant: { type: "string" },
    check: { type: "boolean", default: false },
    peers: { type: "string" },
    generations: { type: "string" },
    seconds: { type: "string", default: "0.75" },
    save: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});
const started = performance.now();

/** The groups with the rows that were named, by their own name or their host's; all when none was. */
function chosen(groups: readonly Group[]): readonly Group[] {
  const names = groups.flatMap(({ host, rows }) => [host, ...rows.map(({ name }) => name)]);
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`there is no row or host "${unknown}"; see --list`);
  return groups
    .map((group) => ({
      ...group,
      rows: group.rows.filter(({ name }) => {
        return positionals.length === 0 || [name, group.host].some((n) => positionals.includes(n));
      }),
    }))
    .filter(({ rows }) => rows.length > 0);
}

function modeOf(): Mode {
  if (values.against !== undefined) return besideCommits(values.against);
  if (values.plant !== undefined) return besidePlain(Number(values.plant));
  return besideOthers();
}

/** How often and how long everything is measured. */
interface Lengths {
  readonly generations: number;
  /** Of a sample. */
  readonly seconds: number;
}

/** @param others is told for each generation how many cores other programs took */
async function measure(
  group: Group,
  mode: Mode,
  { generations: wanted, seconds }: Lengths,
  others: number[],
): Promise<readonly RowResult[]> {
  const sides = await mode.sides(group);
  if (sides === undefined) return [];
  const { host, rows, cost = "ns", slow = false, counted = false } = group;
  const most = counted ? 1 : slow ? mode.slowGenerations : wanted;
  const generations = Math.min(wanted, most);
  const names = sides.targets.map(({ name }) => name);
  const taken = new Map(rows.map((row) => [row, new RowMeasurements(host, cost, row, names)]));
  const options: MeasureOptions = {
    ...sides,
    rows,
    generations,
    seconds,
    saturate: mode.saturate,
    measured(row, target, measurement) {
      say(row, target, measurement);
      taken.get(row)?.add(target.name, measurement);
    },
  };
  others.push(...(await measureGroup(group, options)));
  return [...taken.values()].map((measurements) => measurements.result(generations));
}

/** Progress, for who waits. */
function say({ name }: Row, target: Target, measurement: Measurement | Error): void {
  const at = ((performance.now() - started) / 1_000).toFixed(0).padStart(5);
  const what =
    measurement instanceof Error
      ? `FAILED: ${measurement.message}`
      : `${measurement.cost.toFixed(0).padStart(8)} each${rateOf(measurement)}`;
  console.error(`${at} s  ${name.padEnd(22)} ${target.name.padEnd(22)} ${what}`);
}

function rateOf({ saturation }: Measurement): string {
  return saturation === undefined ? "" : `, ${saturation.perSecond.toFixed(0)} a second at most`;
}

async function run(mode: Mode, groups: readonly Group[]): Promise<Results> {
  const generations = Number(values.generations ?? mode.generations);
  const seconds = Number(values.seconds);
  const lengths = { generations, seconds };
  const rows: RowResult[] = [];
  const others: number[] = [];
  for (const group of groups) rows.push(...(await measure(group, mode, lengths, others)));
  const commit = spawnSync("git", ["describe", "--always", "--dirty"], { cwd: ROOT });
  return {
    machine: thisMachine(),
    commit: commit.stdout.toString().trim(),
    date: new Date().toISOString(),
    generations,
    others: median(others),
    rows,
  };
}

/** Prints what was found. @returns what is wrong with it */
function judge(results: Results): readonly string[] {
  const wrong = results.rows.flatMap(({ name, failed }) => {
    return failed.map((target) => `${name} failed on ${target}`);
  });
  if (values.against !== undefined) {
    console.log(comparisonOf(results, values.against));
  } else if (values.plant !== undefined) {
    console.log(comparisonOf(results, [PLAIN]));
    for (const { name, publishes, ratios } of results.rows) {
      if (publishes && !((ratios[PLAIN]?.low ?? 0) > 1)) wrong.push(`${name}: not found`);
    }
  } else {
    console.log(tablesOf(results));
    if (values.check) {
      const committed = JSON.parse(readFileSync(COMMITTED, "utf8")) as Results;
      wrong.push(...worseThan(committed, results));
    }
  }
  console.log(JSON.stringify(results));
  if (values.save) {
    writeFileSync(COMMITTED, `${JSON.stringify(results, undefined, 1)}\n`);
    writeFileSync(COMMITTED_TABLES, `# The last run\n\n${tablesOf(results)}\n`);
  }
  return wrong;
}

const groups = chosen(groupsWith(values.peers));
if (values.list) {
  for (const { host, rows } of groups) {
    for (const { name, question } of rows) {
      console.log(`${host.padEnd(8)} ${name.padEnd(22)} ${question}`);
    }
  }
} else {
  const mode = modeOf();
  try {
    const wrong = judge(await run(mode, groups));
    for (const text of wrong) console.error(text);
    process.exitCode = wrong.length === 0 ? 0 : 1;
  } finally {
    mode.remove();
  }
}
