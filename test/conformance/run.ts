/**
 * The suite as a command: `npm run conformance` against this project's own Worker, with `--host server`
 * against the self-hosted server, or with the URL of any server, such as ws://localhost:9080/ws. Ends
 * with 0 when everything that was run holds.
 */
import { parseArgs } from "node:util";
import { setup as findRedis } from "../../scripts/redis.mjs";
import type { Host } from "./host.ts";
import { redisHost } from "./hosts/redis.ts";
import { serverHost } from "./hosts/server.ts";
import { foreignHost } from "./hosts/url.ts";
import { workerHost } from "./hosts/worker.ts";
import { line, type Outcome, summary } from "./report.ts";
import { obstacle, plan, run, Servers } from "./runner.ts";

const USAGE =
  "usage: npm run conformance -- [ws://host:port/ws | --host worker|server|redis] [--only PATTERN]";
const HOSTS: Readonly<Record<string, Host>> = {
  worker: workerHost,
  server: serverHost,
  redis: redisHost,
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

async function main(): Promise<number> {
  const { host, name, only } = options();
  const servers = new Servers(host);
  const outcomes: Outcome[] = [];
  let observable = false;
  console.log(`MessageLoop conformance: ${name}`);
  if (host === redisHost) findRedis();
  try {
    for (const planned of plan(host).filter((one) => only.test(one.name))) {
      const reason = obstacle(host, planned);
      const began = performance.now();
      let outcome: Outcome = { planned, tookMs: 0 };
      if (reason !== undefined) outcome = { ...outcome, obstacle: reason };
      else {
        const server = await servers.get(planned.server);
        observable = server.stats !== undefined;
        try {
          const notes = await run(host, server, planned);
          outcome = { planned, tookMs: performance.now() - began, notes };
        } catch (failure) {
          outcome = { planned, tookMs: performance.now() - began, failure };
        }
      }
      outcomes.push(outcome);
      console.log(line(outcome));
    }
  } finally {
    await servers.stop();
  }
  console.log(summary(outcomes, observable));
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
