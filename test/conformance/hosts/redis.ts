/** Two self-hosted servers on one Redis, or on a cluster of them. Clients are spread over both. */
import { CAPABILITIES } from "../../../src/server/capabilities.ts";
import { newPrefix } from "../../redis/nodes.ts";
import { oneRedis, type Redis, redisCluster } from "../../redis/servers.ts";
import type { Host, RunningServer, ServerOptions } from "../host.ts";
import { sum } from "../stats.ts";
import { startServer } from "./server.ts";

/** All its servers are on one Redis, each pair with names of its own. */
class RedisHost implements Host {
  readonly capabilities;
  readonly opens;
  readonly kinds;
  readonly configurable = true;
  readonly #open: () => Promise<Redis>;
  #redis: Promise<Redis> | undefined;

  constructor(
    name: string,
    { opens, kinds }: Pick<Host, "opens" | "kinds">,
    open: () => Promise<Redis>,
  ) {
    this.capabilities = { ...CAPABILITIES, name, keepsRevocations: true };
    this.opens = opens;
    this.kinds = kinds;
    this.#open = open;
  }

  async redis(): Promise<Redis> {
    this.#redis ??= this.#open();
    return await this.#redis;
  }

  async start(options: ServerOptions): Promise<RunningServer> {
    const { urls, cluster } = (await this.redis()).address;
    const redis = {
      url: urls.join(","),
      cluster,
      key_prefix: newPrefix(),
      node_secret: "the secret of the suite",
    };
    const broker = { type: "redis", redis };
    return together(await Promise.all([0, 1].map(() => startServer(options, broker))));
  }

  async stop(): Promise<void> {
    const opened = this.#redis;
    this.#redis = undefined;
    await (await opened)?.stop();
  }
}

/**
 * What passes through Redis is the same whatever a client writes: that every kind of client can do all that there is is shown by
 * one server. So each case is run once, the kinds in turn.
 */
export const redisHost = new RedisHost(
  "two servers on Redis",
  { opens: "rules", kinds: "in turn" },
  oneRedis,
);

/** A cluster has no part in Open and Send: one Redis shows them. */
export const clusterHost = new RedisHost(
  "two servers on a cluster of Redis",
  { opens: "nothing", kinds: "in turn" },
  redisCluster,
);

function together(nodes: readonly RunningServer[]): RunningServer {
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
    },
  };
}
