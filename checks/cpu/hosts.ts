/** Starts the server of any tree, the self-hosted one or the Worker's, and reads the CPU time of its process. */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { unstable_readConfig as readConfig } from "wrangler";
import { serve } from "../../bench/worker/serve.mjs";

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
    cpu: () => cpuOf(child.pid ?? 0),
    async stop() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(late);
    },
  };
}

/** The bundle that a deploy of the tree would upload, and what it needs to run. */
export class WorkerBuild {
  readonly #folder = mkdtempSync(join(tmpdir(), "messageloop-cpu-"));
  readonly #tree: string;
  #runs = 0;

  constructor(tree: string) {
    this.#tree = tree;
    const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        join(tree, "node_modules/wrangler/bin/wrangler.js"),
        ...["deploy", "--dry-run", "--outdir", join(this.#folder, "bundle")],
      ],
      { cwd: tree, env: { ...process.env, PATH: path }, encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`the Worker of ${tree} does not build:\n${stderr}`);
  }

  /** `workerd serve` with its objects in a fresh folder. */
  async start(): Promise<Program> {
    this.#runs += 1;
    const folder = join(this.#folder, `${this.#runs}`);
    mkdirSync(folder);
    copyFileSync(join(this.#folder, "bundle", "index.js"), join(folder, "main.js"));
    const config = readConfig({ config: join(this.#tree, "wrangler.toml") });
    const { port, pid, stop } = await serve({
      folder,
      module: "main.js",
      objects: Object.keys(config.exports ?? {}),
      compatibilityDate: config.compatibility_date ?? "",
      compatibilityFlags: config.compatibility_flags,
    });
    return {
      port,
      cpu: () => cpuOf(pid),
      stop: async () => {
        await stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Time on a CPU of all threads of a process: the scheduler's own count, in nanoseconds. */
function cpuOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => {
    return sum + Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]);
  }, 0);
}
