/**
 * `npm run check:fuzz`: ten million frames, valid, strange and mutated, to the decoders, to sessions on the memory
 * broker, and to the readers of what Redis says; by a seed, in two processes.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FUZZERS, type FuzzOptions } from "./fuzz/fuzzers.ts";
import type { Fuzzed } from "./fuzz/process.ts";
import { Report } from "./report.ts";

const PROCESS = fileURLToPath(new URL("fuzz/process.ts", import.meta.url));
/** Frames of one message to a process. */
const PART = 20_000;
/** What hangs for so long will not end, in milliseconds. */
const HANG_MS = 120_000;
/** The heap of a process may grow by this after its first part of a kind. */
const GROWTH = 32 * 1024 * 1024;

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "10000000" },
    seed: { type: "string", default: "1" },
    processes: { type: "string", default: "2" },
    only: { type: "string" },
    step: { type: "string" },
    plant: { type: "boolean", default: false },
  },
});

/** The parts of a run, the kinds in turns. */
function* parts(): Generator<FuzzOptions> {
  const seed = Number(values.seed);
  const chosen = Object.entries(FUZZERS).filter(([name]) => (values.only ?? name) === name);
  if (values.step !== undefined) {
    const from = Number(values.step);
    for (const [fuzzer] of chosen) yield { fuzzer, seed, from, to: from + 1 };
    return;
  }
  const shares = chosen.reduce((sum, [, { share }]) => sum + share, 0);
  const left = new Map(
    chosen.map(([name, { share, frames }]) => {
      return [name, Math.ceil((Number(values.frames) * share) / shares / frames)] as const;
    }),
  );
  const next = new Map<string, number>();
  while ([...left.values()].some((steps) => steps > 0)) {
    for (const [fuzzer, { frames }] of chosen) {
      const steps = Math.min(left.get(fuzzer) ?? 0, Math.ceil(PART / frames));
      const from = next.get(fuzzer) ?? 0;
      if (steps === 0) continue;
      left.set(fuzzer, (left.get(fuzzer) ?? 0) - steps);
      next.set(fuzzer, from + steps);
      const planted = values.plant && from > 0 ? { plant: from + 1 } : {};
      yield { fuzzer, seed, from, to: from + steps, ...planted };
    }
  }
}

/** What a process makes of a part. */
function made(child: ChildProcess, options: FuzzOptions): Promise<Fuzzed> {
  const { fuzzer, from, to } = options;
  const where = `${fuzzer}, steps ${from} to ${to}`;
  return new Promise((resolve) => {
    const done = (outcome: Fuzzed): void => {
      clearTimeout(late);
      child.removeAllListeners("message").removeAllListeners("exit");
      resolve(outcome);
    };
    const lost = (what: string): void => done({ frames: 0, heap: 0, failure: `${where}: ${what}` });
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      lost("hangs");
    }, HANG_MS);
    child.once("message", (outcome: Fuzzed) => done(outcome));
    child.once("exit", (code, signal) => lost(`the process ended with ${code ?? signal}`));
    child.send(options);
  });
}

const report = new Report("fuzz");
const counts = new Map<string, number>();
const queue = parts();
const SAID_EVERY = 1_000_000;
let total = 0;
let failed = false;
await report.part(`seed ${values.seed}`, async () => {
  const run = async (): Promise<void> => {
    const child = fork(PROCESS, [], { execArgv: ["--expose-gc"] });
    const heaps = new Map<string, number>();
    let [first, last] = [0, 0];
    for (const options of queue) {
      const { frames, heap, failure } = await made(child, options);
      if (failure !== undefined) {
        report.expect(false, failure);
        failed = true;
      }
      if (failed) break;
      counts.set(options.fuzzer, (counts.get(options.fuzzer) ?? 0) + frames);
      const before = total;
      total += frames;
      if (Math.floor(before / SAID_EVERY) < Math.floor(total / SAID_EVERY)) {
        report.say(`${Math.floor(total / SAID_EVERY)} million frames`);
      }
      // Until each kind has been there once the code alone grows.
      if (!heaps.has(options.fuzzer)) first = heap;
      heaps.set(options.fuzzer, heap);
      last = heap;
    }
    const growth = ((last - first) / 1024 / 1024).toFixed(1);
    if (!failed)
      report.expect(
        last - first < GROWTH,
        `the heap of a process grew by ${growth} MiB, less than 32`,
      );
    if (child.connected) child.disconnect();
  };
  await Promise.all(Array.from({ length: Number(values.processes) }, run));
});
for (const [name, frames] of counts) {
  report.expect(frames > 0, `${name}: ${frames} frames`);
}
report.end();
