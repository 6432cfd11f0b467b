/** The Worker as a user runs it: wrangler dev on a free port with storage of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sleep } from "./eventually.ts";
import { settledPort } from "./ports.ts";

export interface RunningServer {
  /** Such as `http://localhost:1234`. */
  readonly url: string;
  readonly pid: number;
  /** What it has printed so far. */
  output(): string;
  stop(): Promise<void>;
  /** Ends it in the middle of whatever it does, as a crash would. */
  kill(): Promise<void>;
}

export interface WranglerOptions {
  /** Another module than the deployed one, such as `test/worker/entry.ts`. Has no page. */
  readonly main?: string;
  /** Classes of objects that the module exports beside the deployed ones. */
  readonly classes?: readonly string[];
  /** Service bindings to entrypoints of the module itself, by their names. */
  readonly entrypoints?: Readonly<Record<string, string>>;
  /** Variables beside those of wrangler.toml. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** Secrets, such as `MESSAGELOOP_API_KEYS`, as a developer's machine has them. Default none. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** A config.yaml. Default: there is none. */
  readonly config?: string;
  /** Whether it has the page as well where it has a module, variables or a config.yaml of the test's own. Default not. */
  readonly page?: boolean;
  /** Default: a free one. */
  readonly port?: number;
  /** A folder that outlives this run. Default: a fresh one that goes with it. */
  readonly storage?: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const START_DEADLINE_MS = 60_000;

/** Starts the Worker and waits until it answers. */
export async function startWrangler(options: WranglerOptions = {}): Promise<RunningServer> {
  const port = options.port ?? (await settledPort("worker"));
  const storage = options.storage ?? (await mkdtemp(join(tmpdir(), "messageloop-e2e-")));
  const tidy = async (): Promise<void> => {
    if (options.storage === undefined) await rm(storage, { recursive: true, force: true });
  };
  const args = ["dev", "--port", `${port}`, "--inspector-port", "0", "--persist-to", storage];
  const { env, more } = await prepared(options, storage);
  args.push(...more);
  if (options.secrets !== undefined) {
    const file = join(storage, ".vars");
    // What is in quotes of this kind is taken as it is.
    const lines = Object.entries(options.secrets).map(([name, value]) => `${name}='${value}'\n`);
    await writeFile(file, lines.join(""));
    args.push("--env-file", file);
  }
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  const child = spawn(process.execPath, [wrangler, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env,
  });
  let output = "";
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const url = `http://localhost:${port}`;
  await answering(url, child, () => output);
  return {
    url,
    pid: child.pid ?? 0,
    output: () => output,
    stop: async () => {
      await ended(child);
      await tidy();
    },
    kill: async () => {
      const family = await familyOf(child.pid ?? 0);
      const exit = new Promise((resolve) => child.once("exit", resolve));
      for (const pid of family) process.kill(pid, "SIGKILL");
      await exit;
      await tidy();
    },
  };
}

/** What wrangler is to be started with, beside the command, for a Worker and configuration of the test's own. */
export async function prepared(
  options: Pick<WranglerOptions, "main" | "vars" | "config" | "classes" | "page">,
  folder: string,
): Promise<{ readonly env: NodeJS.ProcessEnv; readonly more: readonly string[] }> {
  const { main, vars, config } = options;
  // The file of whoever runs the tests has no part in them.
  const yaml = config === undefined ? "/dev/null" : join(folder, "config.yaml");
  const env = { ...process.env, CI: "1", MESSAGELOOP_CONFIG: yaml };
  if (config !== undefined) await writeFile(yaml, config);
  if (main === undefined && vars === undefined && config === undefined) return { env, more: [] };
  const file = join(folder, "wrangler.json");
  await writeFile(file, JSON.stringify(await configuration(options, folder)));
  return { env, more: ["--config", file] };
}

/** The deployed configuration with another module and more variables, without what only the page needs. */
async function configuration(
  { main, vars, config, classes = [], entrypoints = {}, page = false }: WranglerOptions,
  storage: string,
): Promise<unknown> {
  const { unstable_readConfig: readConfig } = await import("wrangler");
  const deployed = readConfig({ config: join(root, "wrangler.toml") });
  const { name, assets, compatibility_date, compatibility_flags, exports } = deployed;
  return {
    name,
    main: join(root, main ?? "src/worker/index.ts"),
    compatibility_date,
    compatibility_flags,
    exports: {
      ...exports,
      ...Object.fromEntries(
        classes.map((name) => [name, { type: "durable-object", storage: "sqlite" }]),
      ),
    },
    services: Object.entries(entrypoints).map(([binding, entrypoint]) => ({
      binding,
      service: name,
      entrypoint,
    })),
    vars,
    ...(page ? { assets: { ...assets, directory: join(root, "dist/page") } } : {}),
    ...(config === undefined ? {} : buildInto(join(storage, "config.json"))),
  };
}

/** What the deployed configuration does with a config.yaml, in a place of its own. */
function buildInto(bundled: string): object {
  const script = join(root, "scripts/build-worker.mjs");
  return {
    build: {
      command: `"${process.execPath}" "${script}" "${bundled}"`,
      // Beside the file that says so.
      watch_dir: "config.yaml",
    },
    alias: { "./config.json": bundled },
  };
}

/** Resident memory of a process and everything it has started, in bytes. */
export async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const own = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const rest = await Promise.all(
    children
      .split(" ")
      .filter(Boolean)
      .map((id) => memoryOf(Number(id))),
  );
  return rest.reduce((sum, bytes) => sum + bytes, own);
}

/** A process and everything it has started. */
export async function familyOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const rest = await Promise.all(
    children
      .split(" ")
      .filter(Boolean)
      .map((id) => familyOf(Number(id))),
  );
  return [pid, ...rest.flat()];
}

async function answering(url: string, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`wrangler dev ended:\n${output()}`);
    const response = await fetch(url).catch(() => undefined);
    // Whatever it says, it is there.
    if (response !== undefined) return;
    await sleep(100);
  }
  await ended(child);
  throw new Error(`wrangler dev does not answer:\n${output()}`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await exit;
}
