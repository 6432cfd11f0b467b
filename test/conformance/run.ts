/**
 * The suite as a command: `npm run conformance` against this project's own Worker, with `--host server`
 * against the self-hosted server, or with the URL of any server, such as ws://localhost:9080/ws. Ends
 * with 0 when everything that was run holds.
 */
import { parseArgs } from "node:util";
import { setup as findRedis } from "../../scripts/redis.mjs";
import type { Host } from "./host.ts";
import { clusterHost, redisHost } from "./hosts/redis.ts";
import { compressingHost, serverHost } from "./hosts/server.ts";
import { threadsHost } from "./hosts/threads.ts";
import { foreignHost } from "./hosts/url.ts";
import { workerHost } from "./hosts/worker.ts";
import { type Lane, lanes, measuring } from "./lanes.ts";
import { line, type Outcome, summary } from "./report.ts";
import { obstacle, type Planned, plan, run, Servers } from "./runner.ts";

const USAGE =
  "usage: npm run conformance -- [ws://host:port/ws | --host worker|server|compressed|redis|cluster|threads-1|threads-2|threads-4] [--only PATTERN]";
const HOSTS: Readonly<Record<string, Host>> = {
  worker: workerHost,
  server: serverHost,
  compressed: compressingHost,
  redis: redisHost,
  "threads-1": threadsHost(1, { opens: "rules", kinds: "all" }),
  "threads-2": threadsHost(2, { opens: "rules", kinds: "all" }),
  "threads-4": threadsHost(4, { opens: "rules", kinds: "all" }),
  cluster: clusterHost,
};

interface Options {
  readonly host: Host;
  readonly name: string;
  readonly only: RegExp;
}

function options(): Options {
  const { values, positionals } = parseArgs({
    options: { only: { type: "string", default: "" }, host: { type: "string" } },
    allowPositionals: true,
  });
  const [url] = positionals;
  const only = new RegExp(values.only);
  if (url === undefined) {
    const name = values.host ?? "worker";
    const host = HOSTS[name];
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return { host, name: `this project's ${name} host`, only };
  }
  if (positionals.length > 1 || values.host !== undefined || !/^wss?:\/\/./.test(url)) {
    throw new Error("give one WebSocket URL at most");
  }
  return { host: foreignHost(url), name: url, only };
}

/** What runs at the same time, one after the other. A server that was found running is the only one. */
function turns(host: Host, planned: readonly Planned[]): (readonly Lane[])[] {
  return host.configurable ? [lanes(planned), [measuring(planned)]] : [[planned]];
}

async function outcomeOf(host: Host, servers: Servers, planned: Planned): Promise<Outcome> {
  const reason = obstacle(host, planned);
  if (reason !== undefined) return { planned, tookMs: 0, obstacle: reason };
  const server = await servers.get(planned.server);
  const began = performance.now();
  const taken = (): number => performance.now() - began;
  try {
    return { planned, notes: await run(host, server, planned), tookMs: taken() };
  } catch (failure) {
    return { planned, failure, tookMs: taken() };
  }
}

async function main(): Promise<number> {
  const { host, name, only } = options();
  const outcomes: Outcome[] = [];
  const runLane = async (lane: Lane): Promise<void> => {
    const servers = new Servers(host);
    try {
      for (const planned of lane) {
        const outcome = await outcomeOf(host, servers, planned);
        outcomes.push(outcome);
        console.log(line(outcome));
      }
    } finally {
      await servers.stop();
    }
  };
  console.log(`MessageLoop conformance: ${name}`);
  if (host === redisHost || host === clusterHost) findRedis();
  const planned = plan(host, "all").filter((one) => only.test(one.name));
  try {
    for (const beside of turns(host, planned)) await Promise.all(beside.map(runLane));
  } finally {
    await host.stop?.();
  }
  console.log(summary(outcomes, host.configurable));
  const ran = outcomes.filter((outcome) => outcome.obstacle === undefined);
  if (ran.length === 0) {
    console.error("nothing was run");
    return 1;
  }
  return ran.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(USAGE);
  process.exitCode = 2;
}
