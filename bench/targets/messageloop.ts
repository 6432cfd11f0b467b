/** `messageloop serve` of a tree, without a configuration. */
import { spawn } from "node:child_process";
import { messageLoop } from "../dialects/messageloop.ts";
import { end, type Running, type Target, told } from "../target.ts";

export function messageLoopServer(tree: string): Target {
  return {
    name: "messageloop",
    dialect: messageLoop(),
    start: () => startServer(tree),
  };
}

export interface ServerOptions {
  /** Path of its settings. Default none. */
  readonly config?: string;
  /** Default a free one. */
  readonly port?: number;
}

export async function startServer(
  tree: string,
  { config, port: wanted = 0 }: ServerOptions = {},
): Promise<Running> {
  const settings = config === undefined ? [] : ["--config", config];
  const child = spawn(process.execPath, ["src/server/cli.ts", "serve", ...settings], {
    cwd: tree,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: `127.0.0.1:${wanted}`,
      MESSAGELOOP_TRANSPORT_GRPC_ADDR: "127.0.0.1:0",
      MESSAGELOOP_SERVER_HTTP_ADDR: "127.0.0.1:0",
    },
  });
  const port = await told(child, (line) => {
    const { listener, port } = JSON.parse(line) as { listener?: string; port?: number };
    return listener === "websocket" ? port : undefined;
  });
  return { port, pids: [child.pid as number], stop: () => end(child) };
}
