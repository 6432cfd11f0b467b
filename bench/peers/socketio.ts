/** Socket.IO 4 with rooms, from the packages of this folder: they are installed when it is first started. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { end, type Target, told } from "../target.ts";

const FOLDER = dirname(fileURLToPath(import.meta.url));

export const SOCKET_IO: Target = {
  name: "socket.io",
  dialect: { name: "socket.io" },
  async start() {
    install();
    const child = spawn(process.execPath, [join(FOLDER, "socketio.mjs")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const port = await told(child, Number);
    return { port, pids: [child.pid as number], stop: () => end(child) };
  },
};

function install(): void {
  if (installed() === wanted()) return;
  const { status, error } = spawnSync("npm", ["ci"], {
    cwd: FOLDER,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error("Socket.IO cannot be installed", { cause: error });
}

function wanted(): string {
  const { dependencies } = read(join(FOLDER, "package.json")) as {
    dependencies: { "socket.io": string };
  };
  return dependencies["socket.io"];
}

function installed(): string | undefined {
  const manifest = join(FOLDER, "node_modules/socket.io/package.json");
  return existsSync(manifest) ? (read(manifest) as { version: string }).version : undefined;
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
