/** A broker that a program brings is the server's equal: it may be unready, is swept, and hands over what waits. */
import { afterEach, expect, test } from "vitest";
import { createCloudEvent, dial, type ReceivedMessage } from "../../src/index.ts";
import {
  type Broker,
  createServer,
  MemoryBroker,
  parseConfig,
  RuleBook,
  type Server,
  type ServerPorts,
} from "../../src/server/index.ts";
import { clock, idleTimers, shortId } from "../../src/server/platform.ts";

/** No relative of the server's own brokers. Turns come only when somebody flushes. */
class OwnBroker implements Broker {
  ready = true;
  sweeps = 0;
  readonly #memory = new MemoryBroker({
    clock,
    random: { epoch: shortId },
    nextTurn: () => {},
    timers: idleTimers,
    rules: new RuleBook(),
  });
  start: Broker["start"] = (handler) => this.#memory.start(handler);
  subscribe: Broker["subscribe"] = (channel) => this.#memory.subscribe(channel);
  unsubscribe: Broker["unsubscribe"] = (channel) => this.#memory.unsubscribe(channel);
  subscribePattern: Broker["subscribePattern"] = (pattern) =>
    this.#memory.subscribePattern(pattern);
  unsubscribePattern: Broker["unsubscribePattern"] = (pattern) =>
    this.#memory.unsubscribePattern(pattern);
  activeChannels: Broker["activeChannels"] = (...asked) => this.#memory.activeChannels(...asked);
  publish: Broker["publish"] = (...published) => this.#memory.publish(...published);
  join: Broker["join"] = (...joined) => this.#memory.join(...joined);
  leave: Broker["leave"] = (...left) => this.#memory.leave(...left);
  history: Broker["history"] = (...asked) => this.#memory.history(...asked);
  removeHistory: Broker["removeHistory"] = (channel) => this.#memory.removeHistory(channel);
  presence: Broker["presence"] = (...asked) => this.#memory.presence(...asked);
  position: Broker["position"] = (channel) => this.#memory.position(channel);
  flush(): void {
    this.#memory.flush();
  }
  sweep(): void {
    this.sweeps += 1;
  }
}

const servers: Server[] = [];

afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

async function start(): Promise<{ broker: OwnBroker; server: Server; ports: ServerPorts }> {
  const broker = new OwnBroker();
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener },
    transport: { websocket: listener, grpc: listener },
  });
  const server = createServer({ config, broker });
  servers.push(server);
  return { broker, server, ports: await server.start() };
}

test("a server is ready as its broker is", async () => {
  const { broker, ports } = await start();
  for (const ready of [true, false, true]) {
    broker.ready = ready;
    const { status } = await fetch(`http://127.0.0.1:${ports.http}/health/ready`);
    expect(status).toBe(ready ? 200 : 503);
  }
});

test("a broker is swept", async () => {
  const { broker } = await start();
  await expect.poll(() => broker.sweeps, { timeout: 5_000 }).toBeGreaterThan(0);
});

test("what waits for a later turn is handed over before clients are told to go", async () => {
  const { server, ports } = await start();
  const client = await dial(`ws://127.0.0.1:${ports.websocket}/ws`);
  const received: ReceivedMessage[] = [];
  client.onMessage((messages) => received.push(...messages));
  const closed = new Promise((resolve) => client.onClosed(resolve));
  await client.subscribe("room");
  await client.publish("room", createCloudEvent({ source: "/t", type: "t", data: "last" }));
  expect(received).toEqual([]);
  await server.stop();
  expect(await closed).toMatchObject({ code: 3512 });
  expect(received.map(({ event }) => event.data)).toEqual(["last"]);
});
