/**
 * A Worker in its runtime, without `wrangler dev` around it, which bundles at each start and puts a Worker of its own in
 * front of every request: what is about the Worker costs a third then.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serveWorker } from "../../bench/targets/workerd.ts";
import type { WranglerTerms } from "../../bench/targets/wrangler.ts";
import { BUNDLES, programPath, TERMS, type WorkerName } from "./programs.ts";
import type { RunningServer, WranglerOptions } from "./wrangler.ts";

export interface WorkerdOptions
  extends Pick<WranglerOptions, "entrypoints" | "vars" | "port" | "storage"> {
  /** The module; default the deployed one, without its page and without a config.yaml. */
  readonly main?: WorkerName;
  /** Whether it may do what workerd has for tests. Default not. */
  readonly experimental?: boolean;
}

/** Starts a Worker and waits until it listens. It ends at once, as in a crash. */
export async function startWorkerd({
  main = "worker",
  entrypoints = {},
  vars = {},
  experimental = false,
  ...serving
}: WorkerdOptions = {}): Promise<RunningServer> {
  // Outside of vitest nobody has built it yet.
  if (process.env[BUNDLES] === undefined) (await import("./build-programs.ts")).setup();
  const told = readFileSync(join(process.env[BUNDLES] ?? "", TERMS), "utf8");
  const { objects, terms } = JSON.parse(told) as WranglerTerms;
  let output = "";
  const { port, pids, stop } = await serveWorker(
    {
      modules: { "main.js": readFileSync(programPath(main), "utf8") },
      objects,
      callsOut: true,
      // Every deployment has this table.
      vars: { messageloop: {}, ...vars },
      entrypoints,
      ...terms,
      compatibilityFlags: [...terms.compatibilityFlags, ...(experimental ? ["unsafe_module"] : [])],
    },
    {
      ...serving,
      experimental,
      print: (text) => {
        output += text;
      },
    },
  );
  return {
    url: `http://127.0.0.1:${port}`,
    pid: pids[0] ?? 0,
    output: () => output,
    stop,
    kill: stop,
  };
}
