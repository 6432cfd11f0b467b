/** Where the clients of a life by the SDK connect to, and what happens to it. */
import { setup as findRedis } from "../../scripts/redis.mjs";
import { CrashingWorker } from "../../test/e2e/crashing-worker.ts";
import type { LifeHost } from "../../test/history/host.ts";
import { DURABLE_FAULTS, ProcessHost } from "../../test/redis/process-host.ts";
import { ServerHost } from "../../test/server/life-host.ts";
import { ThreadsHost } from "../../test/server/threads-life-host.ts";
import { BUNDLES } from "../../test/support/programs.ts";

export interface SdkHost {
  readonly life: LifeHost;
  /** Where a place takes connections now. */
  port(place: number): number;
  /** And with which path and query. */
  path(place: number): string;
  stop(): Promise<void>;
}

/** How long a life is, and what it follows from. */
export interface Length {
  readonly steps: number;
  readonly seed: number;
}

/** Steps between two crashes of a Worker. */
const CRASH_EVERY = 400;

export const HOSTS = {
  /** One server that starts again with empty logs. */
  async memory({ seed }): Promise<SdkHost> {
    const life = new ServerHost(seed);
    await life.start();
    return { life, port: () => life.port, path: () => "/ws", stop: () => life.stop() };
  },

  /** Two servers on a Redis that keeps its word, all of which end and come back. */
  async redis({ steps, seed }): Promise<SdkHost> {
    findRedis();
    // Its processes start often. Outside of vitest nobody has built them yet.
    if (process.env[BUNDLES] === undefined) {
      (await import("../../test/support/build-programs.ts")).setup();
    }
    const redis = { appendonly: "yes", appendfsync: "always" };
    const terms = { durable: true, redis, faults: DURABLE_FAULTS };
    const life = await ProcessHost.open({ ...terms, steps, seed });
    await life.start();
    return {
      life,
      port: (place) => life.port(place),
      path: () => "/ws",
      async stop() {
        await life.stop();
        if (life.problems.length > 0) throw new Error(life.problems.join("\n"));
      },
    };
  },

  "threads-2": () => onThreads(2),
  "threads-4": () => onThreads(4),

  /** A Worker that crashes, and whose objects are put to sleep and reset, all at once. */
  async worker(): Promise<SdkHost> {
    const life = await CrashingWorker.open(CRASH_EVERY, true);
    await life.start();
    return {
      life,
      port: () => life.port,
      path: (place) => life.path(place),
      stop: () => life.stop(),
    };
  },
} as const satisfies Readonly<Record<string, (length: Length) => Promise<SdkHost>>>;

/** A server with threads, all of which end and come back. */
async function onThreads(threads: number): Promise<SdkHost> {
  const life = await ThreadsHost.open(threads);
  return {
    life,
    port: (place) => life.port(place),
    path: () => "/ws",
    stop: () => life.stop(),
  };
}

export type HostName = keyof typeof HOSTS;
