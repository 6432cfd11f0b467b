/**
 * `npm run check:history`: random lives at length, by several seeds: every subscriber gets everything once and in order,
 * or is told what not. Each life is a process of its own; the checker and what happens to the hosts are those of
 * `npm test`.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type LifeReport, SEEN_BY_ALL } from "../test/history/life.ts";
import { Report } from "./report.ts";

interface Part {
  /** Steps of all lives together, and of one. */
  readonly steps: number;
  readonly each: number;
  /** Processes at the same time: a life waits most of the time. */
  readonly together: number;
  /** What it lives on, in turns. */
  readonly hosts: readonly string[];
  /** A test that lives it, where that is no program: its project, its file, and the steps of its scale 1. */
  readonly test?: readonly [project: string, file: string, steps: number];
  /** What its steps are. Default steps. */
  readonly unit?: string;
}

interface Life {
  readonly host: string;
  readonly seed: number;
  readonly steps: number;
}

interface Outcome {
  readonly code: number | string;
  readonly output: string;
  readonly report: LifeReport | undefined;
}

const PARTS: Readonly<Record<string, Part>> = {
  memory: { steps: 1_000_000, each: 50_000, together: 3, hosts: ["memory"] },
  threads: { steps: 100_000, each: 10_000, together: 2, hosts: ["threads-2", "threads-4"] },
  redis: {
    steps: 1_000_000,
    each: 20_000,
    together: 4,
    hosts: ["redis-durable", "redis-careless"],
  },
  chaos: {
    steps: 160,
    each: 16,
    together: 2,
    hosts: ["nodes on Redis"],
    test: ["redis", "test/redis/chaos.test.ts", 8],
    unit: "faults",
  },
  worker: {
    steps: 100_000,
    each: 10_000,
    together: 3,
    hosts: ["worker"],
    test: ["worker", "test/worker/history.test.ts", 10_000],
  },
};

/** A life of so many steps sees everything. */
const WHOLE = 10_000;
/** Beyond this a life hangs, in milliseconds for each step and at the beginning. */
const STEP_MS = 100;
const START_MS = 120_000;
/** Characters of a failed life that are shown. */
const SHOWN = 6_000;

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
/** Where processes keep their compiled modules, as in `npm test`. */
const CACHE = path("../node_modules/.cache/compile");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string" },
    each: { type: "string" },
    seed: { type: "string", default: "1" },
    together: { type: "string" },
    plant: { type: "boolean", default: false },
  },
});

function run({ host, seed, steps }: Life, { test }: Part): Promise<Outcome> {
  const [project = "", file = "", scaleOne = 1] = test ?? [];
  const args =
    test === undefined
      ? [path("history/life.ts"), host, `${seed}`, `${steps}`]
      : [path("../node_modules/vitest/vitest.mjs"), "run", "--project", project, file];
  const child = spawn(process.execPath, args, {
    cwd: path(".."),
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      // A life starts and kills a server every few seconds; half of a start is compiling its modules.
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? CACHE,
      MESSAGELOOP_TEST_SEED: `${seed}`,
      MESSAGELOOP_TEST_SCALE: `${steps / scaleOne}`,
    },
  });
  let output = "";
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    printed += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const late = setTimeout(() => child.kill("SIGTERM"), START_MS + STEP_MS * steps);
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearTimeout(late);
      const told = printed.split("\n").findLast((line) => line.startsWith("{"));
      const report = told === undefined ? undefined : (JSON.parse(told) as LifeReport);
      resolve({ code: code ?? signal ?? "", output, report });
    });
  });
}

/** All lives of a part, some at the same time. */
async function livesOf(report: Report, part: Part, hosts: readonly string[]): Promise<void> {
  const steps = Number(values.steps ?? part.steps);
  const each = Math.min(Number(values.each ?? part.each), steps);
  const count = Math.ceil(steps / each);
  const lives = Array.from({ length: count }, (_, i): Life => {
    const host = hosts[i % hosts.length] ?? "";
    return { host, seed: Number(values.seed) + i, steps: each };
  });
  const seen = new Map<string, number>();
  let next = 0;
  await Promise.all(
    Array.from({ length: Number(values.together ?? part.together) }, async () => {
      for (let life = lives[next++]; life !== undefined; life = lives[next++]) {
        const { host, seed } = life;
        const { code, output, report: told } = await run(life, part);
        const messages = told === undefined ? "" : `, ${told.counts["message"]} messages judged`;
        const shown = part.test === undefined ? output.slice(0, SHOWN) : output.slice(-SHOWN);
        const failure = code === 0 ? "" : `, ended with ${code}\n${shown}`;
        report.expect(
          code === 0,
          `${host}, seed ${seed}: ${each} ${part.unit ?? "steps"}${messages}${failure}`,
        );
        for (const [what, times] of Object.entries({ ...told?.counts, ...told?.events })) {
          seen.set(what, (seen.get(what) ?? 0) + times);
        }
      }
    }),
  );
  if (seen.size === 0) return;
  report.say([...seen].map(([what, times]) => `${what} ${times}`).join(", "));
  if (steps < WHOLE) return;
  const missing = SEEN_BY_ALL.filter((what) => !seen.has(what));
  report.expect(missing.length === 0, `not seen: ${missing.join(", ") || "nothing"}`);
}

const report = new Report("history");
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(", ")}`);
  const hosts = values.plant ? ["memory-lossy"] : part.hosts;
  await report.part(name, () => livesOf(report, part, hosts));
}
report.end();
