/** The frames of v0.1.1: what its clients send causes what it caused there, corrected where SPEC.md says so. */
import assert from "node:assert/strict";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { codecFor } from "../../../src/protocol/codec.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
  type OutboundMessage,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, kindOf, valueAs } from "../../support/client.ts";
import { frameOf, type Vector, vectors } from "../../support/vectors.ts";
import { type Case, type Context, V1 } from "../case.ts";

const [JSON_V1, PROTO_V1] = V1;

/** What the reference does, by the words its description begins with. */
const REACTIONS: readonly [RegExp, string][] = [
  [/^connected/, "connected"],
  [/^subscribe_ack/, "subscribeAck"],
  [/^unsubscribe_ack/, "unsubscribeAck"],
  [/^publish_ack/, "publishAck"],
  [/^rpc_reply/, "rpcReply"],
  [/^pong/, "pong"],
  [/^sub_refresh_ack/, "subRefreshAck"],
  [/^survey_response/, "surveyResponse"],
  [/^error BAD_REQUEST|^the same BAD_REQUEST/, "error BAD_REQUEST"],
  [/^error INTERNAL_ERROR/, "error INTERNAL_ERROR"],
  [/^no reply|^nothing is sent back/, "nothing"],
];

/** Where our protocol decides otherwise: a repeated JSON key takes its last value (F4). */
const CORRECTED: Readonly<Record<string, { kind: string; message: JsonValue }>> = {
  "raw.bad.duplicate_key": { kind: "pong", message: { id: "y", ping: {} } },
};

function reactionOf({ name, expect = "" }: Vector): string {
  const found = CORRECTED[name]?.kind ?? REACTIONS.find(([words]) => words.test(expect))?.[1];
  if (found === undefined) throw new Error(`no reading of: ${expect}`);
  return found;
}

/** The message that a vector's frame stands for; undefined where it stands for none. */
function meaningOf(vector: Vector): InboundMessage | undefined {
  const json = CORRECTED[vector.name]?.message ?? (vector.decoded as JsonValue | null);
  if (json === null) return undefined;
  // As JSON an Any needs its type; as protobuf it is what it is.
  if (vector.encoding === "protobuf") return codecFor("proto").decodeInbound(frameOf(vector));
  return fromJson(InboundMessageSchema, json);
}

async function playFrame(context: Context, vector: Vector): Promise<void> {
  const reaction = reactionOf(vector);
  const protocols = vector.subprotocol === null ? [] : [vector.subprotocol];
  const client = await openAs(context, protocols);
  if (reaction !== "connected") await client.connect();
  const meaning = meaningOf(vector);
  const listener = await listenTo(context, meaning);
  const before = client.replies.length;
  client.sendRaw(frameOf(vector));
  // What the frame causes may take longer than the ping behind it, unless it causes nothing.
  const caused = () => client.replies.slice(before).filter(({ id }) => id !== "fence");
  if (reaction !== "nothing") await client.until(() => caused()[0]);
  await client.request({ id: "fence", envelope: { case: "ping", value: {} } });
  assert.deepEqual(caused().map(kindOf), reaction === "nothing" ? [] : [reaction]);
  const reply = caused()[0];
  if (reply !== undefined) checkReply(reply, meaning, client);
  if (listener !== undefined && meaning !== undefined) await checkDelivery(listener, meaning);
}

async function openAs(context: Context, protocols: readonly string[]): Promise<Client> {
  if (context.way === "open") return context.stream();
  const client = await context.webSocket({ protocols });
  assert.equal(client.socket.protocol, protocols[0] ?? "");
  return client;
}

/**
 * Whether a frame is for Open and Send as well: one that no codec of ours would write, unless it is no JSON, which
 * then the whole of a Send would not be. Of the others the other cases send enough.
 */
function fitsInSend(vector: Vector): boolean {
  const frame = frameOf(vector);
  if (!vector.name.startsWith("raw.")) return false;
  try {
    if (typeof frame === "string") JSON.parse(frame);
    return true;
  } catch {
    return false;
  }
}

/** A subscriber of the channel that a publish goes to. */
async function listenTo(context: Context, meaning: InboundMessage | undefined) {
  const event = meaning?.envelope;
  if (event?.case !== "publish") return undefined;
  const channel = meaning?.channel || event.value.source;
  return channel === "" ? undefined : await context.subscriber(channel);
}

function checkReply(
  reply: OutboundMessage,
  meaning: InboundMessage | undefined,
  client: Client,
): void {
  assert.ok(Number(reply.time) > 1_700_000_000_000);
  if (meaning === undefined) {
    assert.match(reply.id, /^[0-9a-f-]{36}$/);
    assert.equal(valueAs(reply, "error").message, "Failed to decode message");
    return;
  }
  assert.equal(reply.id, meaning.id);
  assert.deepEqual(reply.metadata, meaning.metadata);
  const form = typeof codecFor(client.encoding).encodeOutbound(reply);
  assert.equal(typeof client.frames.at(-1), form);
  const { envelope } = meaning;
  switch (envelope.case) {
    case "connect": {
      const { sessionId, subscriptions } = valueAs(reply, "connected");
      assert.notEqual(sessionId, "");
      assert.deepEqual(subscriptions, envelope.value.subscriptions);
      return;
    }
    case "subscribe":
      assert.deepEqual(valueAs(reply, "subscribeAck").subscriptions, envelope.value.subscriptions);
      return;
    case "unsubscribe":
      assert.deepEqual(
        valueAs(reply, "unsubscribeAck").subscriptions,
        envelope.value.subscriptions,
      );
      return;
    case "rpcRequest": {
      const echo = valueAs(reply, "rpcReply");
      assert.deepEqual(
        [echo.id, echo.type, echo.source],
        [envelope.value.id, envelope.value.type, envelope.value.source],
      );
      assert.deepEqual(dataOf(echo), dataOf(envelope.value));
      return;
    }
    case "surveyRequest": {
      const { requestId, payload } = valueAs(reply, "surveyResponse");
      assert.equal(requestId, envelope.value.requestId);
      assert.equal(payload?.type, "com.messageloop.survey.response");
      assert.equal(payload?.source, meaning.channel);
      assert.deepEqual(dataOf(payload), dataOf(envelope.value.payload));
      return;
    }
    default:
  }
}

async function checkDelivery(
  listener: Client,
  { channel, envelope }: InboundMessage,
): Promise<void> {
  if (envelope.case !== "publish") return;
  const event = envelope.value;
  const payload = (await listener.received(1))[0]?.payload;
  assert.equal(payload?.id, event.id);
  assert.equal(payload?.type, event.type);
  assert.equal(payload?.source, channel || event.source);
  assert.deepEqual(dataOf(payload), dataOf(event));
}

function dataOf(
  event: Extract<InboundMessage["envelope"], { case: "publish" }>["value"] | undefined,
): Buffer {
  const data = event?.data;
  if (data?.case === "textData") return Buffer.from(data.value);
  if (data?.case === "binaryData") return Buffer.from(data.value);
  if (data?.case === "protoData") return Buffer.from(data.value.value);
  return Buffer.alloc(0);
}

async function playHandshake(context: Context, vector: Vector): Promise<void> {
  const { offered, encoding_used: used } = vector.decoded as {
    offered: string | null;
    encoding_used: string;
  };
  const selected = vector.subprotocol;
  // The selected name decides; where none was, the reference's reading of the offers does.
  const encoding = (selected ?? used).includes("proto") ? "proto" : "json";
  // A client library that is answered with none of its offers gives up, so these are made by hand.
  const offer =
    selected === null
      ? { protocols: [], headers: offered === null ? {} : { "Sec-WebSocket-Protocol": offered } }
      : { protocols: (offered ?? "").split(",").map((name) => name.trim()) };
  const client = await context.webSocket({ ...offer, encoding });
  assert.equal(client.socket.protocol, selected ?? "");
  await client.ping();
  assert.equal(typeof client.frames[0], encoding === "json" ? "string" : "object");
}

function kindsOf(vector: Vector) {
  return [vector.encoding === "json" ? JSON_V1 : PROTO_V1].filter((kind) => kind !== undefined);
}

const WEBSOCKET = { over: "websocket" } as const;

/** Those of streams are run with the other cases of streams. */
const socketVectors = vectors("client_to_server").filter(({ name }) => !name.startsWith("grpc."));

export const vectorCases: readonly Case[] = [
  ...socketVectors.map((vector) => ({
    rules: ["F4", "F1"],
    title: `frame ${vector.name}`,
    kinds: kindsOf(vector),
    ...(fitsInSend(vector) ? {} : WEBSOCKET),
    run: (context: Context) => playFrame(context, vector),
  })),
  ...vectors("handshake").map((vector) => ({
    rules: ["T1", "T2"],
    title: vector.name,
    kinds: kindsOf(vector),
    ...WEBSOCKET,
    run: (context: Context) => playHandshake(context, vector),
  })),
];
