/**
 * The self-hosted server with what only tests may have: a backend of the suite's, and counters on a
 * port of their own. Takes its options as JSON, and prints its ports as one line of JSON.
 */
import { createServer as createHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { MemoryBroker } from "../../src/brokers/memory.ts";
import { parseConfig } from "../../src/server/config.ts";
import { idleTimers } from "../../src/server/platform.ts";
import { createServer } from "../../src/server/server.ts";
import { suiteBackend } from "../conformance/backend.ts";
import type { ServerStats } from "../conformance/host.ts";

const { config, backend } = JSON.parse(process.argv[2] ?? "{}") as {
  config: unknown;
  backend: string;
};

const parsed = parseConfig(config);

/** Counts what the suite wants to see back at zero. */
class ObservedBroker extends MemoryBroker {
  readonly wanted = new Set<string>();
  override async subscribe(channel: string) {
    this.wanted.add(channel);
    return await super.subscribe(channel);
  }
  override unsubscribe(channel: string): void {
    this.wanted.delete(channel);
    super.unsubscribe(channel);
  }
}

const broker = new ObservedBroker({
  clock: { now: () => Date.now() },
  random: { epoch: () => crypto.randomUUID().slice(0, 8) },
  nextTurn: (callback) => void setImmediate(callback),
  timers: idleTimers,
  rules: parsed.settings.rules,
});

const server = createServer({
  config: parsed,
  broker,
  backends: backend === "none" ? {} : suiteBackend(() => server.engine, backend === "closed"),
});

const control = createHttp((_, response) => {
  const stats: ServerStats = {
    ...server.engine.stats(),
    registrations: broker.wanted.size,
    publishing: broker.waiting,
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
