/**
 * Streams of the self-hosted server, beyond what the conformance suite shows of any host: slow clients,
 * what is shared between subscribers, how the server lets go, and every protocol of the library.
 */
import { once } from "node:events";
import {
  type ClientHttp2Stream,
  connect as connectHttp2,
  createServer as createHttp2,
  type IncomingHttpHeaders,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, expect, test, vi } from "vitest";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { MessagingService } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { CAPABILITIES } from "../../src/server/capabilities.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { clock, random, shortId, timers } from "../../src/server/platform.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { TrustedProxies } from "../../src/server/transport/client-address.ts";
import { Connections } from "../../src/server/transport/connections.ts";
import { peerContext } from "../../src/server/transport/streams/lines.ts";
import { messageLoopRoutes } from "../../src/server/transport/streams/message-loop.ts";
import { eventually, sleep } from "../support/eventually.ts";
import {
  ConnectClient,
  envelopeOf,
  farewell,
  farewellOf,
  GrpcClient,
  type StreamClient,
} from "../support/stream-client.ts";

const PATH = "/messageloop.v1.MessagingService/MessageLoop";
const MIB = 1024 * 1024;
/** More than a stream takes, and more than the library reads of it. */
const BIG = "x".repeat(5 * MIB);
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(limits: Record<string, unknown> = {}, backends: Backends = {}) {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "30s" },
    transport: { websocket: listener, grpc: listener },
    limits,
  });
  const server: Server = createServer({ config, backends });
  const ports = await server.start();
  cleanups.push(() => server.stop());
  return { server, engine: server.engine, address: `127.0.0.1:${ports.grpc}` };
}

function client<Client extends StreamClient>(made: Client): Client {
  cleanups.push(() => made.cancel());
  return made;
}

async function subscriber<Client extends StreamClient>(made: Client, channel: string) {
  const reply = await made.request({ connect: { subscriptions: [{ channel }] } });
  expect(envelopeOf(reply)).toBe("connected");
  return client(made);
}

test("a client that does not read ends with 3510; the others get everything, in order", async () => {
  const { engine, address } = await start({ queue_bytes: 2 * MIB });
  const readers = [new GrpcClient(address, true), new ConnectClient(address)];
  for (const reader of readers) await subscriber(reader, "room");
  const stuck = await subscriber(new GrpcClient(address, true), "room");
  stuck.pause();
  const publisher = client(new GrpcClient(address, true));
  await publisher.request({ connect: {} });
  const events = (20 * MIB) / 32_768;
  const padding = "x".repeat(32_768);
  for (let i = 0; i < events; i++) {
    expect(envelopeOf(await publisher.publish("room", `${i} ${padding}`))).toBe("publish_ack");
  }
  for (const reader of readers) {
    await reader.until(() => (reader.texts.length >= events ? true : undefined));
    expect(reader.texts.map((text) => Number.parseInt(text, 10))).toEqual(
      Array.from({ length: events }, (_, i) => i),
    );
  }
  expect(engine.stats().disconnects).toEqual({ 3510: 1 });
  expect(engine.stats().sessions).toBe(3);
  // Encoded once for the three subscribers of one kind.
  expect(engine.stats().encoded).toEqual([0, 0, 0, events, 0, 0]);
  stuck.resume();
  expect(await stuck.ended()).toBe(0);
  expect(farewellOf(stuck)).toEqual(farewell(3510, "slow consumer"));
  expect(stuck.texts.length).toBeLessThan(events);
});

test("where much waits, answers go ahead of deliveries; where little does, nothing overtakes", async () => {
  const { engine, address } = await start();
  for (const events of [1, 100]) {
    const reader = await subscriber(new GrpcClient(address, true), "room");
    const publisher = client(new GrpcClient(address, true));
    await publisher.request({ connect: {} });
    reader.pause();
    for (let i = 0; i < events; i++) await publisher.publish("room", "x".repeat(60_000));
    const { bytesIn } = engine.stats();
    reader.send({ id: "late", ping: {} });
    await eventually(() => engine.stats().bytesIn > bytesIn);
    await sleep(100);
    reader.resume();
    await reader.until(() => (reader.texts.length >= events ? true : undefined));
    const pong = reader.received.findIndex(({ id }) => id === "late");
    const after = reader.received.slice(pong).filter((one) => envelopeOf(one) === "publication");
    expect(pong).toBeGreaterThan(0);
    if (events === 1) expect(after).toEqual([]);
    else expect(after.length).toBeGreaterThan(events / 2);
    reader.cancel();
  }
});

test("gRPC and gRPC-Web clients of Connect are served as well", async () => {
  const { address } = await start();
  const options = { baseUrl: `http://${address}`, httpVersion: "2" } as const;
  for (const transport of [createGrpcTransport(options), createGrpcWebTransport(options)]) {
    const answered = Promise.withResolvers<void>();
    const input = (async function* () {
      yield { id: "1", envelope: { case: "connect", value: {} } } as const;
      yield { id: "2", envelope: { case: "ping", value: {} } } as const;
      await answered.promise;
    })();
    const kinds = [];
    for await (const { envelope } of createClient(MessagingService, transport).messageLoop(input)) {
      kinds.push(envelope.case);
      if (kinds.length === 2) answered.resolve();
    }
    expect(kinds).toEqual(["connected", "pong"]);
  }
});

test("the application's disconnect ends quiet streams at once and counts", async () => {
  const { engine, address } = await start();
  const clients = [new GrpcClient(address, true), new ConnectClient(address)];
  for (const one of clients) {
    const { connected } = (await client(one).request({ connect: {} })) as {
      connected?: { session_id: string };
    };
    await sleep(50);
    const began = Date.now();
    expect(await engine.disconnect(connected?.session_id ?? "", 3503)).toBe(true);
    expect(await one.ended()).toBe(0);
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(farewellOf(one)).toEqual(farewell(3503, "force disconnect"));
  }
  expect(engine.stats()).toMatchObject({ sessions: 0, disconnects: { 3503: 2 } });
});

test("proto_data reaches a JSON stream in the form that JSON sessions take", async () => {
  const { address } = await start();
  const reader = client(new ConnectClient(address, false));
  await reader.request({
    connect: { capabilities: ["test"], subscriptions: [{ channel: "room" }] },
  });
  const publisher = client(new GrpcClient(address, true));
  await publisher.request({ connect: {} });
  const proto_data = { type_url: "type.example/shop.Order", value: "AQID" };
  const event = { id: "e", source: "/s", type: "t", proto_data };
  const reply = await publisher.request({ channel: "room", publish: event });
  expect(envelopeOf(reply)).toBe("publish_ack");
  const delivered = await reader.until(() =>
    reader.received.find((message) => envelopeOf(message) === "publication"),
  );
  expect(delivered).toMatchObject({
    publication: {
      messages: [
        {
          payload: {
            binary_data: "AQID",
            attributes: { dataschema: { ce_uri: expect.anything() } },
          },
        },
      ],
    },
  });
});

test("clients that vanish in the middle of anything leave nothing, and nothing is logged", async () => {
  const complaints = vi.spyOn(console, "error");
  const { engine, address } = await start();
  for (let i = 0; i < 20; i++) {
    for (const one of [new GrpcClient(address, true), new ConnectClient(address)]) {
      one.send({ id: "c", connect: { subscriptions: [{ channel: "room" }] } });
      for (let k = 0; k < i; k++) {
        one.send({ channel: "room", publish: { id: "e", source: "/s", type: "t" } });
      }
      if (i % 2 === 0) await sleep(i);
      if (i % 3 === 0) one.halfClose();
      else one.cancel();
      cleanups.push(() => one.cancel());
    }
  }
  // One goes while the server waits for it to read.
  const stuck = await subscriber(new GrpcClient(address, true), "room");
  const publisher = client(new GrpcClient(address, true));
  await publisher.request({ connect: {} });
  stuck.pause();
  for (let i = 0; i < 20; i++) await publisher.publish("room", "x".repeat(60_000));
  stuck.cancel();
  publisher.halfClose();
  const empty = { sessions: 0, subscriptions: 0, channels: 0 };
  const look = async () => engine.stats();
  await eventually(look, (stats) => stats.sessions + stats.subscriptions === 0);
  expect(engine.stats()).toMatchObject(empty);
  await sleep(100);
  expect(complaints).not.toHaveBeenCalled();
});

test("a message of JSON that is none ends the stream with invalid_argument", async () => {
  const { address } = await start();
  const { stream, text } = open(address, "application/connect+json");
  stream.write(envelope('{"connect":{}}'));
  stream.write(envelope("{"));
  await event(stream, "end");
  expect(text()).toMatch(/"connected".*"error":\{"code":"invalid_argument"/s);
});

test.each(["application/connect+json", "application/grpc+json", "application/grpc-web+json"])(
  "[SPEC-F4] a repeated key of %s takes its last value, and no form of the client's clock is refused",
  async (contentType) => {
    const { address } = await start();
    const { stream, text } = open(address, contentType);
    stream.write(
      envelope('{"id":"first","id":"c","time":-1,"connect":{},"unknown":{"a":1,"a":2}}'),
    );
    stream.write(envelope('{"id":"p","ping":{},"ping":{},"time":"18446744073709551616"}'));
    await eventually(
      async () => text(),
      (all) => /"id":"c".*"connected".*"id":"p".*"pong"/s.test(all),
    );
    stream.end();
    await event(stream, "end");
  },
);

test.each([
  ["30 February", '{"publish":{"attributes":{"a":{"ce_timestamp":"2024-02-30T00:00:00Z"}}}}'],
  ["a number in hexadecimal", '{"publish":{"attributes":{"a":{"ce_integer":"0x10"}}}}'],
  ["bytes in two alphabets", '{"publish":{"binary_data":"+_AA"}}'],
  ["objects that nest too deep", `{"survey_response":{"error":{"metadata":${nested(60)}}}}`],
  ["text that is not UTF-8", Buffer.from('{"id":"\u00ff","ping":{}}', "latin1")],
])("[SPEC-F4] %s ends a JSON stream as any other message that is none", async (_, message) => {
  const { address } = await start();
  const { stream, text } = open(address, "application/connect+json");
  stream.write(envelope('{"connect":{}}'));
  stream.write(envelope(message));
  await event(stream, "end");
  expect(text()).toMatch(/"connected".*"error":\{"code":"invalid_argument"/s);
});

test.each([
  ["application/grpc", { "grpc-timeout": "30000000S" }],
  ["application/grpc", { "grpc-timeout": "99999999H" }],
  ["application/grpc-web+proto", { "grpc-timeout": "43200M" }],
  ["application/connect+proto", { "connect-timeout-ms": "9999999999" }],
])("%s: a deadline in days ends nothing", async (contentType, headers) => {
  const { engine, address } = await start();
  const { stream } = open(address, contentType, headers as unknown as Record<string, string>);
  // A message with the field connect, empty.
  stream.write(Buffer.from([0, 0, 0, 0, 2, 0x5a, 0]));
  const connected = async () => engine.sessions()[0]?.connected;
  await eventually(connected, (is) => is === true);
  // The library would have ended it after a millisecond.
  await sleep(300);
  expect(await connected()).toBe(true);
  expect(stream.closed).toBe(false);
});

test.each([
  ["application/grpc", "grpc-timeout", "200m"],
  ["application/grpc", "grpc-timeout", "0S"],
  ["application/connect+proto", "connect-timeout-ms", "200"],
])(
  "%s with %s %s: the session ends in time, whatever the client does",
  async (type, name, value) => {
    const { engine, address } = await start();
    const { stream, text, trailers } = open(address, type, { [name]: value });
    await event(stream, "end");
    if (type === "application/grpc") expect(trailers()["grpc-status"]).toBe("4");
    else expect(text()).toContain('"code":"deadline_exceeded"');
    expect(engine.stats().sessions).toBe(0);
    await event(stream, "close");
  },
);

test.each([
  ["application/grpc", "grpc-timeout", "soon"],
  ["application/grpc", "grpc-timeout", "123456789S"],
])("%s with %s %s, which is none, is refused", async (type, name, value) => {
  const { address } = await start();
  const { stream, trailers } = open(address, type, { [name]: value });
  await event(stream, "end");
  expect(trailers()["grpc-status"]).toBe("3");
});

test("a grpc-js client with a deadline of 30 days stays", async () => {
  const { engine, address } = await start();
  const deadline = Date.now() + 30 * 24 * 3_600_000;
  const one = client(new GrpcClient(address, true, { deadline }));
  expect(envelopeOf(await one.request({ connect: {} }))).toBe("connected");
  await sleep(300);
  expect(envelopeOf(await one.request({ ping: {} }))).toBe("pong");
  expect(engine.stats().sessions).toBe(1);
});

test("a server that stops tells every stream to come back", async () => {
  const { server, address } = await start();
  const clients = [new GrpcClient(address, true), new ConnectClient(address)];
  for (const one of clients) await client(one).request({ connect: {} });
  const began = Date.now();
  await server.stop();
  expect(Date.now() - began).toBeLessThan(15_000);
  for (const one of clients) {
    expect(await one.ended()).toBe(0);
    expect(farewellOf(one)).toEqual(farewell(3512, "server going away"));
  }
});

test("what a client sent beyond the end of its stream does not keep the server from stopping", async () => {
  const { server, address } = await start();
  const senders = [new GrpcClient(address, true), new ConnectClient(address)];
  for (const sender of senders) {
    await subscriber(sender, "c");
    sender.send({ channel: "c", publish: { id: "1", source: "/s", type: "t", text_data: BIG } });
    expect(await sender.ended()).toBe(0);
    expect(farewellOf(sender)).toEqual(farewell(1009, "message too big"));
  }
  // Longer than a stream lingers that has ended.
  await sleep(300);
  const began = performance.now();
  await server.stop();
  expect(performance.now() - began).toBeLessThan(15_000);
});

test("with the caller's context: its address is known, and its stream is freed in any case", async () => {
  let address = "";
  const engine = new Engine({
    broker: new MemoryBroker({
      clock,
      random: { epoch: shortId },
      nextTurn: (callback) => {
        setImmediate(callback);
      },
      timers,
    }),
    clock,
    random,
    timers,
    logger: { warn: () => {} },
    capabilities: CAPABILITIES,
    backends: {
      authenticate: async (request) => {
        address = request.address;
        return { userId: "me" };
      },
    },
  });
  const routes = messageLoopRoutes({
    engine,
    connections: new Connections({ limit: 10, sessions: () => engine.sessionCount }),
    maxQueueBytes: MIB,
    clock,
    random,
    logger: { warn: () => {} },
    sessionId: () => random.uuid(),
  });
  const http2 = createHttp2(
    connectNodeAdapter({ routes, contextValues: peerContext(new TrustedProxies()) }),
  );
  const streams = new Set<unknown>();
  http2.on("stream", (one) => {
    streams.add(one);
    one.on("close", () => streams.delete(one));
  });
  await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => http2.close());
  const { port } = http2.address() as AddressInfo;
  const { stream, trailers } = open(`127.0.0.1:${port}`, "application/grpc");
  // A message with the field connect, empty.
  stream.write(Buffer.from([0, 0, 0, 0, 2, 0x5a, 0]));
  await eventually(
    async () => address,
    (seen) => seen !== "",
  );
  expect(address).toBe("127.0.0.1");
  await eventually(
    async () => engine.sessions()[0]?.connected,
    (connected) => connected === true,
  );
  for (const session of engine.sessions()) session.close({ code: 3503, reason: "" });
  // The client never ends its half.
  await event(stream, "close");
  expect(trailers()["grpc-status"]).toBe("0");
  expect(stream.rstCode).toBe(0);
  await eventually(
    async () => streams.size,
    (size) => size === 0,
  );
});

/** A call by hand, whose own half stays open. */
function open(address: string, contentType: string, headers: Record<string, string> = {}) {
  const session = connectHttp2(`http://${address}`);
  cleanups.push(() => session.destroy());
  const stream = session.request(
    { ":method": "POST", ":path": PATH, "content-type": contentType, te: "trailers", ...headers },
    { endStream: false },
  );
  let text = "";
  let trailers: IncomingHttpHeaders = {};
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text += chunk;
  });
  // A stream that ends with its first headers has no trailers.
  stream.on("response", (received) => {
    trailers = received;
  });
  stream.on("trailers", (received) => {
    trailers = received;
  });
  return { stream, text: () => text, trailers: () => trailers };
}

async function event(stream: ClientHttp2Stream, name: "end" | "close"): Promise<void> {
  await once(stream, name, { signal: AbortSignal.timeout(15_000) });
}

function nested(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

/** A message with the prefix of a stream. */
function envelope(text: string | Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}
