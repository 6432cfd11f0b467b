/** The server API on one of two servers that share a Redis, while the sessions are on the other. */
import { afterAll, beforeAll, test } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server, type ServerPorts } from "../../src/server/server.ts";
import { API_CASES, Api, authenticate, CHANNELS, KEY_ENTRIES, LIMITS } from "../http/api/cases.ts";
import { jsonDriver } from "../http/api/driver.ts";
import { Client, type ConnectInit, valueAs } from "../support/client.ts";
import { newPrefix } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const ANY = { addr: "127.0.0.1:0" };
let redis: RedisServer;
const servers: Server[] = [];
let here: ServerPorts;
let there: ServerPorts;
let names = 0;

beforeAll(async () => {
  redis = await redisServer();
  const settings = {
    addr: `127.0.0.1:${redis.port}`,
    key_prefix: newPrefix(),
    node_secret: "sixteen letters and more",
  };
  [here, there] = (await Promise.all([0, 1].map(() => start(settings)))) as [
    ServerPorts,
    ServerPorts,
  ];
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await redis.stop();
});

async function start(settings: Readonly<Record<string, unknown>>): Promise<ServerPorts> {
  const server = createServer({
    config: parseConfig({
      api: { keys: KEY_ENTRIES },
      broker: { type: "redis", redis: settings },
      channels: CHANNELS,
      limits: LIMITS,
      server: { http: ANY, drain_timeout: "1s" },
      transport: { websocket: ANY, grpc: ANY },
    }),
    backends: { authenticate },
  });
  servers.push(server);
  return await server.start();
}

function clientAt(ports: () => ServerPorts) {
  return async ({ capabilities = ["test"], ...connect }: ConnectInit = {}) => {
    const socket = new WebSocket(`ws://127.0.0.1:${ports().websocket}/ws`, ["messageloop+json"]);
    await new Promise((resolve) => socket.once("open", resolve));
    const kind = { encoding: "json", extended: true } as const;
    const client = new Client<WebSocket>(socket, { ...kind, capabilities });
    const { sessionId } = valueAs(await client.connect(connect), "connected");
    return { client, id: sessionId };
  };
}

test.each(API_CASES.map((one) => [one.name, one] as const))("%s", async (_, { run }) => {
  names += 1;
  const own = `n${names}`;
  const driver = jsonDriver(`http://127.0.0.1:${here.http}`);
  const [client, elsewhere] = [clientAt(() => here), clientAt(() => there)];
  await run(new Api({ driver, client, elsewhere, name: (word) => `${word}-${own}` }));
});
