/** permessage-deflate of the self-hosted server, over real sockets. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import type { Backends } from "../../../src/engine/ports/backends.ts";
import { parseConfig } from "../../../src/server/config/config.ts";
import { createServer, type Server } from "../../../src/server/server.ts";
import { Client, texts } from "../../support/client.ts";
import { eventually, sleep } from "../../support/eventually.ts";
import { frameOf, gone, upgraded } from "../raw.ts";

const LISTENER = { addr: "127.0.0.1:0" };
const OFFER = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const TERMS = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/** Says of a frame that it is compressed. */
const RSV1 = 0x40;
const MAX_BYTES = 65_536;
const CONNECT = JSON.stringify({ id: "c", connect: { client_id: "x", capabilities: ["test"] } });

function serverWith(
  compression: boolean,
  limits: Readonly<Record<string, unknown>> = {},
  backends: Backends = {},
): Server {
  return createServer({
    backends,
    config: parseConfig({
      server: { http: LISTENER },
      transport: { websocket: { ...LISTENER, compression }, grpc: LISTENER },
      limits,
    }),
  });
}

let server: Server;
let port: number;

beforeAll(async () => {
  server = serverWith(true);
  port = (await server.start()).websocket;
});

afterAll(() => server.stop());

/** What a server answers to an offer, and the socket. */
async function offered(
  at: number,
  offer: string | undefined,
): Promise<{ readonly answer: string | undefined; readonly socket: WebSocket }> {
  const socket = new WebSocket(`ws://127.0.0.1:${at}/ws`, ["messageloop+json"], {
    perMessageDeflate: false,
    headers: offer === undefined ? {} : { "Sec-WebSocket-Extensions": offer },
  });
  onTestFinished(() => socket.terminate());
  // The library takes no answer to what it has not offered itself.
  socket.on("error", () => {});
  const [response] = (await once(socket, "upgrade")) as [{ headers: Record<string, string> }];
  return { answer: response.headers["sec-websocket-extensions"], socket };
}

/** A client of the library that compresses everything that it sends, if that is agreed. */
async function compressing(options: object = {}, at = port): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`ws://127.0.0.1:${at}/ws`, ["messageloop+json"], {
    perMessageDeflate: { threshold: 0, ...options },
  });
  onTestFinished(() => socket.terminate());
  await once(socket, "open");
  expect(socket.extensions).toBe("permessage-deflate");
  return new Client(socket, { encoding: "json", extended: true });
}

interface ReceivedFrame {
  readonly first: number;
  readonly payload: Buffer;
}

/** Reads frames of a server one by one. */
function framesOf(socket: Socket): () => Promise<ReceivedFrame> {
  let buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
  });
  socket.resume();
  const taken = (): ReceivedFrame | undefined => {
    const short = buffer[1] ?? 0;
    const header = short === 126 ? 4 : 2;
    // None of what these tests get is longer than 64 KiB.
    if (buffer.length < header) return undefined;
    const end = header + (short === 126 ? buffer.readUInt16BE(2) : short);
    if (buffer.length < end) return undefined;
    const frame = { first: buffer[0] ?? 0, payload: buffer.subarray(header, end) };
    buffer = buffer.subarray(end);
    return frame;
  };
  return async () => {
    const frame = await eventually(
      async () => taken(),
      (each) => each !== undefined,
    );
    return frame as ReceivedFrame;
  };
}

function inflated(payload: Buffer): string {
  const whole = Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]);
  return inflateRawSync(whole, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
}

function deflated(message: string | Buffer): Buffer {
  return deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function subscribe(channel: string): string {
  return JSON.stringify({ id: "s", subscribe: { subscriptions: [{ channel }] } });
}

/** A client by hand that reads a channel, and has got its two answers. */
async function reader(channel: string, headers: string): Promise<() => Promise<ReceivedFrame>> {
  const socket = await upgraded(port, headers);
  const next = framesOf(socket);
  socket.write(Buffer.concat([frameOf(CONNECT), frameOf(subscribe(channel))]));
  expect((await next()).payload.toString()).toContain('"connected"');
  expect((await next()).payload.toString()).toContain('"subscribe_ack"');
  return next;
}

async function publisher(): Promise<Client<WebSocket>> {
  const client = await compressing();
  await client.connect({ clientId: "publisher" });
  return client;
}

test("nothing is agreed where the deployment does not say so", async () => {
  const plain = serverWith(false);
  onTestFinished(() => plain.stop());
  const at = (await plain.start()).websocket;
  expect((await offered(at, "permessage-deflate")).answer).toBeUndefined();
  const raw = await upgraded(at, OFFER);
  raw.write(frameOf(deflated(CONNECT), 1 | RSV1));
  const { first, payload } = await framesOf(raw)();
  expect([first, payload.readUInt16BE(0)]).toEqual([0x88, 1002]);
});

test("an offer is answered with the terms, and declined without an error", async () => {
  expect((await offered(port, "permessage-deflate; client_max_window_bits")).answer).toBe(TERMS);
  expect((await offered(port, undefined)).answer).toBeUndefined();
  for (const offer of ["permessage-deflate; server_max_window_bits=10", "a b", "x; y=,"]) {
    const { answer, socket } = await offered(port, offer);
    expect(answer).toBeUndefined();
    await eventually(
      async () => socket.readyState,
      (state) => state === WebSocket.OPEN,
    );
    const client = new Client(socket, { encoding: "json", extended: true });
    expect((await client.connect({ clientId: "x" })).envelope.case).toBe("connected");
  }
});

test("one compressed frame serves all, beside the plain one, and short frames are plain", async () => {
  const channel = "deflate.shared";
  const readers = await Promise.all([
    reader(channel, OFFER),
    reader(channel, OFFER.replace("deflate\r", "deflate; client_no_context_takeover\r")),
    reader(channel, ""),
  ]);
  const from = await publisher();
  await from.publish(channel, "short");
  for (const next of readers) {
    const { first, payload } = await next();
    expect([first, payload.toString()]).toEqual([0x81, expect.stringContaining("short")]);
  }
  const long = "long and long and ".repeat(100);
  // What is compressed twice differs in nothing: no window is kept.
  for (let i = 0; i < 2; i++) {
    await from.publish(channel, `${long}${i}`);
    const [one, other, plain] = await Promise.all(readers.map((next) => next()));
    expect([one?.first, other?.first, plain?.first]).toEqual([0x81 | RSV1, 0x81 | RSV1, 0x81]);
    expect(one?.payload).toEqual(other?.payload);
    expect(one?.payload.length).toBeLessThan(400);
    expect(inflated(one?.payload as Buffer)).toBe(plain?.payload.toString());
    expect(plain?.payload.toString()).toContain(`${long}${i}`);
  }
});

test("what compression would not make smaller is plain", async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ["messageloop+proto"]);
  onTestFinished(() => socket.terminate());
  await once(socket, "open");
  const client = new Client<WebSocket>(socket, { encoding: "proto", extended: true });
  await client.connect({ clientId: "x" });
  await client.subscribe("deflate.noise");
  const wire = (socket as unknown as { _socket: Socket })._socket;
  const before = wire.bytesRead;
  const noise = randomBytes(4_096);
  const value = {
    id: "1",
    source: "/t",
    type: "t",
    data: { case: "binaryData" as const, value: noise },
  };
  await client.request({ channel: "deflate.noise", envelope: { case: "publish", value } });
  await client.until(() => client.messages[0]);
  expect(Buffer.from(client.messages[0]?.payload?.data.value as Uint8Array)).toEqual(noise);
  expect(wire.bytesRead - before).toBeGreaterThan(4_096);
});

test.each([
  { serverNoContextTakeover: false, clientMaxWindowBits: false },
  { clientNoContextTakeover: true },
  { serverNoContextTakeover: true, clientMaxWindowBits: 9 },
  { serverMaxWindowBits: 15, clientMaxWindowBits: 15 },
])("a client of the library that offers %j is understood and understands", async (options) => {
  const client = await compressing(options);
  await client.connect({ clientId: "x" });
  const channel = `deflate.offer.${JSON.stringify(options).length}`;
  await client.subscribe(channel);
  const sent = ["short", "again and again ".repeat(200), "again and again ".repeat(200), "äöü"];
  for (const text of sent) await client.publish(channel, text);
  await client.until(() => client.messages[sent.length - 1]);
  expect(texts(client.messages)).toEqual(sent);
});

/** Ways to send a message compressed, as frames. */
const WAYS: Readonly<Record<string, (text: string) => readonly Buffer[]>> = {
  whole: (text) => [frameOf(deflated(text), 1 | RSV1)],
  "in fragments, with ping and an empty one between": (text) => {
    const bytes = deflated(text);
    return [
      frameOf(bytes.subarray(0, 5), 1 | RSV1, false),
      frameOf("", 9),
      frameOf("", 0, false),
      frameOf(bytes.subarray(5, 6), 0, false),
      frameOf(bytes.subarray(6), 0),
    ];
  },
  "as stored bytes": (text) => {
    const flush = { level: 0, finishFlush: constants.Z_SYNC_FLUSH };
    return [frameOf(deflateRawSync(text, flush).subarray(0, -4), 1 | RSV1)];
  },
  "with a last block": (text) => [
    frameOf(Buffer.concat([deflateRawSync(text), Buffer.from([0])]), 1 | RSV1),
  ],
  "in two blocks": (text) => {
    const flush = { finishFlush: constants.Z_SYNC_FLUSH };
    const blocks = [text.slice(0, 9), text.slice(9)].map((part) => deflateRawSync(part, flush));
    return [frameOf(Buffer.concat(blocks).subarray(0, -4), 1 | RSV1)];
  },
  "plain, as every message may be": (text) => [frameOf(text)],
};

test.each(Object.entries(WAYS))("a message is taken %s", async (_name, frames) => {
  const socket = await upgraded(port, OFFER);
  const next = framesOf(socket);
  socket.write(Buffer.concat(frames(CONNECT)));
  let frame = await next();
  if (frame.first === 0x8a) frame = await next();
  expect([frame.first, frame.payload.toString()]).toEqual([
    0x81,
    expect.stringContaining('"connected"'),
  ]);
  // The next message begins with an empty window.
  socket.write(Buffer.concat([frameOf(deflated("ping"), 1 | RSV1)]));
  expect((await next()).payload.toString()).toBe("pong");
});

test("an empty compressed message is an empty message", async () => {
  const refusal = async (empty: Buffer): Promise<unknown> => {
    const socket = await upgraded(port, OFFER);
    const next = framesOf(socket);
    socket.write(frameOf(CONNECT));
    expect((await next()).payload.toString()).toContain('"connected"');
    socket.write(empty);
    return (JSON.parse((await next()).payload.toString()) as { error: unknown }).error;
  };
  const error = await refusal(frameOf(""));
  expect(error).toBeTruthy();
  expect(await refusal(frameOf(Buffer.from([0]), 1 | RSV1))).toEqual(error);
  expect(await refusal(frameOf("", 1 | RSV1))).toEqual(error);
});

/** A ping of so many bytes, padded by spaces in a request. */
function padded(bytes: number): string {
  const text = JSON.stringify({ id: "p", ping: {} });
  return text.replace("{}", `{${" ".repeat(bytes - text.length)}}`);
}

test("a message of max_message_bytes passes, one byte more closes with 1009", async () => {
  const socket = await upgraded(port, OFFER);
  const next = framesOf(socket);
  socket.write(frameOf(CONNECT));
  expect((await next()).payload.toString()).toContain('"connected"');
  socket.write(frameOf(deflated(padded(MAX_BYTES)), 1 | RSV1));
  expect((await next()).payload.toString()).toContain('"pong"');
  socket.write(frameOf(deflated(padded(MAX_BYTES + 1)), 1 | RSV1));
  const ended = gone(socket);
  const { first, payload } = await next();
  const reason = payload.subarray(2).toString();
  expect([first, payload.readUInt16BE(0), reason]).toEqual([0x88, 1009, "message too big"]);
  await ended;
});

test("of a message that would be far too long no more is made than the bound", async () => {
  const before = process.memoryUsage();
  const bytes = deflated(" ".repeat(60_000_000));
  expect(bytes.length).toBeLessThan(MAX_BYTES);
  const sockets = await Promise.all(Array.from({ length: 20 }, () => upgraded(port, OFFER)));
  for (const socket of sockets) {
    socket.write(Buffer.concat([frameOf(CONNECT), frameOf(bytes, 1 | RSV1)]));
  }
  for (const socket of sockets) {
    const next = framesOf(socket);
    let frame = await next();
    while (frame.first !== 0x88) frame = await next();
    expect(frame.payload.readUInt16BE(0)).toBe(1009);
  }
  const { arrayBuffers } = process.memoryUsage();
  expect(arrayBuffers - before.arrayBuffers).toBeLessThan(30_000_000);
});

test("nothing more is made whole of a client that is not read, though all of it has arrived", async () => {
  const gate = Promise.withResolvers<void>();
  const rpc = async () => {
    await gate.promise;
    return undefined;
  };
  const waiting = serverWith(true, {}, { rpc });
  onTestFinished(() => waiting.stop());
  const socket = await upgraded((await waiting.start()).websocket, OFFER);
  const next = framesOf(socket);
  // A v1 client: an extended one would be sent errors for requests beyond its share.
  socket.write(frameOf(JSON.stringify({ id: "c", connect: { client_id: "x" } })));
  expect((await next()).payload.toString()).toContain('"connected"');
  const { engine } = waiting;
  const payload = { id: "1", source: "/t", type: "t", text_data: "x".repeat(32_768) };
  const bytes = 3 * (engine.settings.maxOpenRequestBytes / 2);
  const count = Math.ceil(bytes / 32_768);
  const requests = Array.from({ length: count }, (_, i) => {
    const request = { id: `r${i}`, channel: "c", method: "m", rpc_request: payload };
    return frameOf(deflated(JSON.stringify(request)), 1 | RSV1);
  });
  const arrives = Buffer.concat(requests);
  // One read of the socket has it all.
  expect(arrives.length).toBeLessThan(32_768);
  socket.write(arrives);
  await sleep(500);
  expect(engine.stats().bytesIn).toBeLessThan((2 * bytes) / 3);
  gate.resolve();
  for (let i = 0; i < count; i++) expect((await next()).payload.toString()).toContain("rpc_reply");
  expect(engine.stats().bytesIn).toBeGreaterThan(bytes);
});

test("what has arrived before the connection ended is taken", async () => {
  const socket = await upgraded(port, OFFER);
  socket.write(frameOf(CONNECT));
  expect((await framesOf(socket)()).payload.toString()).toContain('"connected"');
  const published = (): number => server.engine.stats().published;
  const before = published();
  const sessions = server.engine.sessionCount;
  const publishes = Array.from({ length: 100 }, (_, i) => {
    const publish = { id: `${i}`, source: "/t", type: "t", text_data: "x".repeat(20_000) };
    const request = { id: `p${i}`, channel: "deflate.gone", publish };
    return frameOf(deflated(JSON.stringify(request)), 1 | RSV1);
  });
  socket.end(Buffer.concat(publishes));
  await eventually(published, (count) => count === before + 100);
  await eventually(
    () => server.engine.sessionCount,
    (count) => count < sessions,
  );
});

test("a client that does not read is closed by what waits for it, and all that it gets is whole", async () => {
  const channel = "deflate.slow";
  const slow = serverWith(true, { queue_bytes: 65_536 });
  onTestFinished(() => slow.stop());
  const at = (await slow.start()).websocket;
  const socket = await upgraded(at, OFFER);
  socket.write(Buffer.concat([frameOf(CONNECT), frameOf(subscribe(channel))]));
  const from = await compressing({}, at);
  await from.connect({ clientId: "publisher" });
  const disconnects = (): number => slow.engine.stats().disconnects[3510] ?? 0;
  let count = 0;
  for (; disconnects() === 0 && count < 1_000; count++) {
    // Three quarters of it are left.
    await from.publish(channel, randomBytes(24_000).toString("base64"));
  }
  expect(disconnects()).toBe(1);
  const next = framesOf(socket);
  expect((await next()).payload.toString()).toContain('"connected"');
  expect((await next()).payload.toString()).toContain('"subscribe_ack"');
  let offset = 0;
  for (;;) {
    const { first, payload } = await next();
    if (first === 0x88) {
      expect(payload.readUInt16BE(0)).toBe(3510);
      break;
    }
    const text = first === 0x81 ? payload.toString() : inflated(payload);
    const { publication } = JSON.parse(text) as {
      publication?: { messages: { offset: string }[] };
    };
    for (const message of publication?.messages ?? []) {
      offset += 1;
      expect(message.offset).toBe(`${offset}`);
    }
  }
  expect(offset).toBeGreaterThan(0);
  expect(offset).toBeLessThanOrEqual(count);
});

test.each([
  ["no compressed data", frameOf(Buffer.from([0xff, 0xff, 0xff]), 1 | RSV1), 1007],
  ["data that ends too early", frameOf(deflated(CONNECT).subarray(0, -3), 1 | RSV1), 1007],
  ["text that is not UTF-8", frameOf(deflated(Buffer.from([0xc3, 0x28])), 1 | RSV1), 1007],
  [
    "RSV1 in a continuation",
    Buffer.concat([
      frameOf(deflated(CONNECT).subarray(0, 4), 1 | RSV1, false),
      frameOf(deflated(CONNECT).subarray(4), RSV1),
    ]),
    1002,
  ],
  ["RSV1 in a ping", frameOf("", 9 | RSV1), 1002],
])("%s closes", async (_name, bytes, code) => {
  const socket = await upgraded(port, OFFER);
  const next = framesOf(socket);
  const ended = gone(socket);
  socket.write(bytes);
  const { first, payload } = await next();
  expect([first, payload.readUInt16BE(0)]).toEqual([0x88, code]);
  await ended;
});
