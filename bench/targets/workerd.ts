/**
 * Runs a Worker under bare `workerd serve`. `wrangler dev` would put a proxy of its own in front, which costs more
 * than what is to be measured.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { transformSync } from "esbuild";
import { end, type Running, type Target } from "../target.ts";

export interface WorkerProgram extends Compatibility {
  /** ES modules by name; the first one is the entry. */
  readonly modules: Readonly<Record<string, string>>;
  /** Names of its Durable Object classes. */
  readonly objects: readonly string[];
  /** Whether it calls programs of this machine. Default not. */
  readonly callsOut?: boolean;
  /** Its variables: texts as they are, all else as JSON. Default none. */
  readonly vars?: Readonly<Record<string, unknown>>;
  /** Service bindings to entrypoints of its own, by their names. Default none. */
  readonly entrypoints?: Readonly<Record<string, string>>;
}

export interface ServeOptions {
  /** On the loopback interface; default a free one. */
  readonly port?: number;
  /** A folder that outlives the program. Default one in memory that goes with it. */
  readonly storage?: string;
  /** Takes what it prints, which otherwise goes where this process prints. */
  readonly print?: (text: string) => void;
  /** Whether it takes flags that are for tests. Default not. */
  readonly experimental?: boolean;
}

export interface Compatibility {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

export interface WorkerTarget extends Target {
  program(): WorkerProgram;
  start(): Promise<RunningWorker>;
}

export interface RunningWorker extends Running {
  /** Number of objects of a class that have stored something. */
  stored(object: string): number;
}

/** What Cloudflare says of a client, and what they are here. */
const CLIENT = 'injectRequestHeaders = [(name = "CF-Connecting-IP", value = "127.0.0.1")]';
/** Path of the program. The package has no types. */
const { default: WORKERD } = createRequire(import.meta.url)("workerd") as { default: string };
/** How long it may take to listen, in milliseconds. */
const START_MS = 60_000;

/** A module of bench/modules as the runtime takes it, without types. */
export function compiled(name: string): string {
  const source = readFileSync(new URL(`../modules/${name}`, import.meta.url), "utf8");
  return transformSync(source, { loader: "ts", target: "es2024" }).code;
}

/** Files in memory: how fast a disk is here says nothing about Cloudflare's storage. */
const FOLDERS = "/dev/shm";

/** Starts a program. */
export async function serveWorker(
  program: WorkerProgram,
  { port = 0, storage: kept, print, experimental = false }: ServeOptions = {},
): Promise<RunningWorker> {
  const folder = mkdtempSync(join(FOLDERS, "messageloop-workerd-"));
  const storage = kept ?? join(folder, "storage");
  mkdirSync(storage, { recursive: true });
  for (const [name, text] of Object.entries(program.modules)) {
    writeFileSync(join(folder, name), text);
  }
  const config = join(folder, "config.capnp");
  writeFileSync(config, configuration(program, storage, port));
  const printing = print === undefined ? "inherit" : "pipe";
  const flags = experimental ? ["--experimental"] : [];
  const child = spawn(WORKERD, ["serve", ...flags, "--control-fd", "3", config], {
    stdio: ["ignore", printing, printing, "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => print?.(text));
  }
  const stop = async (): Promise<void> => {
    // Asked kindly it would wait for sockets; nothing of it is needed any more.
    child.kill("SIGKILL");
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return {
      port: await listening(child),
      pids: [child.pid ?? 0],
      stored(object) {
        const files = existsSync(join(storage, object)) ? readdirSync(join(storage, object)) : [];
        return files.filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name)).length;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The port that workerd reports: asked for port 0 it takes a free one. */
async function listening(child: ChildProcess): Promise<number> {
  const late = setTimeout(() => child.kill("SIGKILL"), START_MS);
  try {
    // The line ends with the process.
    for await (const line of createInterface({ input: child.stdio[3] as Readable })) {
      const { event, port } = JSON.parse(line) as { event: string; port: number };
      if (event === "listen") return port;
    }
  } finally {
    clearTimeout(late);
  }
  throw new Error("workerd does not serve");
}

/** `ctx.exports` holds a class once the same Worker has a namespace for it; no binding is needed. */
function configuration(program: WorkerProgram, storage: string, port: number): string {
  const modules = Object.keys(program.modules).map(
    (name) => `(name = ${text(name)}, esModule = embed ${text(name)})`,
  );
  const namespaces = program.objects.map(
    (name) => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`,
  );
  const { vars = {}, entrypoints = {} } = program;
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => {
      const kept =
        typeof value === "string"
          ? `text = ${text(value)}`
          : `json = ${text(JSON.stringify(value))}`;
      return `(name = ${text(name)}, ${kept})`;
    }),
    ...Object.entries(entrypoints).map(
      ([name, entrypoint]) =>
        `(name = ${text(name)}, service = (name = "main", entrypoint = ${text(entrypoint)}))`,
    ),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .program),
    (name = "storage", disk = (path = ${text(storage)}, writable = true)),
    (name = "machine", network = (allow = ["local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (${CLIENT}), service = "main")],
);

const program :Workerd.Worker = (
  modules = [${modules.join(", ")}],
  compatibilityDate = ${text(program.compatibilityDate)},
  compatibilityFlags = [${program.compatibilityFlags.map(text).join(", ")}],
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "storage"),
  ${program.callsOut === true ? 'globalOutbound = "machine",' : ""}
);
`;
}

function text(value: string): string {
  return JSON.stringify(value);
}
