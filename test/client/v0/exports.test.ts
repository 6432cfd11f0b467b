/** The exports of v0.1.1: frames made and read by hand, the transport, and what was added to the client for them. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import * as sdk from "../../../src/client/v0/index.ts";
import {
  type InboundMessage,
  OutboundMessageSchema,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { connected, dialled, ScriptedSocket } from "./scripted-socket.ts";

const EVENT = sdk.createCloudEvent({ id: "e", source: "/s", type: "t", data: "x" });
/** Section by section what the SDK of v0.1.1 exports, apart from types. */
const EXPORTS = [
  "MessageLoopClient",
  "WebSocketTransport",
  ...["JSONCodec", "jsonCodec", "ProtobufCodec", "protobufCodec"],
  ...["createCloudEvent", "toProtoCloudEvent", "fromProtoCloudEvent"],
  ...["cloudEventToProto", "protoToCloudEvent"],
  ...["createConnectMessage", "createSubscribeMessage", "createUnsubscribeMessage"],
  ...["createPublishMessage", "createRPCRequestMessage", "createPingMessage"],
  ...["createSubRefreshMessage", "generateMessageId", "parseOutboundMessage"],
  ...["withEncoding", "withClientId", "withClientType", "withToken", "withVersion"],
  ...["withAutoSubscribe", "withPingInterval", "withPingTimeout", "withConnectTimeout"],
  ...["withRPCTimeout", "withEphemeral"],
];

test("every export of v0.1.1 is there", () => {
  expect(Object.keys(sdk)).toEqual(expect.arrayContaining(EXPORTS));
});

test.each([
  ["connect", sdk.createConnectMessage("c", "t", "k", "1", [{ channel: "a", ephemeral: true }])],
  ["subscribe", sdk.createSubscribeMessage(["a", "b"], true)],
  ["unsubscribe", sdk.createUnsubscribeMessage(["a"])],
  ["publish", sdk.createPublishMessage("a", EVENT)],
  ["rpcRequest", sdk.createRPCRequestMessage("a", "m", EVENT)],
  ["ping", sdk.createPingMessage()],
  ["subRefresh", sdk.createSubRefreshMessage([{ channel: "a", token: "k" }])],
])("a %s message is a frame in both encodings", (kind, message) => {
  expect(message.envelope.case).toBe(kind);
  expect(message.id).toMatch(/^\d{19}-\d+$/);
  expect(message.time).toBe(0n);
  expect(typeof sdk.jsonCodec.encode(message)).toBe("string");
  expect(sdk.protobufCodec.encode(message)).toBeInstanceOf(Uint8Array);
});

test("ids differ, and codecs have names", () => {
  const ids = Array.from({ length: 1_000 }, () => sdk.generateMessageId());
  expect(new Set(ids).size).toBe(1_000);
  const [json, proto] = [new sdk.JSONCodec(), new sdk.ProtobufCodec()];
  expect([json.name(), json.useBytes()]).toEqual(["messageloop+json", false]);
  expect([proto.name(), proto.useBytes()]).toEqual(["messageloop+proto", true]);
});

test("a frame from the server is known by its type; what v0.1.1 does not know is an error", () => {
  const parse = (envelope: object) =>
    sdk.parseOutboundMessage(create(OutboundMessageSchema, { id: "i", envelope } as never));
  const value = { sessionId: "s" };
  expect(parse({ case: "connected", value })).toMatchObject({
    type: "connected",
    data: value,
    id: "i",
  });
  const refused = parse({ case: "error", value: { code: "X", message: "no" } });
  expect(refused).toMatchObject({ type: "error", data: { code: "X", message: "no" } });
  for (const kind of ["surveyRequest", "gap"]) {
    expect(parse({ case: kind, value: {} })).toMatchObject({
      type: "error",
      data: { message: "Unknown message type" },
    });
  }
});

test("a transport carries frames to and from handlers, or to an iterator, until it is closed", async () => {
  const socket = new ScriptedSocket("ws://x", ["messageloop+json"]);
  const transport = new sdk.WebSocketTransport(socket, sdk.jsonCodec);
  await expect(transport.send(sdk.createPingMessage())).rejects.toThrow(
    "WebSocket is not connected",
  );
  socket.open();
  expect(transport.isConnected()).toBe(true);
  await transport.send(sdk.createPingMessage());
  expect(socket.sent.at(-1)?.envelope.case).toBe("ping");
  const closes: unknown[] = [];
  const errors: Error[] = [];
  transport.onClose((code) => closes.push(code));
  transport.onError((error) => errors.push(error));
  socket.message({ id: "1", envelope: { case: "pong", value: {} } });
  socket.frame("{");
  const received: string[] = [];
  const reading = (async () => {
    for await (const { id } of transport.recv()) received.push(id);
  })();
  await Promise.resolve();
  socket.message({ id: "2", envelope: { case: "pong", value: {} } });
  socket.end(3512, "away");
  await reading;
  expect(received).toEqual(["1", "2"]);
  expect(closes).toEqual([3512]);
  expect(errors).toHaveLength(1);
  await transport.close();
});

test("connect, onConnected and isConnectedToServer fit a client that dial has connected", async () => {
  const { client, socket } = await connected("json");
  await client.connect();
  expect(client.isConnectedToServer()).toBe(true);
  expect(await new Promise((resolve) => client.onConnected(resolve))).toBe("s");
  socket.end(1006);
  expect(client.isConnectedToServer()).toBe(false);
  await expect(client.connect()).rejects.toThrow("Not connected");
});

test("the options of v0.1.1 have their meaning", async () => {
  const { socket, dialling } = dialled(
    "json",
    sdk.withEphemeral(true),
    sdk.withAutoSubscribe("a"),
    sdk.withRPCTimeout(5),
    sdk.withPingInterval(5),
    sdk.withPingTimeout(5),
  );
  const [connect] = socket.sent as InboundMessage[];
  expect(connect?.envelope).toMatchObject({
    value: { subscriptions: [{ channel: "a", ephemeral: true }] },
  });
  socket.answer({ case: "connected", value: { sessionId: "s" } });
  const client = await dialling;
  const errors: string[] = [];
  client.onError(({ message }) => errors.push(message));
  const closed = new Promise<sdk.CloseInfo>((resolve) => client.onClosed(resolve));
  await expect(client.rpc("a", "m", EVENT)).rejects.toMatchObject({ code: "RPC_TIMEOUT" });
  expect(await closed).toMatchObject({ code: 1006 });
  expect(errors).toEqual(["Pong timeout"]);
});
