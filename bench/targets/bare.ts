/** The two bare servers. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { end, type Target, told } from "../target.ts";

const PROGRAM = fileURLToPath(new URL("bare-server.ts", import.meta.url));

export const BARE_FRAMES = bareServer("frames");
export const BARE_TURNS = bareServer("turns");

function bareServer(mode: "frames" | "turns"): Target {
  return {
    name: `bare-${mode}`,
    dialect: { name: "bare" },
    async start() {
      const child = spawn(process.execPath, [PROGRAM, mode], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const port = await told(child, Number);
      return { port, pids: [child.pid as number], stop: () => end(child) };
    },
  };
}
