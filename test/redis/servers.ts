/** Redis servers of the tests' own: processes on free ports, in folders that go away with them. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import type { RedisAddress } from "../../src/server/redis/connections.ts";
import { eventually } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";

export interface RedisServer {
  readonly port: number;
  /** Of the process that is running. */
  readonly pid: number;
  readonly url: string;
  /** Sends one command on a connection of its own. */
  command(...args: string[]): Promise<unknown>;
  /** Publishes bytes, or a text of which each character is one. */
  publish(topic: string, message: string | Buffer): Promise<unknown>;
  /** Stops the process as a machine that hangs does, and lets it go on. */
  hang(): void;
  goOn(): void;
  /** Ends the process without a warning. */
  kill(): Promise<void>;
  /** Starts it again, with what is on its disk. */
  start(): Promise<void>;
  /** Ends the process and removes its folder. */
  stop(): Promise<void>;
}

/** Those that must not outlive this process, whatever ends it. */
const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const server of living) server.kill("SIGKILL");
});

/** @param options as on the command line, without their dashes */
export async function redisServer(
  options: Readonly<Record<string, string>> = {},
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-redis-"));
  const port = await settledPort("redis");
  let process: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    process = launch({ port: `${port}`, dir: folder, save: "", ...options });
    await answering(port, process);
  };
  const kill = async (): Promise<void> => {
    const running = process;
    process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.kill("SIGKILL");
    await ended;
  };
  const stop = async (): Promise<void> => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    get pid() {
      return process?.pid ?? 0;
    },
    url: `redis://127.0.0.1:${port}`,
    command: (...args) => commandAt(port, args),
    publish: (topic, message) => {
      const bytes = typeof message === "string" ? Buffer.from(message, "latin1") : message;
      return commandAt(port, ["PUBLISH", topic, bytes]);
    },
    hang: () => process?.kill("SIGSTOP"),
    goOn: () => process?.kill("SIGCONT"),
    kill,
    start,
    stop,
  };
}

/** What a deployment calls its Redis: one server, or several that share the keys. */
export interface Redis {
  readonly servers: readonly RedisServer[];
  readonly address: RedisAddress;
  /** Sends one command to the server that has its keys, or to all where it names none. */
  command(...args: string[]): Promise<unknown>;
  stop(): Promise<void>;
}

export async function oneRedis(): Promise<Redis> {
  const server = await redisServer();
  const { url, command, stop } = server;
  return { servers: [server], address: { urls: [url], cluster: false }, command, stop };
}

/** Where the slots of each master begin, and where the last one's end. */
const SLOTS = [0, 5461, 10923, 16384] as const;

/** How long a master may be silent before the others take it for lost: a busy machine may keep it from its turn. */
const CLUSTER_PATIENCE_MS = 15_000;

/** Three masters that share all slots. */
export async function redisCluster(): Promise<Redis> {
  const servers = await Promise.all(
    [0, 1, 2].map(() =>
      redisServer({ "cluster-enabled": "yes", "cluster-node-timeout": "2000", appendonly: "no" }),
    ),
  );
  const [first] = servers;
  for (const [i, server] of servers.entries()) {
    await server.command("CLUSTER", "ADDSLOTSRANGE", `${SLOTS[i]}`, `${(SLOTS[i + 1] ?? 0) - 1}`);
    await server.command("CLUSTER", "SET-CONFIG-EPOCH", `${i + 1}`);
    if (server !== first) await server.command("CLUSTER", "MEET", "127.0.0.1", `${first?.port}`);
  }
  for (const server of servers) {
    await eventually(
      async () => {
        const info = String(await server.command("CLUSTER", "INFO"));
        return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:3");
      },
      Boolean,
      30_000,
    );
    // Only now: they would come to know each other more slowly.
    await server.command("CONFIG", "SET", "cluster-node-timeout", `${CLUSTER_PATIENCE_MS}`);
  }
  return {
    servers,
    address: { urls: servers.map(({ url }) => url), cluster: true },
    command: async (...args) => {
      const key = args.find((arg) => /^\S*\{\S+\}/.test(arg));
      if (key === undefined) return await Promise.all(servers.map((one) => one.command(...args)));
      const slot = Number(await first?.command("CLUSTER", "KEYSLOT", key));
      return await servers.findLast((_, i) => slot >= (SLOTS[i] ?? 0))?.command(...args);
    },
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

function launch(options: Readonly<Record<string, string>>): ChildProcess {
  const path = process.env["MESSAGELOOP_REDIS_SERVER"];
  if (path === undefined) throw new Error("the path of the Redis server is not known");
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  args.push("--bind", "127.0.0.1", "--enable-debug-command", "yes");
  // A replica would wait five seconds for others that want the same copy.
  args.push("--repl-diskless-sync-delay", "0");
  const server = spawn(path, args, { stdio: "ignore" });
  living.add(server);
  server.once("exit", () => living.delete(server));
  return server;
}

async function answering(port: number, server: ChildProcess): Promise<void> {
  const look = async (): Promise<boolean> => {
    if (server.exitCode !== null) throw new Error("the Redis server has ended");
    return await commandAt(port, ["PING"]).then(
      (answer) => answer === "PONG",
      () => false,
    );
  };
  await eventually(look, Boolean, 30_000);
}

async function commandAt(port: number, args: readonly (string | Buffer)[]): Promise<unknown> {
  const client = createClient({ socket: { port, host: "127.0.0.1", reconnectStrategy: false } });
  client.on("error", () => {});
  await client.connect();
  try {
    return await client.sendCommand([...args]);
  } finally {
    client.destroy();
  }
}
