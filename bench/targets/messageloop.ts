/** The self-hosted server of a tree. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { messageLoop } from "../dialects/messageloop.ts";
import { end, type Running, type Target, told } from "../target.ts";

const EMBEDDED = fileURLToPath(new URL("embedded-server.ts", import.meta.url));
const SERVE = ["src/server/cli.ts", "serve"];
const BURDEN = new URL("burden.ts", import.meta.url).href;

/** `messageloop serve`, without settings. */
export function messageLoopServer(tree: string): Target {
  return {
    name: "messageloop",
    dialect: messageLoop(),
    start: () => startServer(tree),
  };
}

/** The same, made slower while it runs: see `Running.burden`. */
export function burdenedServer(tree: string): Target {
  return {
    ...messageLoopServer(tree),
    async start() {
      const { child, running } = await start(tree, ["--import", BURDEN, ...SERVE]);
      const burden = async (ns: number): Promise<void> => {
        child.send(ns);
        await once(child, "message");
      };
      return { ...running, burden };
    },
  };
}

/** A program with the server in it, and with a backend that answers RPCs with what it was sent. */
export function embeddedServer(tree: string): Target {
  return {
    name: "messageloop",
    dialect: messageLoop({ rpc: true }),
    start: async () => (await start(tree, [EMBEDDED])).running,
  };
}

export interface ServerOptions {
  /** Path of its settings. Default none. */
  readonly config?: string;
  /** What else stands on the command line. */
  readonly args?: readonly string[];
  /** Default a free one. */
  readonly port?: number;
  /** Variables of the environment beside those of its addresses. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startServer(
  tree: string,
  { config, args = [], port, env }: ServerOptions = {},
): Promise<Running> {
  const settings = config === undefined ? [] : ["--config", config];
  return (await start(tree, [...SERVE, ...settings, ...args], port, env)).running;
}

async function start(
  tree: string,
  args: readonly string[],
  wanted = 0,
  env: ServerOptions["env"] = {},
): Promise<{ child: ChildProcess; running: Running }> {
  const child = spawn(process.execPath, args, {
    cwd: tree,
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    env: {
      ...process.env,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: `127.0.0.1:${wanted}`,
      MESSAGELOOP_TRANSPORT_GRPC_ADDR: "127.0.0.1:0",
      MESSAGELOOP_SERVER_HTTP_ADDR: "127.0.0.1:0",
      ...env,
    },
  });
  const port = await told(child, (line) => {
    const { listener, port } = JSON.parse(line) as { listener?: string; port?: number };
    return listener === "websocket" ? port : undefined;
  });
  return { child, running: { port, pids: [child.pid as number], stop: () => end(child) } };
}
