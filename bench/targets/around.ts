/** Programs under `workerd serve` with a module of bench/modules around them, which they know nothing of. */
import type { Counts } from "../counts.ts";
import {
  compiled,
  type RunningWorker,
  serveWorker,
  type WorkerProgram,
  type WorkerTarget,
} from "./workerd.ts";

export interface RunningCounted extends RunningWorker {
  /** What was counted since it was started. */
  counts(): Promise<Counts>;
}

export interface CountedTarget extends WorkerTarget {
  start(): Promise<RunningCounted>;
}

/** The same target, in which everything is counted that Cloudflare bills. */
export function counted(target: WorkerTarget): CountedTarget {
  const program = (): WorkerProgram => around("counting", target.program());
  return {
    ...target,
    program,
    async start() {
      const running = await serveWorker(program());
      const counts = async (): Promise<Counts> => {
        const response = await fetch(`http://127.0.0.1:${running.port}/bench/counts`);
        return (await response.json()) as Counts;
      };
      return { ...running, counts };
    },
  };
}

/** The same target, made slower while it runs: see `Running.burden`. */
export function burdened(target: WorkerTarget): WorkerTarget {
  const program = (): WorkerProgram => around("burden", target.program());
  return {
    ...target,
    program,
    async start() {
      const running = await serveWorker(program());
      const burden = async (ns: number): Promise<void> => {
        const url = `http://127.0.0.1:${running.port}/bench/burden`;
        await fetch(url, { method: "POST", body: `${ns}` });
      };
      return { ...running, burden };
    },
  };
}

/** A program whose Worker and objects are those of another one, each with the module around it. */
function around(module: "counting" | "burden", program: WorkerProgram): WorkerProgram {
  const { "main.js": inner = "", ...others } = program.modules;
  const objects = program.objects.map(
    (name) => `export const ${name} = around("${name}", program.${name});`,
  );
  const entry = `
import * as program from "./program.js";
import { around, front } from "./around.js";
${objects.join("\n")}
export default front(program.default);
`;
  return {
    ...program,
    modules: {
      "main.js": entry,
      "around.js": compiled(`${module}.ts`),
      "program.js": inner,
      ...others,
    },
    // Counting remembers from call to call in whose name code runs.
    compatibilityFlags: [...program.compatibilityFlags, "nodejs_als"],
  };
}
