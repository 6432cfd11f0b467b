/** The Worker host under wrangler dev, with the suite's backend and counters. */
import { CAPABILITIES } from "../../../src/worker/capabilities.ts";
import { settledPort } from "../../support/ports.ts";
import { memoryOf, startWrangler } from "../../support/wrangler.ts";
import type { Host, RunningServer, ServerOptions, ServerStats } from "../host.ts";

export const workerHost: Host = {
  capabilities: CAPABILITIES,
  configurable: true,
  async start(options: ServerOptions): Promise<RunningServer> {
    const { backend = "none", settings, maxConnections } = options;
    const limits = {
      ...settings?.limits,
      ...(maxConnections === undefined ? {} : { sockets_per_gateway: maxConnections }),
    };
    const vars = { messageloop: { ...settings, limits }, backend };
    const port = await settledPort("wrangler");
    const server = await startWrangler({ main: "test/worker/entry.ts", vars, port });
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
