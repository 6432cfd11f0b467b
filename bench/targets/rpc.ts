/** What calls a backend over HTTP for its clients. The backend is a process of its own, whose CPU is nobody's cost. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageLoop } from "../dialects/messageloop.ts";
import { end, type Running, type Target, told } from "../target.ts";
import { startServer } from "./messageloop.ts";

const BACKEND = fileURLToPath(new URL("http-backend.ts", import.meta.url));
const BARE = fileURLToPath(new URL("bare-rpc-server.ts", import.meta.url));

/** `messageloop serve` with a backend in its configuration. */
export function rpcServer(tree: string): Target {
  const start = async (): Promise<Running> => {
    const backend = program(BACKEND);
    const endpoint = `http://127.0.0.1:${await told(backend, Number)}/hooks`;
    const folder = mkdtempSync(join(tmpdir(), "messageloop-bench-rpc-"));
    const config = join(folder, "config.yaml");
    const routes = [{ channel: "*", method: "*" }];
    writeFileSync(config, JSON.stringify({ proxy: [{ endpoint, routes }] }));
    try {
      return withBackend(backend, await startServer(tree, { config }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  return { name: "messageloop", dialect: messageLoop({ rpc: true }), start };
}

/** The least that does the same: a message in, one call, a message out. */
export const BARE_RPC: Target = {
  name: "undici-and-websocket",
  dialect: { name: "bare" },
  async start() {
    const backend = program(BACKEND);
    const child = program(BARE, `${await told(backend, Number)}`);
    const port = await told(child, Number);
    return withBackend(backend, { port, pids: [child.pid as number], stop: () => end(child) });
  },
};

function withBackend(backend: ChildProcess, running: Running): Running {
  return {
    ...running,
    stop: async () => {
      await running.stop();
      await end(backend);
    },
  };
}

function program(...args: string[]): ChildProcess {
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}
