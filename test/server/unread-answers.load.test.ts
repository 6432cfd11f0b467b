/** A client that asks and does not read is closed with 3510, and never costs more than its queue. */
import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import type { Writable } from "node:stream";
import { fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { eventually, sleep } from "../support/eventually.ts";
import { type ChildServer, startChild } from "./child.ts";
import { frameOf, upgraded } from "./raw.ts";

const MIB = 1024 * 1024;
const QUEUE_BYTES = 8 * MIB;
/** What a process may grow by beside the queue. */
const SLACK_BYTES = 20 * MIB;
const CHANNEL = "big";
const EVENT = { id: "e", source: "/test", type: "t", text_data: "x".repeat(60_000) };

/** Every way to ask for an answer, and how often in one round: small answers take more of them. */
const WAYS: readonly (readonly [what: string, ask: JsonObject | "ping", times: number])[] = [
  ["rpc", { rpc_request: EVENT }, 10],
  ["history", { history_request: { channel: CHANNEL, limit: 1 } }, 20],
  ["presence", { presence_request: { channel: CHANNEL } }, 2_000],
  ["survey", { survey_request: { request_id: "r", payload: EVENT } }, 10],
  ["ping", { ping: {} }, 6_000],
  ["sub_refresh", { sub_refresh: { channels: [CHANNEL] } }, 6_000],
];

/** A client that sends whatever it is given, and reads nothing once it has been told to stop. */
interface Deaf {
  /** Asks the same so many times at once. */
  send(ask: JsonObject | "ping", times?: number): Promise<void>;
  /** Bytes that it has read. */
  heard(): number;
  deafen(): void;
  destroy(): void;
}

function inbound(ask: JsonObject): JsonObject {
  return { id: "1", channel: CHANNEL, method: "m", ...ask };
}

async function webSocket({ ports }: ChildServer): Promise<Deaf> {
  const socket = await upgraded(ports.websocket);
  const heard = countOf(socket);
  return {
    async send(ask, times) {
      const frame = frameOf(typeof ask === "string" ? ask : JSON.stringify(inbound(ask)));
      if (!socket.write(repeated(frame, times))) await drained(socket);
    },
    heard,
    deafen: () => socket.pause(),
    destroy: () => socket.destroy(),
  };
}

async function gRpc({ ports }: ChildServer): Promise<Deaf> {
  const session = connectHttp2(`http://127.0.0.1:${ports.grpc}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  const stream: ClientHttp2Stream = session.request({
    ":method": "POST",
    ":path": "/messageloop.v1.MessagingService/MessageLoop",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const heard = countOf(stream);
  return {
    async send(ask, times) {
      // A stream has no text frames.
      const plain = inbound(typeof ask === "string" ? { ping: {} } : ask);
      const bytes = toBinary(InboundMessageSchema, fromJson(InboundMessageSchema, plain));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(bytes.length, 1);
      if (!stream.write(repeated(Buffer.concat([prefix, bytes]), times))) await drained(stream);
    },
    heard,
    deafen: () => stream.pause(),
    destroy: () => session.destroy(),
  };
}

function repeated(bytes: Buffer, times = 1): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}

/** Reads, and counts what there is. */
function countOf(stream: NodeJS.ReadableStream): () => number {
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.resume();
  return () => bytes;
}

/** Resolves when nothing has come for a while. */
async function quiet(client: Deaf): Promise<void> {
  let before = -1;
  await eventually(
    async () => {
      const same = client.heard() === before;
      before = client.heard();
      await sleep(100);
      return same;
    },
    (same) => same,
    60_000,
  );
}

/** Resolves when a stream takes more, or after a while: the server may read no longer. */
async function drained(stream: Writable): Promise<void> {
  const patience = AbortSignal.timeout(500);
  await once(stream, "drain", { signal: patience }).catch(() => {});
}

async function connected(deaf: Deaf): Promise<void> {
  const connect = {
    client_id: "deaf",
    capabilities: ["history", "presence"],
    subscriptions: [{ channel: CHANNEL }],
  };
  await deaf.send({ connect });
  await eventually(async () => deaf.heard(), Boolean);
}

/** Bytes of a process, as the system counts them and as the language does. */
async function sizeOf(server: ChildServer): Promise<{ system: number; own: number }> {
  const { rss, heapUsed, external } = await server.memory();
  return { system: rss, own: heapUsed + external };
}

test.each([
  ["WebSocket", webSocket],
  ["gRPC", gRpc],
])(
  "over %s a client that asks in every way and never reads is closed, within its bound",
  async (kind, open) => {
    const server = await startChild({ limits: { queue_bytes: QUEUE_BYTES } });
    const closed = async () => (await server.stats()).disconnects["3510"] ?? 0;
    // The same by a client that reads, so that the process has all that the work itself takes.
    const honest = await open(server);
    await connected(honest);
    await honest.send({ publish: EVENT });
    for (const [, ask, times] of WAYS) {
      for (let i = 0; i < 5; i++) await honest.send(ask, times);
      await quiet(honest);
    }
    const before = await sizeOf(server);
    const ways = kind === "gRPC" ? WAYS : [...WAYS, ["ping text", "ping", 50_000] as const];
    for (const [index, [what, ask, times]] of ways.entries()) {
      const deaf = await open(server);
      await connected(deaf);
      deaf.deafen();
      for (let rounds = 0; (await closed()) <= index; rounds++) {
        expect(rounds, `${what} is not closed`).toBeLessThan(400);
        await deaf.send(ask, times);
        if (rounds % 5 > 0) continue;
        const grown = async (kind: "own" | "system") => (await sizeOf(server))[kind] - before[kind];
        const bound = QUEUE_BYTES + SLACK_BYTES;
        expect(await grown("own"), `${what}: own memory`).toBeLessThan(bound);
        // What a collection has freed goes back to the system a while after it.
        const message = `${what}: memory`;
        await expect.poll(() => grown("system"), { message, timeout: 5_000 }).toBeLessThan(bound);
      }
      deaf.destroy();
    }
  },
  180_000,
);
