/** The SDK against a server over a real network: in both encodings, with losses, and with everything it can ask. */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { protobuf } from "../../src/client/protobuf/index.ts";
import {
  type Client,
  type ClientOptions,
  createClient,
  createCloudEvent,
  dial,
  type ReceivedMessage,
  type WebSocketConstructor,
  webSocket,
} from "../../src/index.ts";
import { createServer, parseConfig, type Server, toWireEvent } from "../../src/server/index.ts";
import { ownTime } from "../support/own-time.ts";
import { settledPort } from "../support/ports.ts";

const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function start(port = 0): Promise<{ server: Server; url: string; port: number }> {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "1s" },
    transport: { websocket: { addr: `127.0.0.1:${port}` }, grpc: listener },
    channels: [{ pattern: "poll.**", survey: true }],
  });
  const server = createServer({
    config,
    logger: { warn: () => {} },
    backends: {
      rpc: async ({ method }) =>
        toWireEvent(createCloudEvent({ source: "/backend", type: "t", data: { method } })),
    },
  });
  ended.push(() => server.stop());
  const { websocket } = await server.start();
  return { server, url: `ws://127.0.0.1:${websocket}/ws`, port: websocket };
}

/** A way to the server that can be cut, as cables are. */
function cuttable() {
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const transport = webSocket(Kept as unknown as WebSocketConstructor);
  return { transport, cut: () => sockets.at(-1)?.terminate() };
}

async function connect(url: string, options: ClientOptions = {}): Promise<Client> {
  const client = await dial(url, options);
  ended.push(() => client.close());
  return client;
}

const ENCODINGS = [
  ["json", "json"],
  ["protobuf", protobuf],
] as const;

test.each(ENCODINGS)("%s: what is published arrives whole", async (_name, encoding) => {
  const { url } = await start();
  const client = await connect(url, { encoding, clientId: "me" });
  const received: ReceivedMessage[] = [];
  const subscription = client.subscribe("c");
  const reading = (async () => {
    for await (const message of subscription) {
      received.push(message);
      if (received.length === 4) return;
    }
  })();
  const extensions = { n: -7, b: true, raw: new Uint8Array([0, 255]), s: "ü" };
  const event = createCloudEvent({
    source: "/s",
    type: "t",
    subject: "x",
    data: "<a/>",
    extensions,
  });
  for (const data of [{ a: [1, "ü", null] }, "text", new Uint8Array([0, 255]), event]) {
    await client.publish("c", data, { metadata: { k: "v" } });
  }
  await reading;
  expect(received.map(({ data }) => data)).toEqual([
    { a: [1, "ü", null] },
    "text",
    new Uint8Array([0, 255]),
    "<a/>",
  ]);
  expect(received[3]?.event).toMatchObject({ ...event, ...extensions });
  expect(received.map(({ offset }) => offset)).toEqual([1, 2, 3, 4]);
  expect(received[0]).toMatchObject({
    channel: "c",
    publisher: { clientId: "me" },
    metadata: { k: "v" },
  });
});

test.each(ENCODINGS)(
  "%s: after a cut nothing is missing and nothing comes twice",
  async (_name, encoding) => {
    const { url } = await start();
    const { transport, cut } = cuttable();
    const reader = await connect(url, { encoding, transport });
    const writer = await connect(url);
    const heard: string[] = [];
    const gaps: unknown[] = [];
    reader.addEventListener("gap", ({ detail }) => gaps.push(detail));
    const all = [reader.subscribe("a.one"), reader.subscribe("b.*")];
    for (const subscription of all) {
      subscription.addEventListener("message", ({ detail }) =>
        heard.push(`${detail.channel} ${detail.offset}`),
      );
      await subscription.ready;
    }
    for (let round = 0; round < 3; round++) {
      await writer.publish("a.one", round);
      await writer.publish("b.known", round);
      cut();
      await writer.publish("a.one", round);
      await writer.publish("b.known", round);
      await writer.publish(`b.new${round}`, round);
      await expect.poll(() => heard.length, { timeout: 20_000 }).toBe((round + 1) * 5);
    }
    const inOrder = (channel: string) => heard.filter((one) => one.startsWith(`${channel} `));
    expect(inOrder("a.one")).toEqual(Array.from({ length: 6 }, (_, i) => `a.one ${i + 1}`));
    expect(inOrder("b.known")).toEqual(Array.from({ length: 6 }, (_, i) => `b.known ${i + 1}`));
    expect(new Set(heard).size).toBe(15);
    expect(gaps).toEqual([]);
  },
);

test("what is published while the server is away is delivered once when it is back", async () => {
  const first = await start(await settledPort("serve"));
  const client = createClient(first.url);
  ended.push(() => client.close());
  await client.ready;
  await first.server.stop();
  await expect.poll(() => client.state).toBe("connecting");
  const publishing = client.publish("c", "waited");
  const { server } = await start(first.port);
  expect(await publishing).toMatchObject({ offset: 1, duplicate: false });
  await client.close();
  await server.stop();
});

test("presence, history, RPC and surveys", async () => {
  const { url } = await start();
  const [ada, bob] = [
    await connect(url, { clientId: "ada" }),
    await connect(url, { clientId: "bob" }),
  ];
  const changes: string[] = [];
  const poll = ada.subscribe("poll.a");
  poll.addEventListener("presence", ({ detail }) => {
    if (detail.kind !== "members") changes.push(`${detail.kind} ${detail.member.clientId}`);
  });
  await poll.ready;
  await bob.subscribe("poll.a").ready;
  await expect.poll(() => changes).toEqual(["join bob"]);
  const { members, total } = await ada.presence("poll.a");
  expect([total, ...members.map(({ clientId }) => clientId)]).toEqual([2, "ada", "bob"]);

  for (let i = 0; i < 150; i++) await ada.publish("poll.a", i);
  const page = await ada.history("poll.a", { limit: 2, reverse: true });
  expect(page).toMatchObject({ more: true, position: { offset: 150 } });
  expect(page.messages.map(({ data }) => data)).toEqual([149, 148]);
  const read: unknown[] = [];
  for await (const { data } of ada.history("poll.a")) read.push(data);
  expect(read).toEqual(Array.from({ length: 150 }, (_, i) => i));

  expect(await ada.rpc("shop", "price", { id: 1 })).toEqual({ method: "price" });

  bob.onSurvey(({ data }) => `${data} yes`);
  const { answers, silent } = await ada.survey("poll.a", "ready?", { othersOnly: true });
  expect(silent).toEqual([]);
  expect(answers).toMatchObject([{ clientId: "bob", data: "ready? yes" }]);
});

test("a subscription with rewind begins with the last messages, and one with since after its position", async () => {
  const { url } = await start();
  const client = await connect(url);
  const positions = [];
  for (let i = 1; i <= 5; i++) positions.push(await client.publish("c", i));
  const take = async (other: Client, options: object) => {
    const data: unknown[] = [];
    const subscription = other.subscribe("c", options);
    subscription.addEventListener("message", ({ detail }) => data.push(detail.data));
    await new Promise((resolve) => subscription.addEventListener("recovered", resolve));
    return data;
  };
  expect(await take(await connect(url), { rewind: 2 })).toEqual([4, 5]);
  const since = { epoch: positions[2]?.epoch ?? "", offset: 3 };
  expect(await take(await connect(url), { since })).toEqual([4, 5]);
});

test("a server that is not there is told at once, and close lets the process end", async () => {
  const { server, url } = await start();
  const client = await connect(url);
  const time = ownTime();
  await client.close();
  time.stop();
  expect(time.ms()).toBeLessThan(900);
  await server.stop();
  await expect(dial(url)).rejects.toMatchObject({ code: "UNAVAILABLE", close: { code: 1006 } });
});
