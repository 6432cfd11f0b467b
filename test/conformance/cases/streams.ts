/** Bidirectional streams, with a gRPC client made of the .proto files alone and with one of Connect. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { codecFor } from "../../../src/protocol/codec.ts";
import { texts } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import {
  ConnectClient,
  envelopeOf,
  farewell,
  farewellOf,
  GrpcClient,
  PATH,
  type StreamClient,
} from "../../support/stream-client.ts";
import { frameOf, vectors } from "../../support/vectors.ts";
import { type Case, type Context, KINDS } from "../case.ts";
import { TIGHT } from "../variants.ts";

/** "At once", as far as a busy machine keeps it: nothing else ends a stream as soon as that. */
const AT_ONCE_MS = 5_000;

export type StreamKind = "grpc" | "connect" | "json";
const KINDS_OF_STREAM = ["grpc", "connect"] as const;

/** A body with streams to open, which are cut in the end. */
export async function streaming(
  context: Context,
  body: (open: (kind: StreamKind) => StreamClient) => Promise<void>,
): Promise<void> {
  const clients: StreamClient[] = [];
  try {
    await body((kind) => {
      const client =
        kind === "grpc"
          ? new GrpcClient(context.grpc, !context.kind.extended)
          : new ConnectClient(context.grpc, kind === "connect");
      clients.push(client);
      return client;
    });
  } finally {
    for (const client of clients) client.cancel();
  }
}

/** The same body with each kind of stream. */
async function each(
  context: Context,
  body: (open: () => StreamClient, kind: StreamKind) => Promise<void>,
): Promise<void> {
  for (const kind of KINDS_OF_STREAM) {
    await streaming(context, (open) => body(() => open(kind), kind));
  }
}

const STREAM = { kinds: KINDS.filter(({ encoding }) => encoding === "proto") };
const OBSERVES = ["grpc"] as const;
const event = { id: "e", source: "/s", type: "t" };

/**
 * Sends raw bytes on a stream of its own connection, which it cuts in the end. Resolves with the first
 * message that comes back, as it came.
 */
export async function firstAnswer(address: string, frame: Uint8Array): Promise<Buffer> {
  const session = connectHttp2(`http://${address}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": PATH,
      "content-type": "application/grpc",
      te: "trailers",
    });
    return await new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      stream.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (received.length >= 5 && received.length >= 5 + received.readUInt32BE(1)) {
          resolve(received);
        }
      });
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("the stream ended without an answer")));
      stream.write(frame);
    });
  } finally {
    session.destroy();
  }
}

export const streamCases: readonly Case[] = [
  ...vectors("client_to_server")
    .filter(({ name }) => name.startsWith("grpc."))
    .map((vector) => ({
      ...STREAM,
      observes: OBSERVES,
      rules: ["G1", "S7"],
      title: `frame ${vector.name}`,
      async run({ grpc }: Context) {
        const answer = await firstAnswer(grpc, frameOf(vector) as Uint8Array);
        assert.equal(answer[0], 0);
        const { id, envelope } = codecFor("proto").decodeOutbound(
          new Uint8Array(answer.subarray(5)),
        );
        assert.equal(vector.expect, "pong on the stream");
        assert.equal(envelope.case, "pong");
        assert.equal(id, (vector.decoded as { id: string }).id);
      },
    })),
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G1", "P3", "S7", "R1"],
    title:
      "gRPC, Connect and WebSocket clients are sessions alike and hear each other in one order",
    async run(context) {
      await streaming(context, async (open) => {
        const channel = context.channel();
        const subscriptions = [{ channel }];
        const grpc = open("grpc");
        const connect = open("connect");
        const json = open("json");
        assert.equal(envelopeOf(await grpc.connect(context)), "connected");
        const subscribed = await grpc.request({ subscribe: { subscriptions } });
        assert.equal(envelopeOf(subscribed), "subscribe_ack");
        for (const client of [connect, json]) {
          const reply = await client.connect(context, { subscriptions });
          assert.equal(envelopeOf(reply), "connected");
        }
        const socket = await context.subscriber(channel);
        const expected = ["0 grpc", "1 connect", "2 json", "3 websocket"];
        for (const [index, client] of [grpc, connect, json].entries()) {
          const reply = await client.publish(channel, expected[index] ?? "");
          assert.equal(envelopeOf(reply), "publish_ack");
        }
        await socket.publish(channel, "3 websocket");
        for (const client of [grpc, connect, json]) {
          await client.until(() => (client.texts.length >= 4 ? true : undefined));
          assert.deepEqual(client.texts, expected);
          assert.equal(envelopeOf(await client.request({ ping: {} })), "pong");
          assert.equal(envelopeOf(await client.rpc("echo", "x")), "rpc_reply");
        }
        assert.deepEqual(texts(await socket.received(4)), expected);
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G2", "S1", "S2"],
    title: "a disconnect is the last message, with its code, and ends the stream at once with OK",
    async run(context) {
      await each(context, async (open) => {
        const early = open();
        early.send({ channel: "a", publish: event });
        assert.equal(await early.ended(AT_ONCE_MS), 0);
        assert.equal(early.received.length, 1);
        assert.deepEqual(farewellOf(early), farewell(3502, "stale"));
        const twice = open();
        await twice.connect(context);
        twice.send({ connect: {} });
        assert.equal(await twice.ended(AT_ONCE_MS), 0);
        assert.deepEqual(farewellOf(twice), farewell(3501, "bad request"));
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G2", "S12"],
    server: "backend",
    title: "a quiet client that the application disconnects finds its stream ended at once",
    async run(context) {
      await each(context, async (open) => {
        const client = open();
        await client.connect(context, { capabilities: context.kind.extended ? ["control"] : [] });
        const options = JSON.stringify({ code: 4001, reason: "enough" });
        const rpc = { ...event, text_data: options };
        // Nothing is sent behind it, so that nothing but the server can end the stream.
        client.send({ id: "last", method: "disconnect", rpc_request: rpc });
        assert.equal(await client.ended(AT_ONCE_MS), 0);
        assert.deepEqual(farewellOf(client), farewell(4001, "enough"));
        assert.equal(
          client.received.some((message) => envelopeOf(message) === "disconnect"),
          context.kind.extended,
        );
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G2", "S3"],
    server: "tight",
    title: "a stream without a first message ends with 3502 at the connect deadline",
    async run(context) {
      await each(context, async (open) => {
        const client = open();
        assert.equal(await client.ended(TIGHT.connectDeadlineMs + 5_000), 0);
        assert.deepEqual(farewellOf(client), farewell(3502, "stale"));
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G2", "T8"],
    server: "full",
    title: "a server that is full ends a stream with 3504 and takes more later",
    async run(context) {
      await each(context, async (open) => {
        const clients = [];
        for (let i = 0; i < TIGHT.connections; i++) {
          const client = open();
          await client.connect(context);
          clients.push(client);
        }
        const refused = open();
        assert.equal(await refused.ended(AT_ONCE_MS), 0);
        assert.deepEqual(farewellOf(refused), farewell(3504, "connection limit"));
        assert.equal((await clients[0]?.request({ ping: {} })) !== undefined, true);
        for (const client of clients) client.halfClose();
        for (const client of clients) assert.equal(await client.ended(), 0);
        assert.equal(envelopeOf(await open().connect(context)), "connected");
      });
      if (context.server.stats === undefined) return;
      await eventually(
        () => context.stats(),
        ({ sessions }) => sessions === 0,
      );
    },
  },
  {
    ...STREAM,
    observes: ["grpc", "stats"],
    rules: ["G3", "S8"],
    title: "half-close and cancel end the session; the server adds nothing and ends with OK",
    async run(context) {
      await each(context, async (open) => {
        const subscriptions = [{ channel: context.channel() }];
        const closing = open();
        const cancelling = open();
        for (const client of [closing, cancelling])
          await client.connect(context, { subscriptions });
        closing.halfClose();
        assert.equal(await closing.ended(AT_ONCE_MS), 0);
        cancelling.cancel();
        // The client's own word for it.
        assert.equal(await cancelling.ended(AT_ONCE_MS), 1);
        for (const client of [closing, cancelling]) {
          assert.deepEqual(client.received.map(envelopeOf), ["connected"]);
        }
        await eventually(
          () => context.stats(),
          ({ sessions, subscriptions: left }) => sessions + left === 0,
        );
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G4", "E1"],
    title: "a request that fails leaves the stream open; bytes that are no message end it",
    async run(context) {
      await each(context, async (open, kind) => {
        const client = open();
        await client.connect(context);
        for (const channel of ["a..b", "", "*"]) {
          const reply = await client.request({ channel, publish: { ...event, source: "" } });
          assert.equal(envelopeOf(reply), "error");
        }
        assert.equal(envelopeOf(await client.request({ ping: {} })), "pong");
        if (!(client instanceof GrpcClient)) return;
        // Field 99, which nobody knows, is no mistake.
        client.sendRaw(new Uint8Array([0x9a, 0x06, 0x01, 0x00]));
        assert.equal(envelopeOf(await client.request({ ping: {} })), "pong");
        for (const bytes of [
          [0xff, 0xff],
          [10, 5, 1],
          // A client id that is longer than the connect around it.
          [0x5a, 0x02, 0x0a, 0x7f],
        ]) {
          const broken = open() as GrpcClient;
          await broken.connect(context);
          broken.sendRaw(new Uint8Array(bytes));
          assert.equal(await broken.ended(AT_ONCE_MS), 13, kind);
          assert.deepEqual(broken.received.map(envelopeOf), ["connected"]);
        }
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["G5"],
    title: "a message beyond max_message_bytes ends the stream with 1009, whatever its length",
    async run(context) {
      await each(context, async (open) => {
        for (const bytes of [65_536, 200_000, 5_000_000]) {
          const client = open();
          await client.connect(context);
          const fits = await client.publish(context.channel(), "x".repeat(65_000));
          assert.equal(envelopeOf(fits), "publish_ack");
          client.send({ channel: "a", publish: { ...event, text_data: "x".repeat(bytes) } });
          assert.equal(await client.ended(), 0);
          assert.deepEqual(farewellOf(client), farewell(1009, "message too big"));
        }
      });
    },
  },
  {
    ...STREAM,
    observes: OBSERVES,
    rules: ["R4", "S9"],
    server: "backend",
    title: "a slow RPC on a stream delays neither ping nor publish",
    async run(context) {
      await each(context, async (open) => {
        const client = open();
        await client.connect(context);
        const slow = client.rpc("slow", "1500");
        const began = Date.now();
        assert.equal(envelopeOf(await client.request({ ping: {} })), "pong");
        assert.equal(envelopeOf(await client.publish(context.channel(), "x")), "publish_ack");
        assert.equal(envelopeOf(await slow), "rpc_reply");
        assert.ok(Date.now() - began >= 1_400);
        // By the order of arrival: what comes while this process has no turn is seen at once.
        assert.deepEqual(client.received.slice(-3).map(envelopeOf), [
          "pong",
          "publish_ack",
          "rpc_reply",
        ]);
      });
    },
  },
  {
    kinds: STREAM.kinds.slice(0, 1),
    observes: OBSERVES,
    rules: ["G6"],
    title: "over HTTP/1.1 the call is refused at once, in the protocol's own way",
    async run(context) {
      const types = ["connect+proto", "connect+json", "grpc-web+proto"];
      for (const type of types) {
        const { status, text } = await callHttp1(context, `application/${type}`);
        assert.equal(status, 200);
        assert.match(text, /WebSocket/, type);
        assert.match(text, type.startsWith("connect") ? /"unimplemented"/ : /grpc-status: ?12/i);
      }
      const { status, text } = await callHttp1(context, "text/plain");
      assert.equal(status, 505);
      assert.match(text, /HTTP\/2.*WebSocket/);
    },
  },
];

/** A call whose own half stays open, as a client that expects both directions makes it. */
async function callHttp1(
  context: Context,
  contentType: string,
): Promise<{ status: number; text: string }> {
  const url = new URL(PATH, context.server.url.replace(/^ws/, "http"));
  const signal = AbortSignal.timeout(AT_ONCE_MS);
  return await new Promise((resolve, reject) => {
    const headers = { "content-type": contentType };
    const call = httpRequest(url, { method: "POST", headers, signal }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, text });
        call.destroy();
      });
    });
    call.on("error", reject);
    call.write(new Uint8Array([0, 0, 0, 0, 2, 0x7a, 0]));
  });
}
