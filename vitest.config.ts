import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { configDefaults, defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";
import { packedSdk } from "./test/support/packed-sdk.ts";
import { ProjectSeconds } from "./test/support/project-seconds.ts";
import { SecondTries } from "./test/support/second-tries.ts";

// Projects of one group run beside each other, and the groups one after the other. The numbers of files at a
// time are for two cores.
/** What computes, or makes servers compute, much of its time; and what waits for Redis and objects, which fills its pauses. */
const COMPUTING = { maxWorkers: 6, sequence: { groupOrder: 0 } };
/** What waits most of its time: for sockets, processes, clocks and browsers. */
const WAITING = { maxWorkers: 6, sequence: { groupOrder: 1 } };
/** What measures has the machine to itself, when all else is done. */
const MEASURING = { maxWorkers: 2, sequence: { groupOrder: 2 } };

/** What is waited for comes in time on any machine: the tool would have it in a second. */
const PATIENT = { expect: { poll: { timeout: 10_000 } } };
/**
 * What drives sockets, processes and clocks is tried again when it fails, because of thousands of such tests one that a
 * busy machine trips up fails the run. `SecondTries` names each of them: it is to be mended.
 */
const REAL = { ...PATIENT, retry: 1 };

// noDefaultExport does not apply here: the tool asks for one.
export default defineConfig({
  test: {
    reporters: [...configDefaults.reporters, new ProjectSeconds(), new SecondTries()],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        plugins: packedSdk(process.env["MESSAGELOOP_SDK"]),
        test: {
          name: "neutral",
          ...COMPUTING,
          ...PATIENT,
          environment: "node",
          // Rooms without a platform keep nothing beside their objects: one process loads them once, for many files.
          isolate: false,
          restoreMocks: true,
          include: [
            "test/{protocol,channels,access,engine,auth,brokers,objects,threads,hooks,proxy,http,client,history,tracing,repo}/**/*.test.ts",
          ],
          exclude: ["test/**/*.load.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // The objects in the true runtime, with eviction and abort.
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
        test: {
          name: "worker",
          ...COMPUTING,
          ...REAL,
          include: ["test/worker/**/*.test.ts"],
          // To start workerd takes more than most of the files do: it is shared, and set up anew for each of them.
          isolate: false,
          setupFiles: ["test/worker/setup.ts"],
          // workerd has no environment of its own: a seed must be handed in.
          env: handedIn("MESSAGELOOP_TEST_SEED", "MESSAGELOOP_TEST_SCALE"),
          testTimeout: 60_000,
        },
      },
      {
        // The self-hosted server, in this process and as a process of its own.
        test: {
          name: "server",
          ...WAITING,
          ...REAL,
          environment: "node",
          isolate: false,
          restoreMocks: true,
          include: ["test/server/**/*.test.ts"],
          exclude: ["test/**/*.load.test.ts"],
          globalSetup: ["test/support/build-programs.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The bench, at its smallest.
        test: {
          name: "bench",
          ...COMPUTING,
          ...REAL,
          environment: "node",
          isolate: false,
          include: ["test/bench/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The broker of many nodes, on Redis servers of its own.
        test: {
          name: "redis",
          ...COMPUTING,
          ...REAL,
          environment: "node",
          isolate: false,
          restoreMocks: true,
          include: ["test/redis/**/*.test.ts"],
          exclude: ["test/**/*.load.test.ts"],
          globalSetup: ["scripts/redis.mjs", "test/support/build-programs.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The conformance suite on each host, over real sockets. It starts its own servers.
        test: {
          name: "conformance",
          ...COMPUTING,
          ...REAL,
          environment: "node",
          include: ["test/conformance/**/*.test.ts"],
          exclude: ["test/**/*.load.test.ts"],
          globalSetup: ["scripts/redis.mjs", "test/support/build-programs.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      {
        // What loads servers with much, and looks at rates and memory.
        test: {
          name: "load",
          ...MEASURING,
          ...REAL,
          environment: "node",
          include: ["test/**/*.load.test.ts"],
          globalSetup: ["scripts/redis.mjs", "test/support/build-programs.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Real sockets against wrangler dev, and a real browser.
        test: {
          name: "e2e",
          ...WAITING,
          ...REAL,
          environment: "node",
          isolate: false,
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: [
            "scripts/chromium.mjs",
            "scripts/firefox.mjs",
            "scripts/redis.mjs",
            "test/support/build-programs.ts",
            "test/e2e/server.ts",
          ],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

function handedIn(...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
