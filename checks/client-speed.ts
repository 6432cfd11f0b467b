/**
 * `npm run check:client-speed`: the SDK beside centrifuge-js in one run. Parsing and dispatching messages is measured alone, with
 * frames that were prepared; a storm of clients that come back is measured with Centrifugo beside our server.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { build } from "esbuild";
import { thisMachine, watchOthers } from "../bench/machine.ts";
import type { Interval } from "../bench/statistics.ts";
import { dispatch, type Kind } from "./client-speed/dispatch.ts";
import { storm } from "./client-speed/storm.ts";
import { Report } from "./report.ts";

/** How messages come, and how many of ours are at least dispatched in the time of one of theirs. */
const KINDS: Readonly<Record<string, Kind & { readonly atLeast: number }>> = {
  json: { encoding: "json", together: 1, atLeast: 1 },
  batches: { encoding: "json", together: 50, atLeast: 1.3 },
  protobuf: { encoding: "protobuf", together: 1, atLeast: 1.2 },
};
const STORM = "storm";
const NO_PEERS = "--peers names no folder with Centrifugo's executable";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: "string" },
    generations: { type: "string", default: "7" },
    pairs: { type: "string", default: "21" },
    rounds: { type: "string", default: "11" },
    messages: { type: "string", default: "2000" },
    plant: { type: "boolean", default: false },
  },
});
const { plant } = values;

const report = new Report("client-speed");
const folder = await mkdtemp(join(tmpdir(), "messageloop-client-speed-"));
const others = watchOthers();
try {
  const centrifuge = await install();
  const { cpu, cores, node } = thisMachine();
  report.say(`centrifuge ${centrifuge}, Node ${node}, ${cores} × ${cpu}`);
  const { peers } = values;
  const all = [...Object.keys(KINDS), ...(peers === undefined ? [] : [STORM])];
  for (const name of positionals.length > 0 ? positionals : all) {
    await report.part(name, () => part(name));
  }
  if (peers === undefined) report.say(`not run: ${STORM}, since ${NO_PEERS}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
report.say(`other programs took ${others().toFixed(2)} cores`);
report.end();

async function part(name: string): Promise<void> {
  const kind = KINDS[name];
  if (name === STORM) await weather();
  else if (kind === undefined) {
    throw new Error(`there are ${[...Object.keys(KINDS), STORM].join(", ")}`);
  } else {
    const [generations, pairs] = [Number(values.generations), Number(values.pairs)];
    const terms = { folder, generations, pairs, plant, messages: Number(values.messages) };
    const { ratio, ours, theirs } = await dispatch(kind, terms);
    judge(name, ratio, kind.atLeast, `${thousands(ours)} and ${thousands(theirs)} messages/s`);
  }
}

async function weather(): Promise<void> {
  if (values.peers === undefined) throw new Error(NO_PEERS);
  const { ratio, ours, theirs } = await storm({
    ...{ folder, plant, rounds: Number(values.rounds) },
    executable: join(values.peers, "centrifugo"),
    say: (text) => report.say(text),
  });
  judge(STORM, ratio, 1, `${ours.toFixed(2)} and ${theirs.toFixed(2)} s until all have recovered`);
}

function judge(name: string, { median, low, high }: Interval, atLeast: number, what: string): void {
  report.expect(
    median >= atLeast,
    `${name}: ${what}; ratio ${median.toFixed(2)}, interval ${low.toFixed(2)} to ${high.toFixed(2)}, at least ${atLeast}`,
  );
}

function thousands(count: number): string {
  return (1_000 * Math.round(count / 1_000)).toLocaleString("en-US");
}

/** Theirs by the lock file, and ours as a bundle beside it. Returns the version of theirs. */
async function install(): Promise<string> {
  await cp(fileURLToPath(new URL("client-speed", import.meta.url)), folder, { recursive: true });
  const options = { cwd: folder };
  await promisify(execFile)("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], options);
  await build({
    stdin: {
      contents: 'export * from "./src/index.ts"; export * from "./src/client/protobuf/index.ts";',
      resolveDir: fileURLToPath(new URL("..", import.meta.url)),
      loader: "ts",
    },
    outfile: join(folder, "messageloop.mjs"),
    bundle: true,
    format: "esm",
  });
  const manifest = join(folder, "node_modules/centrifuge/package.json");
  return (JSON.parse(await readFile(manifest, "utf8")) as { version: string }).version;
}
