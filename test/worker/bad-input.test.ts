/** Bad input gets a clean error, and the session and its object live on. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Client, freshChannel } from "./socket.ts";

const upgrade = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

async function handshake(headers: Record<string, string>, method = "GET"): Promise<Response> {
  return await exports.default.fetch(new Request("http://localhost/ws", { method, headers }));
}

function errorOf(reply: Awaited<ReturnType<Client["request"]>>): string {
  return reply.envelope.case === "error" ? reply.envelope.value.code : `${reply.envelope.case}`;
}

test.each(["json", "proto"] as const)(
  "%s: an undecodable frame is BAD_REQUEST",
  async (encoding) => {
    const client = await Client.connect({ encoding });
    client.socket.send(encoding === "json" ? "{" : new Uint8Array([255, 255, 255]));
    const frame = await client.until(() => client.frames[1]);
    expect(frame).toBeDefined();
    expect(errorOf(await client.request({ envelope: { case: "ping", value: {} } }))).toBe("pong");
  },
);

test("a frame without an envelope gets no answer", async () => {
  const client = await Client.connect();
  client.send({ id: "silent" });
  expect(errorOf(await client.request({ envelope: { case: "ping", value: {} } }))).toBe("pong");
  expect(client.frames).toHaveLength(2);
});

const channels: [string, string][] = [
  ["an empty word", "a..b"],
  ["an open pattern that goes on", "a.**.b"],
  ["a control character", "a\u0007"],
  ["more than 255 bytes", "\u00e4".repeat(128)],
];
test.each(channels)("a channel with %s is BAD_REQUEST", async (_, channel) => {
  const client = await Client.connect();
  const publish = { case: "publish", value: { id: "1", source: "/s", type: "t" } } as const;
  expect(errorOf(await client.request({ channel, envelope: publish }))).toBe("BAD_REQUEST");
  const ack = await client.subscribe(channel);
  if (ack.envelope.case !== "subscribeAck") throw new Error(`${ack.envelope.case}`);
  expect(ack.envelope.value.subscriptions[0]?.error?.code).toBe("BAD_REQUEST");
});

test.each(["a.*", "a.**", "*"])("a publish to the pattern %s is BAD_REQUEST", async (channel) => {
  const client = await Client.connect();
  const publish = { case: "publish", value: { id: "1", source: "/s", type: "t" } } as const;
  expect(errorOf(await client.request({ channel, envelope: publish }))).toBe("BAD_REQUEST");
});

test("publish with neither channel nor source is INTERNAL_ERROR, as v0.1.1 says", async () => {
  const client = await Client.connect();
  const reply = await client.request({ envelope: { case: "publish", value: { type: "t" } } });
  expect(reply.envelope).toMatchObject({
    case: "error",
    value: {
      code: "INTERNAL_ERROR",
      type: "server_error",
      message: "missing channel in publish message",
    },
  });
});

test("an attribute without value and a timestamp out of range are BAD_REQUEST", async () => {
  const client = await Client.connect({ encoding: "proto" });
  const channel = freshChannel();
  const attributes = [
    { odd: { attr: { case: undefined } } },
    { time: { attr: { case: "ceTimestamp", value: { seconds: 999_999_999_999n, nanos: 0 } } } },
  ] as const;
  for (const attribute of attributes) {
    const reply = await client.request({
      channel,
      envelope: {
        case: "publish",
        value: { id: "1", source: "/s", type: "t", attributes: attribute },
      },
    });
    expect(errorOf(reply)).toBe("BAD_REQUEST");
  }
  expect(await client.publish(channel, "fine")).toBe(1);
});

test("frames before connect close with 3502, a second connect with 3501", async () => {
  const early = await Client.open();
  early.send({ id: "1", envelope: { case: "subscribe", value: {} } });
  expect(await early.closed()).toEqual({ code: 3502, reason: "stale" });
  const twice = await Client.connect();
  twice.send({ id: "2", envelope: { case: "connect", value: {} } });
  expect(await twice.closed()).toEqual({ code: 3501, reason: "bad request" });
});

test("a frame over the limit closes with 1009, one at the limit does not", async () => {
  const client = await Client.connect();
  const frame = JSON.stringify({ id: "1", ping: {}, pad: "" });
  const pad = "x".repeat(65_536 - frame.length);
  client.socket.send(JSON.stringify({ id: "1", ping: {}, pad }));
  await client.until(() => client.frames[1]);
  client.socket.send(JSON.stringify({ id: "2", ping: {}, pad: `${pad}x` }));
  expect((await client.closed()).code).toBe(1009);
});

test("one refused subscription: v1 rolls back and closes with 3501, extended keeps the rest", async () => {
  const good = freshChannel();
  const extended = await Client.connect();
  const ack = await extended.subscribe(good, "a..b");
  if (ack.envelope.case !== "subscribeAck") throw new Error(`${ack.envelope.case}`);
  expect(ack.envelope.value.subscriptions.map(({ error }) => error?.code)).toEqual([
    undefined,
    "BAD_REQUEST",
  ]);
  await extended.publish(good, "here");
  await extended.received(1);

  const v1 = await Client.connect({ extended: false });
  const error = await v1.subscribe(good, "a..b");
  expect(errorOf(error)).toBe("BAD_REQUEST");
  expect((await v1.closed()).code).toBe(3501);
});

test("requests on /ws that are no upgrade are refused as v0.1.1 does", async () => {
  const plain = await handshake({});
  expect(plain.status).toBe(400);
  expect(plain.headers.get("Sec-WebSocket-Version")).toBe("13");
  expect(await plain.text()).toBe("Bad Request");
  expect((await handshake({}, "POST")).status).toBe(405);
  expect((await handshake({ ...upgrade, "Sec-WebSocket-Version": "8" })).status).toBe(400);
  expect((await handshake({ ...upgrade, "Sec-WebSocket-Key": "short" })).status).toBe(400);
  expect((await handshake({ ...upgrade, Origin: "https://evil.example" })).status).toBe(403);
  expect((await handshake({ ...upgrade, Origin: "http://localhost" })).status).toBe(101);
});

test("an unknown subprotocol gets no subprotocol back, and JSON", async () => {
  const response = await handshake({ ...upgrade, "Sec-WebSocket-Protocol": "foo" });
  expect(response.status).toBe(101);
  expect(response.headers.get("Sec-WebSocket-Protocol")).toBeNull();
  if (response.webSocket === null) throw new Error("no socket");
  const client = new Client(response.webSocket, { encoding: "json", extended: true });
  response.webSocket.accept();
  expect(errorOf(await client.request({ envelope: { case: "ping", value: {} } }))).toBe("pong");
});
