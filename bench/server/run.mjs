/**
 * Deliveries per second of the self-hosted server beside the two bare servers, and the memory of its
 * idle connections beside theirs. The README of bench/ says how to run and read it.
 */
import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const OURS = "messageloop";
const PROGRAMS = ["frames", "turns", OURS];

const { values: options } = parseArgs({
  options: {
    wsload: { type: "string" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "1000" },
    idle: { type: "string", default: "10000" },
    window: { type: "string", default: "32" },
    payload: { type: "string", default: "128" },
    seconds: { type: "string", default: "4" },
  },
});
if (options.wsload === undefined) {
  console.error("usage: node bench/server/run.mjs --wsload PATH (see bench/README.md)");
  process.exit(2);
}

const programs = [];
try {
  for (const name of PROGRAMS) programs.push({ ...(await start(name)), runs: [] });
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const program of programs) program.runs.push(await load(program, round));
  }
} finally {
  for (const { child } of programs) child.kill("SIGTERM");
}
const memory = {};
for (const name of ["turns", OURS]) memory[name] = await idle(name);
report();

/** Starts a server on free ports and waits until it says where it listens for WebSockets. */
async function start(name) {
  const path = (file) => fileURLToPath(new URL(file, import.meta.url));
  const args =
    name === OURS ? [path("../../src/server/cli.ts"), "serve"] : [path("bare.mjs"), name];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:0",
      MESSAGELOOP_TRANSPORT_GRPC_ADDR: "127.0.0.1:0",
      MESSAGELOOP_SERVER_HTTP_ADDR: "127.0.0.1:0",
    },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const told = JSON.parse(line);
    const port = typeof told === "number" ? told : told.listener === "websocket" && told.port;
    if (port) return { name, child, port };
  }
  throw new Error(`${name} ended`);
}

function setupFrames(name, channel) {
  if (name !== OURS) return ["setup", "setup"];
  return [
    `{"id":"c","connect":{"client_id":"load-{i}","version":"1.0.0"}}`,
    `{"id":"s","subscribe":{"subscriptions":[{"channel":"${channel}"}]}}`,
  ];
}

async function wsload({ name, port }, connections, channel, ...more) {
  const { stdout } = await promisify(execFile)(options.wsload, [
    ...["-p", `${port}`, "-u", "/ws", ...(name === OURS ? ["-P", "messageloop+json"] : [])],
    ...["-n", connections, ...setupFrames(name, channel).flatMap((frame) => ["-s", frame])],
    ...more,
  ]);
  return JSON.parse(stdout);
}

/** One run of the load generator. Throws where its numbers would not mean what they say. */
async function load(program, round) {
  const channel = `bench.${round}`;
  // The mark is in the event's id, because v1 clients get the data in base64.
  const publish =
    `{"id":"{seq}","channel":"${channel}","publish":{"id":"${round}-{seq}-{ts}","source":"/bench",` +
    `"spec_version":"1.0","type":"bench","text_data":"{pad}",` +
    `"attributes":{"datacontenttype":{"ce_string":"text/plain"}}}}`;
  const { connections, window, seconds, payload } = options;
  const run = await wsload(
    ...[program, connections, channel, "-w", window, "-d", seconds, "-l", payload, "-m", publish],
  );
  console.error(`round ${round}, ${program.name}: ${JSON.stringify(run)}`);
  if (run.conns !== Number(connections) || run.dead > 0) throw new Error("sockets were lost");
  if (run.deliveries !== run.expected) throw new Error("not everyone received everything");
  return run;
}

/** Resident bytes for each of many connections that are subscribed and idle. */
async function idle(name) {
  const program = await start(name);
  try {
    const before = await resident(program.child.pid);
    // One message keeps the generator, and so the connections, there for some seconds.
    const publish = name === OURS ? `{"id":"x","ping":{}}` : "setup";
    const running = wsload(
      ...[program, options.idle, "idle.{i}", "-I", "12", "-r", "1", "-d", "1", "-m", publish],
    ).catch(() => undefined);
    // What counts is the last look before they go: by then the noise of connecting has settled.
    let last = before;
    for (let look = 0; look < 240; look++) {
      const gone = await Promise.race([running.then(() => true), pause(250)]);
      if (gone === true) break;
      last = await resident(program.child.pid);
    }
    await running;
    return (last - before) / Number(options.idle);
  } finally {
    program.child.kill("SIGTERM");
  }
}

async function resident(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) * 1024;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A table for people, then one line of JSON. */
function report() {
  const result = {};
  for (const { name, runs } of programs) {
    const rates = runs.map((run) => run.deliveries_per_s);
    result[name] = { median: median(rates), rates, p50_us: median(runs.map((run) => run.p50_us)) };
  }
  const rounds = programs[0].runs.map((_, index) => `round ${index + 1}`);
  row("deliveries/s", ...rounds, "median", "p50");
  for (const [name, { rates, median: middle, p50_us }] of Object.entries(result)) {
    row(name, ...[...rates, middle].map(grouped), `${(p50_us / 1000).toFixed(1)} ms`);
  }
  const ratios = {
    ofTurns: result[OURS].median / result.turns.median,
    ofFrames: result[OURS].median / result.frames.median,
    memory: memory[OURS] / memory.turns,
  };
  console.log(`\nof the bare server that writes once per turn: ${ratios.ofTurns.toFixed(2)}`);
  console.log(`of the bare server that sends frame by frame: ${ratios.ofFrames.toFixed(1)}`);
  console.log(
    `memory of an idle connection: ${grouped(Math.round(memory[OURS]))} bytes, ` +
      `${ratios.memory.toFixed(2)} of the bare server's\n`,
  );
  console.log(
    JSON.stringify({ load: { ...options, wsload: undefined }, ...result, memory, ratios }),
  );
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
