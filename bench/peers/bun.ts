/** Bun's native publish. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { end, type Target, told } from "../target.ts";

const PROGRAM = fileURLToPath(new URL("bun.mjs", import.meta.url));

/** @param executable path of Bun */
export function bun(executable: string): Target {
  return {
    name: "bun",
    dialect: { name: "bare" },
    async start() {
      const child = spawn(executable, [PROGRAM], { stdio: ["ignore", "pipe", "inherit"] });
      const port = await told(child, Number);
      return { port, pids: [child.pid as number], stop: () => end(child) };
    },
  };
}
