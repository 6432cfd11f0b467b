/**
 * `npm run check:sdk`: clients of the SDK live a random life through a network that fails, and their applications see every message
 * once and in order, or get a gap event.
 */
import { parseArgs } from "node:util";
import { Report } from "./report.ts";
import { HOSTS, type HostName } from "./sdk/hosts.ts";
import { liveBySdk, SEEN_BY_ALL } from "./sdk/life.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    plant: { type: "boolean", default: false },
  },
});
const steps = Number(values.steps);
const seed = Number(values.seed);

/** Steps between two judgements. */
const ROUND = 250;
/** A life of so many steps sees everything. */
const WHOLE = 10_000;

async function live(report: Report, name: HostName): Promise<void> {
  const host = await HOSTS[name](seed);
  try {
    const told = await liveBySdk({ host, steps, seed, round: ROUND, plant: values.plant });
    const { counts, events, faults, promises, tries, codes } = told;
    const settled = Object.values(promises).reduce((sum, times) => sum + times, 0);
    report.expect(
      true,
      `${name}, seed ${seed}: ${steps} steps, ${counts["application message"]} messages live and ${counts["application replay"]} replayed, ${settled} promises, ${tries} tries`,
    );
    report.say(`seen: ${list(counts)}`);
    report.say(`faults: ${list({ ...faults, ...events })}; closed with ${codes.join(", ")}`);
    report.say(`promises: ${list(promises)}`);
    if (steps < WHOLE) return;
    const missing = SEEN_BY_ALL.filter((what) => !counts[what]);
    report.expect(missing.length === 0, `not seen: ${missing.join(", ") || "nothing"}`);
  } finally {
    await host.stop();
  }
}

function list(times: Readonly<Record<string, number>>): string {
  return Object.entries(times)
    .map(([what, often]) => `${what} ${often}`)
    .join(", ");
}

const PARTS: Readonly<Record<string, (report: Report) => Promise<void>>> = Object.fromEntries(
  Object.keys(HOSTS).map((name) => [name, (report: Report) => live(report, name as HostName)]),
);

const report = new Report("sdk");
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(", ")}`);
  await report.part(name, () => part(report));
}
report.end();
