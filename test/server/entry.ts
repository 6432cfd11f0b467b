/**
 * The self-hosted server with what only tests may have: a backend of the suite's, and counters on a
 * port of their own. Takes its options as JSON, and prints its ports as one line of JSON.
 */
import { createServer as createHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import { RedisBroker } from "../../src/brokers/redis/broker.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { suiteBackend } from "../conformance/backend.ts";
import type { ServerStats } from "../conformance/host.ts";
import { rememberHandlers } from "../support/broker-handlers.ts";

for (const broker of [MemoryBroker, RedisBroker]) rememberHandlers(broker);

const { config, backend } = JSON.parse(process.argv[2] ?? "{}") as {
  config: unknown;
  backend: string;
};

const server = createServer({
  config: parseConfig(config),
  backends: backend === "none" ? {} : suiteBackend(() => server.engine, backend === "closed"),
});

/** Counts what the suite wants to see back at zero. */
const { broker } = server.engine;
const wanted = new Set<string>();
const { subscribe, subscribePattern, unsubscribe, unsubscribePattern } = broker;
broker.subscribe = async (channel) => {
  wanted.add(channel);
  return await subscribe.call(broker, channel);
};
broker.unsubscribe = (channel) => {
  wanted.delete(channel);
  unsubscribe.call(broker, channel);
};

broker.subscribePattern = async (pattern) => {
  wanted.add(pattern);
  return await subscribePattern.call(broker, pattern);
};
broker.unsubscribePattern = (pattern) => {
  wanted.delete(pattern);
  unsubscribePattern.call(broker, pattern);
};

const control = createHttp((request, response) => {
  if (request.url === "/memory") {
    // Only where the process was started with --expose-gc.
    globalThis.gc?.();
    // What a collection frees is given back beside it.
    setTimeout(() => {
      globalThis.gc?.();
      response.end(JSON.stringify(process.memoryUsage()));
    }, 50);
    return;
  }
  const stats: ServerStats & { readonly connections: number } = {
    ...server.engine.stats(),
    connections: server.connections,
    registrations: wanted.size,
    publishing: broker instanceof MemoryBroker ? broker.waiting : 0,
  };
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(stats));
});
control.listen(0, "127.0.0.1", async () => {
  const ports = await server.start();
  console.log(JSON.stringify({ ...ports, control: (control.address() as AddressInfo).port }));
});

process.once("SIGTERM", async () => {
  control.close();
  await server.stop();
  process.exit(0);
});
