/** A broker that a program brings is the equal of the server's own in all that it is able to do. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import {
  type CloseInfo,
  createCloudEvent,
  dial,
  type MessageLoopClient,
  type ReceivedMessage,
} from "../../src/client/v0/index.ts";
import {
  type Broker,
  createServer,
  MemoryBroker,
  parseConfig,
  type Server,
  type ServerPorts,
  WireEventSchema,
} from "../../src/server/index.ts";
import { clock, idleTimers, shortId } from "../../src/server/platform.ts";
import { Bus, BusBroker } from "./bus.ts";

const servers: Server[] = [];

afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

interface Started {
  readonly server: Server;
  readonly ports: ServerPorts;
  readonly warnings: string[];
}

async function start(broker: Broker): Promise<Started> {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "1s", connect_deadline: "2s" },
    transport: { websocket: listener, grpc: listener },
  });
  const warnings: string[] = [];
  const logger = {
    warn: (message: string, fields: object = {}) => {
      warnings.push(`${message} ${JSON.stringify(fields)}`);
    },
  };
  const server = createServer({ config, broker, logger });
  servers.push(server);
  return { server, ports: await server.start(), warnings };
}

interface Dialled {
  readonly client: MessageLoopClient;
  readonly received: ReceivedMessage[];
  readonly closed: Promise<CloseInfo>;
}

async function connect({ websocket }: ServerPorts): Promise<Dialled> {
  const client = await dial(`ws://127.0.0.1:${websocket}/ws`);
  const received: ReceivedMessage[] = [];
  client.onMessage((messages) => received.push(...messages));
  return { client, received, closed: new Promise((resolve) => client.onClosed(resolve)) };
}

const event = (data: string) => createCloudEvent({ source: "/t", type: "t", data });
const texts = ({ received }: Dialled) => received.map((message) => message.event.data);

/** The broker in memory, whose turns come only when somebody flushes. */
function heldBack(): MemoryBroker {
  return new MemoryBroker({
    clock,
    random: { epoch: shortId },
    nextTurn: () => {},
    timers: idleTimers,
  });
}

test("a server is ready as its broker is", async () => {
  const broker = new BusBroker(new Bus(), "a");
  const { ports } = await start(broker);
  const client = await connect(ports);
  for (const ready of [true, false, true]) {
    broker.ready = ready;
    for (const path of ["/health/ready", "/health"]) {
      const { status } = await fetch(`http://127.0.0.1:${ports.http}${path}`);
      expect([path, status]).toEqual([path, ready ? 200 : 503]);
    }
    expect((await fetch(`http://127.0.0.1:${ports.http}/health/live`)).status).toBe(200);
  }
  expect(client.client.isConnected()).toBe(true);
});

test("a broker is swept, and one that fails at it keeps no silent connection open", async () => {
  const broker = new BusBroker(new Bus(), "a");
  const { ports, warnings } = await start(broker);
  await expect.poll(() => broker.sweeps, { timeout: 5_000 }).toBeGreaterThan(0);
  broker.sweep = () => {
    throw new Error("out of order");
  };
  await expect.poll(() => warnings.length, { timeout: 5_000 }).toBeGreaterThan(1);
  expect(new Set(warnings)).toEqual(
    new Set(['the broker failed {"what":"sweep","error":"Error: out of order"}']),
  );
  const silent = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`);
  const code = await new Promise((resolve) =>
    silent.addEventListener("close", ({ code }) => resolve(code)),
  );
  expect(code).toBe(3502);
});

test("what waits for a later turn is handed over before clients are told to go", async () => {
  const { server, ports } = await start(heldBack());
  const client = await connect(ports);
  await client.client.subscribe("room");
  await client.client.publish("room", event("last"));
  expect(texts(client)).toEqual([]);
  await server.stop();
  expect(await client.closed).toMatchObject({ code: 3512 });
  expect(texts(client)).toEqual(["last"]);
});

test("a server that stops waits for what its broker takes time to hand over", async () => {
  const bus = new Bus();
  const here = await start(new BusBroker(bus, "a", 60_000));
  const there = await start(new BusBroker(bus, "b"));
  const [listener, writer] = [await connect(here.ports), await connect(there.ports)];
  await listener.client.subscribe("room");
  await writer.client.publish("room", event("last"));
  expect(texts(listener)).toEqual([]);
  await here.server.stop();
  expect(await listener.closed).toMatchObject({ code: 3512 });
  expect(texts(listener)).toEqual(["last"]);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("gone");
    },
    1,
  ],
  ["rejects", () => Promise.reject(new Error("gone")), 1],
  ["never ends", () => new Promise<void>(() => {}), 0],
] as const)(
  "a broker whose flush %s does not keep the server from stopping",
  async (_, flush, said) => {
    const broker = new BusBroker(new Bus(), "a");
    broker.flush = flush;
    const { server, ports, warnings } = await start(broker);
    const client = await connect(ports);
    await server.stop();
    expect(await client.closed).toMatchObject({ code: 3512 });
    expect(warnings).toEqual(
      said === 0 ? [] : ['the broker failed {"what":"flush","error":"Error: gone"}'],
    );
  },
);

test("servers with a cluster reach each other's sessions, and deliver each other's messages", async () => {
  const bus = new Bus();
  const one = await start(new BusBroker(bus, "one"));
  const two = await start(new BusBroker(bus, "two"));
  const [ann, bob] = [await connect(one.ports), await connect(two.ports)];
  const [annId = "", bobId = ""] = [
    ann.client.getSessionId() ?? "",
    bob.client.getSessionId() ?? "",
  ];
  expect([annId, bobId].map((id) => id.split(".", 1)[0])).toEqual(["one", "two"]);
  expect(await one.server.engine.subscribe(bobId, ["room"])).toEqual({
    results: { room: true },
    errors: {},
  });
  await ann.client.subscribe("room", "other");
  await ann.client.publish("room", event("to both"));
  await expect.poll(() => [texts(ann), texts(bob)]).toEqual([["to both"], ["to both"]]);
  const question = create(WireEventSchema, { data: { case: "textData", value: "who?" } });
  ann.client.onSurvey(() => event("here"));
  const survey = await two.server.engine.survey("room", question, { timeoutMs: 20_000 });
  const said = survey.answers.map(({ sessionId, payload, error }) => [
    sessionId,
    error?.code ?? payload?.data.value,
  ]);
  expect(new Map(said as [string, unknown][])).toEqual(
    new Map([
      [annId, "here"],
      // It has no handler.
      [bobId, "UNIMPLEMENTED"],
    ]),
  );
  expect([survey.silent, survey.unreached]).toEqual([[], []]);
  expect(await one.server.engine.unsubscribe(bobId, ["room"])).toEqual({ room: true });
  expect(two.server.engine.session(bobId)?.channels).toEqual([]);
  expect(await one.server.engine.disconnect(bobId, 4001, "enough")).toBe(true);
  expect(await bob.closed).toMatchObject({ code: 4001, reason: "enough" });
  expect(await one.server.engine.disconnect("three.x", 4001)).toBe(false);
  expect(one.server.engine.stats().refusedMessages).toEqual({
    unsigned: 0,
    misdirected: 0,
    replayed: 0,
  });
});
