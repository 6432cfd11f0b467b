/** The SDK against a scripted server: what it announces, takes in, and says at the end. */
import { expect, test } from "vitest";
import {
  type CloseInfo,
  createCloudEvent,
  dial,
  type MessageLoopClient,
  type MessagingError,
  type ReceivedMessage,
  withConnectTimeout,
  withWebSocket,
} from "../../../src/client/v0/index.ts";
import { connected, dialled, ScriptedSocket } from "./scripted-socket.ts";

const ENCODINGS = ["json", "proto"] as const;
const EVENT = createCloudEvent({ source: "/s", type: "t" });

function ended(client: MessageLoopClient): Promise<CloseInfo> {
  return new Promise((resolve) => client.onClosed(resolve));
}

test.each(ENCODINGS)("%s: connect announces what the SDK implements", async (encoding) => {
  const { socket } = await connected(encoding);
  expect(socket.sent).toMatchObject([
    { envelope: { case: "connect", value: { capabilities: ["survey", "control", "credit"] } } },
  ]);
});

test.each(ENCODINGS)("%s: publications and errors find their handlers", async (encoding) => {
  const { client, socket } = await connected(encoding);
  const received: ReceivedMessage[] = [];
  const errors: MessagingError[] = [];
  client.onMessage((messages) => received.push(...messages));
  client.onError((error) => errors.push(error));
  const payload = { id: "e", source: "/s", type: "t", specVersion: "1.0" };
  const messages = [{ id: "x-1", channel: "c", offset: 1n, epoch: "x", payload }];
  socket.message({ id: "random", envelope: { case: "publication", value: { messages } } });
  expect(received).toMatchObject([{ id: "x-1", offset: 1n, event: { id: "e", type: "t" } }]);
  socket.message({ id: "random", envelope: { case: "error", value: { code: "UNAVAILABLE" } } });
  expect(errors).toMatchObject([{ code: "UNAVAILABLE" }]);
  const publishing = client.publish("c", EVENT);
  socket.answer({ case: "error", value: { code: "RATE_LIMITED" } });
  await expect(publishing).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(errors).toHaveLength(1);
});

test.each(ENCODINGS)("%s: an RPC resolves with the backend's answer", async (encoding) => {
  const { client, socket } = await connected(encoding);
  const asking = client.rpc("c", "m", EVENT);
  expect(socket.sent.at(-1)).toMatchObject({
    channel: "c",
    method: "m",
    envelope: { case: "rpcRequest", value: { id: EVENT.id, source: "/s", type: "t" } },
  });
  const value = { id: "a", source: "/b", type: "answer", specVersion: "1.0" };
  socket.answer({ case: "rpcReply", value: { ...value, data: { case: "textData", value: "x" } } });
  expect(await asking).toEqual({
    id: "a",
    source: "/b",
    type: "answer",
    specversion: "1.0",
    data: "x",
  });
});

test("an RPC rejects with the server's code, at its deadline, and when the connection is lost", async () => {
  const { client, socket } = await connected("json");
  const refused = client.rpc("c", "m", EVENT);
  const error = { code: "OUT_OF_STOCK", type: "shop", message: "none left" };
  socket.answer({ case: "error", value: error });
  await expect(refused).rejects.toMatchObject(error);
  const late = client.rpc("c", "m", EVENT, { timeoutMs: 1 });
  await expect(late).rejects.toMatchObject({ code: "RPC_TIMEOUT" });
  const mixed = client.rpc("c", "m", EVENT);
  socket.answer({ case: "publishAck", value: { offset: 1n } });
  await expect(mixed).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
  const lost = client.rpc("c", "m", EVENT);
  socket.end(1006);
  await expect(lost).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("envelopes that the SDK does not know are ignored, whatever their id", async () => {
  const { client, socket } = await connected("proto");
  const errors: MessagingError[] = [];
  client.onError((error) => errors.push(error));
  const publishing = client.publish("c", EVENT);
  const id = socket.sent.at(-1)?.id ?? "";
  socket.frame(JSON.stringify({ id, envelope_of_later: { code: 1 } }));
  // The same in protobuf: field 1000 of the message, with an empty message in it.
  const name = new TextEncoder().encode(id);
  socket.frame(new Uint8Array([0x0a, name.length, ...name, 0xc2, 0x3e, 0]));
  socket.message({ id: "random", envelope: { case: "presence", value: { channel: "c" } } });
  socket.answer({ case: "publishAck", value: { offset: 7n, epoch: "x" } });
  expect(await publishing).toEqual({ offset: 7n, epoch: "x", duplicate: false });
  expect(errors).toEqual([]);
});

test.each(ENCODINGS)("%s: what disconnect said reaches onClosed", async (encoding) => {
  const { client, socket } = await connected(encoding);
  const closed = ended(client);
  const value = { code: 3512, reason: "deploy", reconnect: true, retryAfterMs: 1_500 };
  socket.message({ id: "random", envelope: { case: "disconnect", value } });
  expect(client.isConnected()).toBe(true);
  socket.end(3512, "server going away");
  const info = { code: 3512, reason: "server going away", reconnect: true, retryAfterMs: 1_500 };
  expect(await closed).toEqual(info);
  // A handler that comes late hears the same.
  expect(await ended(client)).toEqual(info);
});

test.each([
  [1006, false],
  [3000, false],
  [4700, true],
])("disconnect decides about coming back, not the close code %i", async (code, reconnect) => {
  const { client, socket } = await connected("json");
  const closed = ended(client);
  const value = { code: 4000, reason: "moved", reconnect };
  socket.message({ id: "random", envelope: { case: "disconnect", value } });
  socket.end(code);
  expect(await closed).toEqual({ code, reason: "", reconnect, retryAfterMs: 0 });
});

test.each([
  [1001, true],
  [1005, true],
  [1006, true],
  [1009, false],
  [1011, true],
  [3503, false],
  [3510, true],
  [4000, true],
  [4500, false],
])("without disconnect the close code %i says reconnect: %s", async (code, reconnect) => {
  const { client, socket } = await connected("json");
  const closed = ended(client);
  socket.end(code, "why");
  expect(await closed).toEqual({ code, reason: "why", reconnect, retryAfterMs: 0 });
});

test("an end that the application asked for is no reason to come back", async () => {
  const { client } = await connected("json");
  const closed = ended(client);
  await client.close();
  expect(await closed).toMatchObject({ code: 1000, reconnect: false, retryAfterMs: 0 });
});

test.each(["lost", "closed"])(
  "requests that wait settle when the connection is %s",
  async (how) => {
    const { client, socket } = await connected("json");
    const waiting = [client.publish("c", EVENT), client.subscribe("c"), client.unsubscribe("c")];
    if (how === "lost") socket.end(1006);
    else await client.close();
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    }
    await expect(client.publish("c", EVENT)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  },
);

// Node 20 and 22 tell nothing but the error of a server that is away or says no.
test("dial rejects at once where nothing but an error comes", async () => {
  const sockets: ScriptedSocket[] = [];
  class KeptSocket extends ScriptedSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const dialling = dial("ws://scripted", [withWebSocket(KeptSocket), withConnectTimeout(60_000)]);
  sockets[0]?.fail();
  await expect(dialling).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: "connection closed: 1006",
  });
});

test("dial rejects when the connection ends before the session stands", async () => {
  const { socket, dialling } = dialled("json");
  socket.end(3504, "connection limit");
  await expect(dialling).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: "connection closed: 3504 connection limit",
  });
});
