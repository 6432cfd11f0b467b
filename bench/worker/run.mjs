/**
 * Deliveries per second of the Worker beside those of a minimal room: same runtime, same load, in
 * turns. The README of bench/ says how to run and read it.
 */
import { execFile, spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { unstable_readConfig as readConfig } from "wrangler";
import { serve } from "./serve.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ROOM = "room";
const OURS = "messageloop";
const PACING_PINGS = 12;

const { values: options } = parseArgs({
  options: {
    wsload: { type: "string" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "1000" },
    window: { type: "string", default: "32" },
    payload: { type: "string", default: "128" },
    seconds: { type: "string", default: "4" },
  },
});
if (options.wsload === undefined) {
  console.error("usage: node bench/worker/run.mjs --wsload PATH (see bench/README.md)");
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), "messageloop-bench-"));
const programs = [];
try {
  const config = readConfig({ config: join(root, "wrangler.toml") });
  const room = fileURLToPath(new URL("room.js", import.meta.url));
  // Both run all the time: whatever the machine does meanwhile, it does to both.
  await start(ROOM, room, ["Room"], config);
  await start(OURS, join(bundle(), "index.js"), Object.keys(config.exports), config);
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const program of programs) program.runs.push(await load(program, round));
  }
  report();
} finally {
  await Promise.all(programs.map(({ server }) => server.stop()));
  await rm(folder, { recursive: true, force: true });
}

async function start(name, module, objects, config) {
  const home = join(folder, name);
  await mkdir(home);
  await copyFile(module, join(home, "main.js"));
  const server = await serve({
    folder: home,
    module: "main.js",
    objects,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
  });
  programs.push({ name, server, runs: [] });
}

/** The very bundle that a deploy would upload. */
function bundle() {
  const target = join(folder, "bundle");
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  const path = [dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
  const { status } = spawnSync(
    process.execPath,
    [wrangler, "deploy", "--dry-run", "--outdir", target],
    // What it prints goes to stderr: stdout is for the result.
    { cwd: root, stdio: ["ignore", 2, 2], env: { ...process.env, PATH: path } },
  );
  if (status !== 0) throw new Error("the Worker does not build");
  return target;
}

/** One run of the load generator. Throws where its numbers would not mean what they say. */
async function load({ name, server }, round) {
  // A channel of its own for each run: the log starts empty.
  const channel = `bench.${round}`;
  const setup =
    name === ROOM
      ? ["setup", "setup"]
      : [
          `{"id":"c","connect":{"client_id":"load-{i}","version":"1.0.0"}}`,
          `{"id":"s","subscribe":{"subscriptions":[{"channel":"${channel}"}]}}`,
          // A gateway that is asked for more than 500 upgrades a second sends the rest elsewhere: the
          // connections come one at a time, and these round trips keep them slow enough.
          ...Array(PACING_PINGS).fill(`{"id":"p","ping":{}}`),
        ];
  // The mark is in the event's id, because v1 clients get the data in base64.
  const publish =
    `{"id":"{seq}","channel":"${channel}","publish":{"id":"${round}-{seq}-{ts}","source":"/bench",` +
    `"spec_version":"1.0","type":"bench","text_data":"{pad}",` +
    `"attributes":{"datacontenttype":{"ce_string":"text/plain"}}}}`;
  const { stdout } = await promisify(execFile)(options.wsload, [
    ...["-p", `${server.port}`, "-u", "/ws", ...(name === ROOM ? [] : ["-P", "messageloop+json"])],
    ...["-n", options.connections, "-w", options.window, "-d", options.seconds],
    ...["-l", options.payload, "-B", "1"],
    ...setup.flatMap((frame) => ["-s", frame]),
    ...["-m", publish],
  ]);
  const run = JSON.parse(stdout);
  console.error(`round ${round}, ${name}: ${stdout.trim()}`);
  const problems = [];
  if (run.conns !== Number(options.connections) || run.dead > 0) problems.push("sockets lost");
  if (run.deliveries !== run.expected) problems.push("not every message reached every subscriber");
  if (name === OURS && (await server.count("GatewayDurableObject")) !== 1) {
    problems.push("the sockets are on more than one gateway");
  }
  if (problems.length > 0) throw new Error(`${name}, round ${round}: ${problems.join("; ")}`);
  return run;
}

/** A table for people, then one line of JSON. */
function report() {
  const result = {};
  for (const { name, runs } of programs) {
    const rates = runs.map((run) => run.deliveries_per_s);
    result[name] = { median: median(rates), rates, p50_us: median(runs.map((run) => run.p50_us)) };
  }
  const ratio = result[OURS].median / result[ROOM].median;
  const rounds = programs[0].runs.map((_, index) => `round ${index + 1}`);
  row("deliveries/s", ...rounds, "median", "p50");
  for (const [name, { rates, median: middle, p50_us }] of Object.entries(result)) {
    row(name, ...[...rates, middle].map(grouped), `${(p50_us / 1000).toFixed(1)} ms`);
  }
  console.log(`\nratio of the medians: ${ratio.toFixed(1)}\n`);
  console.log(JSON.stringify({ load: { ...options, wsload: undefined }, ...result, ratio }));
}

function row(name, ...cells) {
  console.log(name.padEnd(14) + cells.map((cell) => cell.padStart(12)).join(""));
}

function grouped(value) {
  return value.toLocaleString("en-US");
}

function median(values) {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)];
}
