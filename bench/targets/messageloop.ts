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

async function startServer(tree: string): Promise<Running> {
  const child = spawn(process.execPath, ["src/server/cli.ts", "serve"], {
    cwd: tree,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:0",
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
