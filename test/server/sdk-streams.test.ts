/** The SDK without WebSocket, against both hosts over a real network: through proxies, cuts and lost answers. */
import { afterEach, describe, expect, test } from "vitest";
import { protobuf } from "../../src/client/protobuf/index.ts";
import {
  connectStream,
  eventStream,
  fallback,
  type SessionMemory,
} from "../../src/client/stream/index.ts";
import {
  type Client,
  type ClientOptions,
  createClient,
  createCloudEvent,
  dial,
  webSocket,
} from "../../src/index.ts";
import { createServer, parseConfig, toWireEvent } from "../../src/server/index.ts";
import { API_KEY, KEYS, TICKET_KEYS } from "../conformance/keys.ts";
import { HttpProxy, type Upgrades } from "../support/http-proxy.ts";
import { startWorkerd } from "../support/workerd.ts";

const PATIENCE = { timeout: 30_000 };
const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

interface Host {
  readonly port: number;
  /** Origin of the server API. */
  readonly api: string;
}

/** RPCs that the backend was asked, by their data. */
const asked: unknown[] = [];

async function serve(): Promise<Host> {
  const listener = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: listener, drain_timeout: "1s" },
      transport: { websocket: listener, grpc: listener },
      api: { keys: KEYS, ticket_keys: TICKET_KEYS },
    }),
    logger: { warn: () => {} },
    backends: {
      rpc: async ({ payload }) => {
        asked.push(payload.data.value);
        return toWireEvent(createCloudEvent({ source: "/backend", type: "t", data: "done" }));
      },
    },
  });
  ended.push(() => server.stop());
  const { websocket, http } = await server.start();
  return { port: websocket, api: `http://127.0.0.1:${http}` };
}

async function serveWorker(): Promise<Host> {
  const server = await startWorkerd({
    vars: {
      MESSAGELOOP_API_KEYS: JSON.stringify(KEYS),
      MESSAGELOOP_API_TICKET_KEYS: JSON.stringify(TICKET_KEYS),
    },
  });
  ended.push(() => server.stop());
  return { port: Number(new URL(server.url).port), api: server.url };
}

const HOSTS = [
  ["the self-hosted server", serve],
  ["the Worker", serveWorker],
] as const;

async function proxyTo({ port }: Host, upgrades: Upgrades = "pass"): Promise<HttpProxy> {
  const proxy = await HttpProxy.to(port);
  ended.push(() => proxy.stop());
  proxy.upgrades = upgrades;
  return proxy;
}

async function connect(url: string, options: ClientOptions = {}): Promise<Client> {
  const client = await dial(url, options);
  ended.push(() => client.close());
  return client;
}

function memoryOf(kept: Map<string, string>): SessionMemory {
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
}

/** What a client hears of names, and the gaps it is told of. */
function listen(client: Client, ...names: string[]) {
  const heard: string[] = [];
  const gaps: unknown[] = [];
  client.addEventListener("gap", ({ detail }) => gaps.push(detail));
  const subscriptions = names.map((name) =>
    client.subscribe(name, ({ channel, offset, data }) =>
      heard.push(`${channel} ${offset} ${data}`),
    ),
  );
  return { heard, gaps, ready: Promise.all(subscriptions.map(({ ready }) => ready)) };
}

describe.each(HOSTS)("%s", (_name, start) => {
  test.each(["refuse", "drop", "swallow", "deafen"] as const)(
    "everything is delivered where a proxy has a way to %s WebSockets",
    async (upgrades) => {
      const proxy = await proxyTo(await start(), upgrades);
      const kept = new Map<string, string>();
      const transport = fallback([webSocket(), connectStream()], {
        memory: memoryOf(kept),
        timeoutMs: 2_000,
      });
      const url = `${proxy.origin}/ws`;
      const reader = await connect(url, { transport });
      const { heard, ready, gaps } = listen(reader, "room");
      await ready;
      const writer = await connect(url, { transport });
      const texts = Array.from({ length: 100 }, (_, i) => `${i}`);
      await Promise.all(texts.map((text) => writer.publish("room", text)));
      await expect.poll(() => heard.length, PATIENCE).toBe(100);
      expect(heard).toEqual(texts.map((text, i) => `room ${i + 1} ${text}`));
      expect(gaps).toEqual([]);
      // Whoever comes now asks for no WebSocket any more.
      const attempts = () => proxy.asked.filter((one) => one === "upgrade").length;
      expect(attempts()).toBe(upgrades === "swallow" || upgrades === "deafen" ? 1 : 2);
      await connect(url, { transport });
      expect(attempts()).toBe(upgrades === "swallow" || upgrades === "deafen" ? 1 : 2);
      expect([...kept.values()]).toEqual(["2 connect-stream"]);
    },
  );

  test.each([
    ["json", "json"],
    ["protobuf", protobuf],
  ] as const)(
    "%s: a stream that is cut comes back, and nothing is missing",
    async (_of, encoding) => {
      const host = await start();
      const proxy = await proxyTo(host);
      const reader = await connect(`${proxy.origin}/ws`, { encoding, transport: connectStream() });
      const writer = await connect(`ws://127.0.0.1:${host.port}/ws`);
      const { heard, gaps, ready } = listen(reader, "a.one", "b.*");
      await ready;
      for (let round = 0; round < 3; round++) {
        await writer.publish("a.one", round);
        await writer.publish("b.known", round);
        proxy.cut();
        await writer.publish("a.one", round);
        await writer.publish("b.known", round);
        await writer.publish(`b.new${round}`, round);
        await expect.poll(() => heard.length, PATIENCE).toBe((round + 1) * 5);
      }
      const of = (channel: string) => heard.filter((one) => one.startsWith(`${channel} `));
      expect(of("a.one")).toEqual([0, 0, 1, 1, 2, 2].map((data, i) => `a.one ${i + 1} ${data}`));
      expect(of("b.known")).toEqual(
        [0, 0, 1, 1, 2, 2].map((data, i) => `b.known ${i + 1} ${data}`),
      );
      expect(new Set(heard).size).toBe(15);
      expect(gaps).toEqual([]);
    },
  );

  test("server-sent events bring a channel and a pattern through cuts, and nothing is missing", async () => {
    const host = await start();
    const proxy = await proxyTo(host);
    const writer = await connect(`ws://127.0.0.1:${host.port}/ws`);
    const transport = eventStream({ key: API_KEY });
    const reader = await connect(`${proxy.origin}/ws`, { transport });
    const { heard, gaps, ready } = listen(reader, "a.one", "b.*");
    await ready;
    for (let round = 0; round < 3; round++) {
      await writer.publish("a.one", round);
      await writer.publish("b.known", round);
      await expect.poll(() => heard.length, PATIENCE).toBe(round * 5 + 2);
      proxy.cut();
      await writer.publish("a.one", round);
      await writer.publish("b.known", round);
      await writer.publish(`b.new${round}`, round);
      await expect.poll(() => heard.length, PATIENCE).toBe((round + 1) * 5);
    }
    expect(new Set(heard).size).toBe(15);
    expect(gaps).toEqual([]);
    await expect(reader.publish("a.one", 1)).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
  });

  test("tickets open streams of what they are for, and of nothing else", async () => {
    const host = await start();
    const ticket = async (): Promise<string> => {
      const answer = await fetch(`${host.api}/messageloop.server.v1.APIService/CreateTicket`, {
        method: "POST",
        headers: { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" },
        body: JSON.stringify({ user_id: "ada", channels: ["room.*"], ttl_ms: 60_000 }),
      });
      return ((await answer.json()) as { ticket: string }).ticket;
    };
    const url = `ws://127.0.0.1:${host.port}/ws`;
    const reader = await connect(url, { transport: eventStream({ ticket }) });
    const { heard, ready } = listen(reader, "room.1");
    await ready;
    const writer = await connect(url);
    await writer.publish("room.1", "hello");
    await expect.poll(() => heard, PATIENCE).toEqual(["room.1 1 hello"]);
    await expect(reader.subscribe("other").ready).rejects.toMatchObject({ code: "ACL_ERROR" });
    const { promise: recovered, resolve } = Promise.withResolvers<unknown>();
    const later = await connect(url, { transport: eventStream({ ticket }) });
    const { epoch } = await writer.publish("room.1", "again");
    const since = later.subscribe("room.1", { since: { epoch, offset: 0 } });
    const read: unknown[] = [];
    since.addEventListener("message", ({ detail }) => read.push(detail.data));
    since.addEventListener("recovered", ({ detail }) => resolve(detail.channel));
    expect([await recovered, read]).toEqual(["room.1", ["hello", "again"]]);
  });
});

test("a call whose answer is lost is not done twice", async () => {
  const proxy = await proxyTo(await serve());
  const client = await connect(`${proxy.origin}/ws`, { transport: connectStream(), queue: false });
  const { heard, ready } = listen(client, "room");
  await ready;
  asked.splice(0);
  for (let round = 0; round < 5; round++) {
    proxy.losing = { path: "/Send", times: 1 + (round % 2) };
    const calls = [client.rpc("c", "m", `rpc ${round}`), client.publish("room", round)];
    const [answer, { offset }] = (await Promise.all(calls)) as [string, { offset: number }];
    expect([answer, offset]).toEqual(["done", round + 1]);
    await expect.poll(() => proxy.losing.times, PATIENCE).toBe(0);
  }
  expect(asked).toEqual([0, 1, 2, 3, 4].map((round) => `rpc ${round}`));
  await expect
    .poll(() => heard, PATIENCE)
    .toEqual([0, 1, 2, 3, 4].map((i) => `room ${i + 1} ${i}`));
  expect(client.state).toBe("connected");
});

test("what is asked while the stream is away is answered when it is back", async () => {
  const proxy = await proxyTo(await serve());
  const client = createClient(`${proxy.origin}/ws`, { transport: connectStream() });
  ended.push(() => client.close());
  await client.ready;
  proxy.cut();
  await expect.poll(() => client.state, PATIENCE).toBe("connecting");
  expect(await client.publish("room", "waited")).toMatchObject({ offset: 1, duplicate: false });
});

test("a client that closes its stream has left", async () => {
  const host = await serve();
  const url = `ws://127.0.0.1:${host.port}/ws`;
  const watcher = await connect(url, { clientId: "watcher" });
  const left: string[] = [];
  const room = watcher.subscribe("room");
  room.addEventListener("presence", ({ detail }) => {
    if (detail.kind !== "members") left.push(`${detail.kind} ${detail.member.clientId}`);
  });
  await room.ready;
  const client = await dial(url, { clientId: "leaver", transport: connectStream() });
  await client.subscribe("room").ready;
  await expect.poll(() => left, PATIENCE).toEqual(["join leaver"]);
  await client.close();
  await expect.poll(() => left, PATIENCE).toEqual(["join leaver", "leave leaver"]);
});
