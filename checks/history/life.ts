/**
 * One random life as a process of its own: takes host, seed and number of steps, and prints what it has seen as one
 * line of JSON. Problems go to stderr, and the exit code is 1.
 */
import type { WebSocket } from "ws";
import { setup as findRedis } from "../../scripts/redis.mjs";
import type { Encoding } from "../../src/protocol/codec.ts";
import { type LifeReport, live } from "../../test/history/life.ts";
import {
  CARELESS_FAULTS,
  DURABLE_FAULTS,
  ProcessHost,
  type ProcessHostOptions,
} from "../../test/redis/process-host.ts";
import { ServerHost } from "../../test/server/life-host.ts";
import { ThreadsHost } from "../../test/server/threads-life-host.ts";

interface Length {
  readonly steps: number;
  readonly seed: number;
}

/** A host whose network loses a frame now and then: the fault that shows that a life can fail. */
class LossyHost extends ServerHost {
  #frames = 0;

  override async open(encoding: Encoding): Promise<WebSocket> {
    const socket = await super.open(encoding);
    const { emit } = socket;
    socket.emit = (name: string | symbol, ...args: unknown[]): boolean => {
      if (name === "message") this.#frames += 1;
      const lost = name === "message" && this.#frames % 3_000 === 0;
      return !lost && emit.call(socket, name, ...args);
    };
    return socket;
  }
}

async function onMemory(length: Length, host = new ServerHost(length.seed)): Promise<LifeReport> {
  await host.start();
  try {
    return await live({ host, ...length });
  } finally {
    await host.stop();
  }
}

async function onRedis(
  length: Length,
  options: Pick<ProcessHostOptions, "durable" | "redis" | "faults">,
): Promise<LifeReport> {
  findRedis();
  const host = await ProcessHost.open({ ...options, ...length });
  try {
    await host.start();
    const report = await live({ host, ...length });
    if (host.problems.length > 0) throw new Error(host.problems.join("\n"));
    return report;
  } finally {
    await host.stop();
  }
}

async function onThreads(length: Length, threads: number): Promise<LifeReport> {
  const host = await ThreadsHost.open(threads);
  try {
    return await live({ host, ...length });
  } finally {
    await host.stop();
  }
}

const HOSTS: Readonly<Record<string, (length: Length) => Promise<LifeReport>>> = {
  memory: onMemory,
  "memory-lossy": (length) => onMemory(length, new LossyHost(length.seed)),
  "threads-2": (length) => onThreads(length, 2),
  "threads-4": (length) => onThreads(length, 4),
  "redis-durable": (length) => {
    const redis = { appendonly: "yes", appendfsync: "always" };
    return onRedis(length, { durable: true, redis, faults: DURABLE_FAULTS });
  },
  "redis-careless": (length) => {
    return onRedis(length, { durable: false, redis: {}, faults: CARELESS_FAULTS });
  },
};

const [host = "", seed, steps] = process.argv.slice(2);
try {
  const run = HOSTS[host];
  if (run === undefined) throw new Error(`the hosts are ${Object.keys(HOSTS).join(", ")}`);
  const report = await run({ seed: Number(seed), steps: Number(steps) });
  console.log(JSON.stringify(report));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
