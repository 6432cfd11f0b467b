/** Starts the server of any tree, the self-hosted one or the Worker's, and reads the CPU time of its process. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { cpuOf } from "../../bench/target.ts";
import { messageLoopWorker } from "../../bench/targets/worker.ts";

export interface Program {
  readonly port: number;
  /** CPU time that its process has taken, in nanoseconds. */
  cpu(): number;
  stop(): Promise<void>;
}

const STOP_MS = 5_000;

/** @param slower makes it take some more CPU, to show that this is found */
export async function startServer(tree: string, slower: boolean): Promise<Program> {
  const burden =
    "setInterval(() => { const end = performance.now() + 1; while (performance.now() < end); }, 20)";
  const args = slower ? ["--import", `data:text/javascript,${encodeURIComponent(burden)}`] : [];
  const child = spawn(process.execPath, [...args, "src/server/cli.ts", "serve"], {
    cwd: tree,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:0",
      MESSAGELOOP_TRANSPORT_GRPC_ADDR: "127.0.0.1:0",
      MESSAGELOOP_SERVER_HTTP_ADDR: "127.0.0.1:0",
    },
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const told = JSON.parse(line) as { listener?: string; port?: number };
      if (told.listener === "websocket" && told.port !== undefined) resolve(told.port);
    });
    child.once("exit", (code) => reject(new Error(`the server of ${tree} ended with ${code}`)));
  });
  return {
    port,
    cpu: () => cpuOf([child.pid ?? 0]),
    async stop() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(late);
    },
  };
}

/** The bundle that a deploy of the tree would upload, ready to be started. */
export function workerOf(tree: string): () => Promise<Program> {
  const target = messageLoopWorker(tree);
  return async () => {
    const { port, pids, stop } = await target.start();
    return { port, cpu: () => cpuOf(pids), stop };
  };
}
