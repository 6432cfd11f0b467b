/**
 * Runs a Worker under bare `workerd serve`. `wrangler dev` would put a proxy of its own in front,
 * which costs more than what is to be measured.
 */
import { spawn } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import workerd from "workerd";

/** How long a server may take to listen, and to stop, in milliseconds. */
const START_MS = 10_000;
const STOP_MS = 5_000;

/**
 * Starts a program on a free loopback port, its objects on disk in a folder of its own.
 *
 * @param program.folder fresh folder for configuration and storage
 * @param program.module path of the bundle, one ES module, relative to the folder
 * @param program.objects names of its Durable Object classes
 */
export async function serve({ folder, ...program }) {
  const storage = join(folder, "storage");
  await mkdir(storage);
  const config = join(folder, "config.capnp");
  await writeFile(config, configuration({ ...program, storage }));
  const child = spawn(workerd.default, ["serve", "--control-fd", "3", config], {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const port = await within(START_MS, Promise.race([listening(child), ended]));
  if (typeof port !== "number") {
    child.kill("SIGKILL");
    throw new Error(`workerd does not serve ${config}`);
  }
  return {
    port,
    pid: child.pid,
    /** Number of objects of a class that have stored something. */
    async count(object) {
      const files = await readdir(join(storage, object)).catch(() => []);
      return files.filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name)).length;
    },
    async stop() {
      child.kill("SIGTERM");
      if ((await within(STOP_MS, ended)) === undefined) child.kill("SIGKILL");
      await ended;
    },
  };
}

/** The port that workerd reports: asked for port 0 it takes a free one. */
async function listening(child) {
  for await (const line of createInterface({ input: child.stdio[3] })) {
    const { event, port } = JSON.parse(line);
    if (event === "listen") return port;
  }
  return undefined;
}

/** `ctx.exports` holds a class once the same Worker has a namespace for it; no binding is needed. */
function configuration({ module, objects, storage, compatibilityDate, compatibilityFlags }) {
  const namespaces = objects.map(
    (name) => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .program),
    (name = "storage", disk = (path = ${text(storage)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const program :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed ${text(module)})],
  compatibilityDate = ${text(compatibilityDate)},
  compatibilityFlags = [${compatibilityFlags.map(text).join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "storage"),
);
`;
}

function text(value) {
  return JSON.stringify(value);
}

/** The promise's outcome, or undefined after some milliseconds. */
async function within(ms, promise) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
