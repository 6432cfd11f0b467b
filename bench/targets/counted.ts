/** A program under `workerd serve` in which everything is counted that Cloudflare bills. */
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

/** The same target, which also counts. */
export function counted(target: WorkerTarget): CountedTarget {
  const program = (): WorkerProgram => around(target.program());
  return {
    ...target,
    program,
    async start() {
      const running = await serveWorker(program());
      return {
        ...running,
        async counts() {
          const response = await fetch(`http://127.0.0.1:${running.port}/bench/counts`);
          return (await response.json()) as Counts;
        },
      };
    },
  };
}

/** A program whose Worker and objects are those of another one, in what counts. */
function around(program: WorkerProgram): WorkerProgram {
  const { "main.js": inner = "", ...others } = program.modules;
  const entry = `
import * as program from "./program.js";
import { counted, front } from "./counting.js";
${program.objects.map((name) => `export const ${name} = counted("${name}", program.${name});`).join("\n")}
export default front(program.default);
`;
  return {
    ...program,
    modules: {
      "main.js": entry,
      "counting.js": compiled("counting.ts"),
      "program.js": inner,
      ...others,
    },
    // Whose timer it is: that is remembered from call to call.
    compatibilityFlags: [...program.compatibilityFlags, "nodejs_als"],
  };
}
