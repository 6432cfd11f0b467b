/** The SDK of v0.1.1 against a server over a real network, through losses. */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  type ClientOption,
  createCloudEvent,
  dial,
  type Gap,
  type MessageLoopClient,
  type ReceivedMessage,
  type WebSocketConstructor,
  withAutoSubscribe,
  withEncoding,
  withReconnect,
  withWebSocket,
} from "../../src/client/v0/index.ts";
import { createServer, parseConfig } from "../../src/server/index.ts";
import { eventually } from "../support/eventually.ts";

const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function start(): Promise<string> {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "1s" },
    transport: { websocket: listener, grpc: listener },
  });
  const server = createServer({ config, logger: { warn: () => {} } });
  ended.push(() => server.stop());
  const { websocket } = await server.start();
  return `ws://127.0.0.1:${websocket}/ws`;
}

async function connect(url: string, ...options: ClientOption[]): Promise<MessageLoopClient> {
  const client = await dial(url, options);
  ended.push(() => client.close());
  return client;
}

/** A way to the server that can be cut, as cables are. */
function cuttable(): { webSocket: ClientOption; cut: () => void } {
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const webSocket = withWebSocket(Kept as unknown as WebSocketConstructor);
  return { webSocket, cut: () => sockets.at(-1)?.terminate() };
}

test.each(["json", "proto"] as const)(
  "%s: with withReconnect a cut costs no message, and brings none twice",
  async (encoding) => {
    const url = await start();
    const { webSocket, cut } = cuttable();
    const options = [withEncoding(encoding), withReconnect(), webSocket];
    const reader = await connect(url, ...options, withAutoSubscribe("a.*"));
    await reader.subscribe("b");
    const writer = await connect(url);
    const sessions: string[] = [];
    const received: ReceivedMessage[] = [];
    const gaps: Gap[] = [];
    reader.onConnected((sessionId) => sessions.push(sessionId));
    reader.onMessage((messages) => received.push(...messages));
    reader.onGap((gap) => gaps.push(gap));
    const publish = (channel: string, data: number) =>
      writer.publish(channel, createCloudEvent({ source: "/s", type: "t", data }));
    const told = (channel: string) =>
      received.filter((message) => message.channel === channel).map(({ event }) => event.data);
    await publish("a.x", 1);
    await publish("b", 1);
    await eventually(
      () => received.length,
      (length) => length === 2,
    );
    for (let n = 2; n <= 4; n++) {
      cut();
      await eventually(() => !reader.isConnected());
      await publish("a.x", n);
      await publish("b", n);
      // What it publishes meanwhile waits.
      const event = createCloudEvent({ source: "/s", type: "t", data: n });
      expect(await reader.publish("b", event)).toMatchObject({ duplicate: false });
      await eventually(
        () => sessions.length,
        (length) => length === n,
      );
    }
    await eventually(
      () => received.length,
      (length) => length === 11,
    );
    expect(told("a.x")).toEqual([1, 2, 3, 4]);
    expect(told("b")).toEqual([1, 2, 2, 3, 3, 4, 4]);
    expect(gaps).toEqual([]);
    expect(reader.getSubscribedChannels()).toEqual(["a.*", "b"]);
  },
);

test("without it a client ends with its connection, and says when to come back", async () => {
  const url = await start();
  const { webSocket, cut } = cuttable();
  const client = await connect(url, webSocket);
  const closed = new Promise((resolve) => client.onClosed(resolve));
  cut();
  expect(await closed).toEqual({ code: 1006, reason: "", reconnect: true, retryAfterMs: 0 });
  await expect(client.connect()).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
