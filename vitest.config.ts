import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// noDefaultExport does not apply here: the tool asks for one.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "neutral",
          environment: "node",
          include: ["test/{protocol,channels,engine,brokers,proxy,client,repo}/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // The objects in the true runtime, with eviction and abort.
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
        test: {
          name: "worker",
          include: ["test/worker/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // The self-hosted server, in this process and as a process of its own.
        test: {
          name: "server",
          environment: "node",
          include: ["test/server/**/*.test.ts"],
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
          testTimeout: 600_000,
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
