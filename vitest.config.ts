import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { configDefaults, defineConfig } from "vitest/config";
import { ProjectSeconds } from "./test/support/project-seconds.ts";

const ALONE = "test/conformance/many-channels.load.test.ts";

// noDefaultExport does not apply here: the tool asks for one.
export default defineConfig({
  test: {
    // Most tests wait for sockets and clocks most of the time.
    maxWorkers: 2,
    reporters: [...configDefaults.reporters, new ProjectSeconds()],
    projects: [
      {
        test: {
          name: "neutral",
          environment: "node",
          include: [
            "test/{protocol,channels,engine,brokers,objects,proxy,client,history,repo}/**/*.test.ts",
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
          include: ["test/worker/**/*.test.ts"],
          // workerd has no environment of its own: a seed must be handed in.
          env: handedIn("MESSAGELOOP_TEST_SEED", "MESSAGELOOP_TEST_SCALE"),
          testTimeout: 60_000,
        },
      },
      {
        // The self-hosted server, in this process and as a process of its own, and what measures it.
        test: {
          name: "server",
          environment: "node",
          include: ["test/{server,bench}/**/*.test.ts"],
          exclude: ["test/**/*.load.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The broker of many nodes, on Redis servers of its own.
        test: {
          name: "redis",
          environment: "node",
          include: ["test/redis/**/*.test.ts"],
          exclude: ["test/**/*.load.test.ts"],
          globalSetup: ["scripts/redis.mjs"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // The conformance suite on each host, over real sockets. It starts its own servers.
        test: {
          name: "conformance",
          environment: "node",
          include: ["test/conformance/**/*.test.ts"],
          exclude: ["test/conformance/load.test.ts", "test/**/*.load.test.ts"],
          globalSetup: ["scripts/redis.mjs"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      {
        // What measures has the machine to itself, when all else is done.
        test: {
          name: "load",
          environment: "node",
          include: ["test/conformance/load.test.ts", "test/**/*.load.test.ts"],
          exclude: [ALONE],
          globalSetup: ["scripts/redis.mjs"],
          sequence: { groupOrder: 1 },
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      {
        // What compares two times of one moment has the machine to itself: a neighbour slows down one of them.
        test: {
          name: "alone",
          environment: "node",
          include: [ALONE],
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Real sockets against wrangler dev, and a real browser.
        test: {
          name: "e2e",
          environment: "node",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["scripts/chromium.mjs", "test/e2e/server.ts"],
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
