/** Two self-hosted servers on one Redis. Clients are spread over both. */
import { CAPABILITIES } from "../../../src/server/capabilities.ts";
import { newPrefix } from "../../redis/nodes.ts";
import { redisServer } from "../../redis/servers.ts";
import type { Host, RunningServer } from "../host.ts";
import { sum } from "../stats.ts";
import { startServer } from "./server.ts";

export const redisHost: Host = {
  capabilities: { ...CAPABILITIES, name: "two servers on Redis" },
  configurable: true,
  async start(options): Promise<RunningServer> {
    const redis = await redisServer();
    const broker = {
      type: "redis",
      redis: {
        addr: `127.0.0.1:${redis.port}`,
        key_prefix: newPrefix(),
        node_secret: "the secret of the suite",
      },
    };
    const nodes = await Promise.all([0, 1].map(() => startServer(options, broker)));
    const [first, second] = nodes as [RunningServer, RunningServer];
    return {
      url: first.url,
      ...(first.grpc === undefined ? {} : { grpc: first.grpc }),
      spread: nodes.map(({ url }) => url),
      node: (index) => (index % 2 === 0 ? first.url : second.url),
      stats: async () => sum(await Promise.all(nodes.map((node) => node.stats?.()))),
      memory: async () => {
        const all = await Promise.all(nodes.map((node) => node.memory?.()));
        return all.reduce<number>((total, bytes) => total + (bytes ?? 0), 0);
      },
      stop: async () => {
        await Promise.all(nodes.map((node) => node.stop()));
        await redis.stop();
      },
    };
  },
};
