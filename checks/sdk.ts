/**
 * `npm run check:sdk`: clients of the SDK live a random life through a network that fails, and their applications see every message
 * once and in order, or get a gap event.
 */
import { parseArgs } from "node:util";
import { Report } from "./report.ts";
import { HOSTS, type HostName } from "./sdk/hosts.ts";
import { liveBySdk, SEEN_BY_ALL } from "./sdk/life.ts";
import { MOST_SHARE, storm } from "./sdk/storm.ts";
import { STREAMS, type Way, WEB_SOCKETS } from "./sdk/ways.ts";

interface Life {
  readonly host: HostName;
  readonly steps: number;
  readonly ways: readonly Way[];
}

/** A life of so many steps sees everything. */
const WHOLE = 10_000;
const ALL = [...WEB_SOCKETS, ...STREAMS];
const LIVES: Readonly<Record<string, Life>> = {
  websocket: { host: "memory", steps: WHOLE, ways: WEB_SOCKETS },
  streams: { host: "memory", steps: 5_000, ways: STREAMS },
  redis: { host: "redis", steps: 1_500, ways: ALL },
  "threads-2": { host: "threads-2", steps: 1_500, ways: ALL },
  "threads-4": { host: "threads-4", steps: 1_500, ways: ALL },
  worker: { host: "worker", steps: 2_000, ways: ALL },
};

/** Steps between two judgements. */
const ROUND = 250;
const CLIENTS = 1_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string" },
    seed: { type: "string", default: "1" },
    patterns: { type: "boolean", default: false },
    plant: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const { patterns, plant } = values;

async function live(report: Report, name: string, life: Life): Promise<void> {
  const steps = Number(values.steps ?? life.steps);
  const host = await HOSTS[life.host]({ steps, seed });
  try {
    const { ways } = life;
    const told = await liveBySdk({ host, ways, steps, seed, patterns, round: ROUND, plant });
    const { counts, events, faults, promises, tries, codes } = told;
    const settled = sum(Object.values(promises));
    const [messages, replays] = ["message", "replay"].map((what) => heard(counts, what));
    report.expect(
      true,
      `${name}, seed ${seed}: ${steps} steps, ${messages} messages live and ${replays} replayed, ${settled} promises, ${tries} tries`,
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

async function weather(report: Report): Promise<void> {
  for (const { name, tries, share, late, early, tookMs } of await storm({
    clients: CLIENTS,
    plant,
  })) {
    const spread = `${percent(share)} of ${tries} tries in 100 ms, at most ${percent(MOST_SHARE)}`;
    const came = `${percent(late)} as they came; all back after ${(tookMs / 1_000).toFixed(1)} s`;
    report.expect(share <= MOST_SHARE, `${CLIENTS} clients, ${name}: ${spread}; ${came}`);
    report.expect(early === 0, `${CLIENTS} clients, ${name}: ${early} tries before their time`);
  }
}

function heard(counts: Readonly<Record<string, number>>, what: string): number {
  const [own = 0, ofPatterns = 0] = ["", " of a pattern"].map(
    (end) => counts[`application ${what}${end}`],
  );
  return own + ofPatterns;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

function list(times: Readonly<Record<string, number>>): string {
  return Object.entries(times)
    .map(([what, often]) => `${what} ${often}`)
    .join(", ");
}

const PARTS: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  ...Object.fromEntries(
    Object.entries(LIVES).map(([name, life]) => [
      name,
      (report: Report) => live(report, name, life),
    ]),
  ),
  storm: weather,
};

const report = new Report("sdk");
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(", ")}`);
  await report.part(name, () => part(report));
}
report.end();
