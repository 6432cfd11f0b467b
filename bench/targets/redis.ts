/** Programs of two nodes on one Redis server of their own: it is started with them, and goes with them. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setup as findRedis } from "../../scripts/redis.mjs";
import { redisServer } from "../../test/redis/servers.ts";
import { settledPort } from "../../test/support/ports.ts";
import { messageLoop } from "../dialects/messageloop.ts";
import { end, type Running, type Target, told } from "../target.ts";
import { startServer } from "./messageloop.ts";

/** @param port of the node; the next free one when left out */
export type StartNode = (redisPort: number, port?: number) => Promise<Running>;

const BARE = fileURLToPath(new URL("bare-redis-server.ts", import.meta.url));

export const BARE_REDIS: Target = {
  name: "bare-redis",
  dialect: { name: "bare" },
  start: () => onRedis(startBare),
};

/** `messageloop serve` of a tree with the broker of many nodes. */
export function messageLoopOnRedis(tree: string): Target {
  return {
    name: "messageloop",
    dialect: messageLoop(),
    start: () => onRedis((redisPort, port) => startServe(tree, redisPort, port)),
  };
}

export async function onRedis(startNode: StartNode): Promise<Running> {
  findRedis();
  const redis = await redisServer();
  const nodes: Running[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
    await redis.stop();
  };
  try {
    const port = await settledPort("bench");
    nodes.push(await startNode(redis.port, port));
    const second = await startNode(redis.port);
    nodes.push(second);
    return {
      port,
      get pids() {
        return [redis.pid, ...nodes.flatMap(({ pids }) => pids)];
      },
      nodes: {
        second: second.port,
        stopFirst: async () => {
          await nodes.shift()?.stop();
        },
        startFirst: async () => {
          nodes.unshift(await startNode(redis.port, port));
        },
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startBare(redisPort: number, port = 0): Promise<Running> {
  const child = spawn(process.execPath, [BARE, `${redisPort}`, `${port}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return {
    port: await told(child, Number),
    pids: [child.pid as number],
    stop: () => end(child),
  };
}

async function startServe(tree: string, redisPort: number, port = 0): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-bench-"));
  const config = join(folder, "config.yaml");
  const redis = { addr: `127.0.0.1:${redisPort}` };
  writeFileSync(config, JSON.stringify({ broker: { type: "redis", redis } }));
  try {
    return await startServer(tree, { config, port });
  } finally {
    // Its settings are read once.
    rmSync(folder, { recursive: true, force: true });
  }
}
