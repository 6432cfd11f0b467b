/**
 * `npm run check:cpu`: CPU time of the server for a million deliveries at a fixed rate, of this tree and of another
 * commit, in pairs of fresh processes. It is the bench with a verdict: about the interval of the median ratio.
 */
import { parseArgs } from "node:util";
import { ALL_KINDS } from "../bench/dialects/messageloop.ts";
import { groupsWith } from "../bench/groups.ts";
import { measureGroup } from "../bench/measure.ts";
import { besideCommits, type Mode } from "../bench/modes.ts";
import { RowMeasurements } from "../bench/results.ts";
import type { Group, Measurement } from "../bench/row.ts";
import { publishRow } from "../bench/rows/publish.ts";
import { ROOT } from "../bench/trees.ts";
import { Report } from "./report.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: "string", default: "2e8e668" },
    pairs: { type: "string", default: "21" },
    seconds: { type: "string", default: "5" },
    allowed: { type: "string", default: "1.03" },
    plant: { type: "boolean", default: false },
  },
});
const pairs = Number(values.pairs);
const allowed = Number(values.allowed);
/** Of the bootstrap: its interval holds the true median of 21 pairs with a probability of 0.97; at 0.95 it is 0.92. */
const LEVEL = 0.97;
/** What `--plant` adds to a publish, in nanoseconds. */
const BURDEN_NS = 100_000;

/** Publishes a second: a load that leaves the machine half idle. */
const HOSTS = {
  server: { subscribers: 500, rate: 300 },
  worker: { subscribers: 200, rate: 200 },
} as const;

async function compare(report: Report, host: keyof typeof HOSTS, mode: Mode): Promise<void> {
  const group = groupsWith(undefined).find((each) => each.host === host) as Group;
  const { subscribers, rate } = HOSTS[host];
  const row = publishRow(host, "deliveries to clients of all kinds", {
    load: { subscribers, pace: 400 },
    speaking: ALL_KINDS,
    apart: true,
    window: 8,
    rate,
  });
  const { burdened } = group;
  const slower = values.plant && burdened !== undefined;
  const ours = (tree: string) => (slower && tree === ROOT ? burdened(tree) : group.ours(tree));
  const { targets } = (await mode.sides({ ...group, ours })) ?? { targets: [] };
  const taken = new RowMeasurements(
    host,
    "ns",
    row,
    targets.map(({ name }) => name),
  );
  await measureGroup(group, {
    targets,
    rows: [row],
    generations: pairs,
    seconds: Number(values.seconds),
    saturate: false,
    async before(_row, _target, running) {
      await running.burden?.(BURDEN_NS);
    },
    measured(_row, target, measurement) {
      report.say(`${host}, ${target.name}: ${told(measurement)}`);
      taken.add(target.name, measurement);
    },
  });
  const { targets: results, ratios } = taken.result(pairs, LEVEL);
  const [own, its] = Object.values(results).map(told);
  const { median, low, high } = ratios[values.against] ?? {
    median: Number.NaN,
    low: Number.NaN,
    high: Number.NaN,
  };
  report.expect(
    high <= allowed,
    `${host}: ${own}, ${values.against} ${its}; ratio ${median.toFixed(3)}, interval ${low.toFixed(3)} to ${high.toFixed(3)}, which may end at ${allowed}`,
  );
}

function told(measured: Pick<Measurement, "cost" | "together"> | Error): string {
  if (measured instanceof Error) return measured.message;
  const { cost, together = Number.NaN } = measured;
  const seconds = (cost / 1e3).toFixed(3);
  return `${seconds} s of CPU a million deliveries (${together.toFixed(2)} at once)`;
}

function isHost(name: string): name is keyof typeof HOSTS {
  return Object.hasOwn(HOSTS, name);
}

const report = new Report("cpu");
await report.part(`against ${values.against}`, async () => {
  const mode = besideCommits([values.against]);
  try {
    for (const name of positionals.length > 0 ? positionals : Object.keys(HOSTS)) {
      if (!isHost(name)) throw new Error(`the hosts are ${Object.keys(HOSTS).join(", ")}`);
      await compare(report, name, mode);
    }
  } finally {
    mode.remove();
  }
});
report.end();
