/** Centrifugo, with what our own server keeps, or with nothing. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listens } from "../../test/server/process.ts";
import { settledPort } from "../../test/support/ports.ts";
import { centrifugo as dialect } from "../dialects/centrifugo.ts";
import { end, type Running, type Target } from "../target.ts";
import { onRedis } from "../targets/redis.ts";

export interface CentrifugoOptions {
  /** Path of the executable. */
  readonly executable: string;
  readonly encoding: "json" | "proto";
  /** Messages that a channel holds. Default none. */
  readonly history?: number;
  /** Port of the Redis server that it shares with other nodes. Default none: it keeps everything itself. */
  readonly redis?: number;
}

/** How long it may take until it listens, and how often that is tried, in milliseconds. */
const READY_MS = 10_000;
const LOOK_MS = 20;
/** The generator answers no heartbeats: this one comes after every run. */
const HEARTBEAT = "3600s";

export function centrifugo(name: string, options: CentrifugoOptions): Target {
  return {
    name,
    dialect: dialect(options.encoding),
    start: () => start(options),
  };
}

/** Two nodes on one Redis, in JSON and with history. */
export function centrifugoOnRedis(executable: string, history: number): Target {
  const options = { executable, encoding: "json", history } as const;
  return {
    name: "centrifugo-history-json",
    dialect: dialect("json"),
    start: () => onRedis((redis, port) => start({ ...options, redis }, port)),
  };
}

async function start(options: CentrifugoOptions, wanted?: number): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-centrifugo-"));
  const port = wanted ?? (await settledPort("bench"));
  const config = join(folder, "config.json");
  writeFileSync(config, JSON.stringify(configuration(port, options)));
  const child = spawn(options.executable, ["--config", config], { stdio: "inherit" });
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + READY_MS;
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`${options.executable} does not listen on ${port}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return { port, pids: [child.pid as number], stop };
}

function configuration(port: number, { history = 0, redis }: CentrifugoOptions): unknown {
  const kept = { history_size: history, history_ttl: "24h", force_recovery: true };
  return {
    http_server: { address: "127.0.0.1", port },
    log: { level: "error" },
    engine:
      redis === undefined
        ? { type: "memory" }
        : { type: "redis", redis: { address: [`redis://127.0.0.1:${redis}`] } },
    usage_stats: { disabled: true },
    client: {
      allow_anonymous_connect_without_token: true,
      ping_interval: HEARTBEAT,
    },
    channel: {
      without_namespace: {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_client: true,
        allow_publish_for_anonymous: true,
        ...(history > 0 ? kept : {}),
      },
    },
  };
}
