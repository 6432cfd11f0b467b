/**
 * The suite as a command: `npm run conformance` against this project's own Worker, or with the URL of
 * any server, such as ws://localhost:9080/ws. Ends with 0 when everything that was run holds.
 */
import { parseArgs } from "node:util";
import { foreignHost } from "./hosts/url.ts";
import { workerHost } from "./hosts/worker.ts";
import { line, type Outcome, summary } from "./report.ts";
import { obstacle, plan, run, Servers } from "./runner.ts";

const USAGE = "usage: npm run conformance -- [ws://host:port/ws] [--only PATTERN]";

function options(): { url: string | undefined; only: RegExp } {
  const { values, positionals } = parseArgs({
    options: { only: { type: "string", default: "" } },
    allowPositionals: true,
  });
  const [url] = positionals;
  if (positionals.length > 1 || (url !== undefined && !/^wss?:\/\/./.test(url))) {
    throw new Error("give one WebSocket URL at most");
  }
  return { url, only: new RegExp(values.only) };
}

async function main(): Promise<number> {
  const { url, only } = options();
  const host = url === undefined ? workerHost : foreignHost(url);
  const servers = new Servers(host);
  const outcomes: Outcome[] = [];
  let observable = false;
  console.log(`MessageLoop conformance: ${url ?? "this project's Worker under wrangler dev"}`);
  try {
    for (const planned of plan().filter(({ name }) => only.test(name))) {
      const reason = obstacle(host, planned);
      const began = performance.now();
      let outcome: Outcome = { planned, tookMs: 0 };
      if (reason !== undefined) outcome = { ...outcome, obstacle: reason };
      else {
        const server = await servers.get(planned.server);
        observable = server.stats !== undefined;
        try {
          await run(host, server, planned);
          outcome = { planned, tookMs: performance.now() - began };
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
