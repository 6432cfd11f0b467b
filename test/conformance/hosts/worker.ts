/** The Worker host in its runtime, with the suite's backend and counters. */
import { CAPABILITIES } from "../../../src/worker/capabilities.ts";
import { startWorkerd } from "../../support/workerd.ts";
import { memoryOf } from "../../support/wrangler.ts";
import type { Host, RunningServer, ServerOptions, ServerStats } from "../host.ts";
import { KEYS, TICKET_KEYS } from "../keys.ts";

/** What is about a kind of client is the engine's, which the server shows: each case is run once, the kinds in turn. */
export const workerHost: Host = {
  capabilities: CAPABILITIES,
  opens: "rules",
  kinds: "in turn",
  configurable: true,
  async start(options: ServerOptions): Promise<RunningServer> {
    const { backend = "none", settings, maxConnections, stream = {}, keys = false } = options;
    const limits = {
      ...settings?.limits,
      ...(maxConnections === undefined ? {} : { sockets_per_gateway: maxConnections }),
    };
    // By heartbeats alone a Worker finds out that a client has gone, and no case ends before that.
    const transport = { stream: { heartbeat_interval: "100ms", ...stream } };
    const secrets = {
      MESSAGELOOP_API_KEYS: JSON.stringify(KEYS),
      MESSAGELOOP_API_TICKET_KEYS: JSON.stringify(TICKET_KEYS),
    };
    const messageloop = { ...settings, limits, transport };
    const vars = { messageloop, backend, ...(keys ? secrets : {}) };
    const entrypoints = { SUITE: "SuiteBackend" };
    const server = await startWorkerd({ main: "worker-entry", entrypoints, vars });
    const url = `${server.url.replace("http", "ws")}/ws`;
    return {
      url,
      node: (index) => `${url}?gateway=enam-${index}`,
      stats: async () => {
        const response = await fetch(`${server.url}/test/stats`);
        return (await response.json()) as ServerStats;
      },
      memory: () => memoryOf(server.pid),
      stop: () => server.stop(),
    };
  },
};
