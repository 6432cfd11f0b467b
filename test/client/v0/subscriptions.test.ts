/** Subscriptions by names alone, against a scripted server: one request, whose answer settles the promise. */
import { expect, test, vi } from "vitest";
import {
  type MessagingError,
  type ReceivedMessage,
  withAutoSubscribe,
  withEphemeral,
  withRequestTimeout,
} from "../../../src/client/v0/index.ts";
import { connected, dialled, type ScriptedSocket } from "./scripted-socket.ts";

const ENCODINGS = ["json", "proto"] as const;
const payload = { id: "e", source: "/s", type: "t", specVersion: "1.0" };

/** The requests of a kind that the client has made, as the names in them. */
function asked({ sent }: ScriptedSocket, kind: "subscribe" | "unsubscribe"): string[][] {
  return sent.flatMap(({ envelope }) =>
    envelope.case === kind ? [envelope.value.subscriptions.map(({ channel }) => channel)] : [],
  );
}

function publish(socket: ScriptedSocket, channel: string, ...offsets: number[]): void {
  const messages = offsets.map((offset) => {
    return { id: `x-${offset}`, channel, offset: BigInt(offset), epoch: "x", payload };
  });
  socket.message({ envelope: { case: "publication", value: { messages } } });
}

test.each(ENCODINGS)(
  "%s: several channels are one request, and resolve with nothing",
  async (encoding) => {
    const { client, socket } = await connected(encoding);
    const subscribing = client.subscribe("a", "b.*");
    expect(asked(socket, "subscribe")).toEqual([["a", "b.*"]]);
    const subscriptions = [{ channel: "a" }, { channel: "b.*" }];
    socket.answer({ case: "subscribeAck", value: { subscriptions } });
    expect(await subscribing).toBeUndefined();
    expect(client.getSubscribedChannels()).toEqual(["a", "b.*"]);
    const unsubscribing = client.unsubscribe("a", "b.*");
    expect(asked(socket, "unsubscribe")).toEqual([["a", "b.*"]]);
    socket.answer({ case: "unsubscribeAck", value: { subscriptions } });
    expect(await unsubscribing).toBeUndefined();
    expect(client.getSubscribedChannels()).toEqual([]);
  },
);

test.each([
  ["for good", "ACL_ERROR"],
  ["for now", "RATE_LIMITED"],
])("a channel that is refused %s rejects at once, and the others stay", async (_, code) => {
  const { client, socket } = await connected("json");
  const subscribing = client.subscribe("a", "b", "c");
  const error = { code, message: "no" };
  const answers = [{ channel: "a" }, { channel: "b", error }, { channel: "c" }];
  socket.answer({ case: "subscribeAck", value: { subscriptions: answers } });
  await expect(subscribing).rejects.toMatchObject({ code, message: "no" });
  expect(client.getSubscribedChannels()).toEqual(["a", "c"]);
  // It is not asked for again, and what never was is not ended.
  expect(asked(socket, "subscribe")).toHaveLength(1);
  expect(asked(socket, "unsubscribe")).toEqual([]);
  const again = client.subscribe("b");
  expect(asked(socket, "subscribe")).toEqual([["a", "b", "c"], ["b"]]);
  socket.answer({ case: "subscribeAck", value: { subscriptions: [{ channel: "b" }] } });
  await again;
  expect(client.getSubscribedChannels()).toEqual(["a", "c", "b"]);
});

test("a request that is refused, or not answered, rejects, and is not made again", async () => {
  const { client, socket } = await connected("json");
  const refused = client.subscribe("a");
  socket.answer({ case: "error", value: { code: "RATE_LIMITED" } });
  await expect(refused).rejects.toMatchObject({ code: "RATE_LIMITED" });
  vi.useFakeTimers();
  try {
    const late = client.subscribe("a");
    const outcome = expect(late).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await vi.advanceTimersByTimeAsync(60_000);
    await outcome;
  } finally {
    vi.useRealTimers();
  }
  expect(asked(socket, "subscribe")).toEqual([["a"], ["a"]]);
  expect(client.getSubscribedChannels()).toEqual([]);
});

test("a channel that the answer leaves out rejects", async () => {
  const { client, socket } = await connected("json");
  const subscribing = client.subscribe("a", "b");
  socket.answer({ case: "subscribeAck", value: { subscriptions: [{ channel: "a" }] } });
  await expect(subscribing).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
  expect(client.getSubscribedChannels()).toEqual(["a"]);
});

test("withRequestTimeout says how long an answer may take", async () => {
  const { socket, dialling } = dialled("json", withRequestTimeout(1));
  socket.answer({ case: "connected", value: { sessionId: "s" } });
  const client = await dialling;
  await expect(client.subscribe("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("dial rejects with the server's code where it refuses a channel of withAutoSubscribe", async () => {
  for (const code of ["ACL_ERROR", "RATE_LIMITED"]) {
    const { socket, dialling } = dialled("json", withAutoSubscribe("a", "b"), withEphemeral(true));
    const error = { code, message: "no" };
    const subscriptions = [{ channel: "a" }, { channel: "b", error }];
    socket.answer({ case: "connected", value: { sessionId: "s", subscriptions } });
    await expect(dialling).rejects.toMatchObject({ code, message: "no" });
    await vi.waitUntil(() => socket.readyState === 3);
  }
});

test("the messages of a frame come together, and once, whatever the number of patterns", async () => {
  const { client, socket } = await connected("json");
  const told: string[][] = [];
  client.onMessage((messages: ReceivedMessage[]) => told.push(messages.map(({ id }) => id)));
  const subscribing = client.subscribe("a.b", "a.*", "**");
  const subscriptions = ["a.b", "a.*", "**"].map((channel) => ({ channel }));
  socket.answer({ case: "subscribeAck", value: { subscriptions } });
  await subscribing;
  publish(socket, "a.b", 1, 2);
  publish(socket, "c", 1);
  expect(told).toEqual([["x-1", "x-2"], ["x-1"]]);
});

test("what the server's side has subscribed this client to can be ended, whichever side has made it", async () => {
  const { client, socket } = await connected("json");
  const errors: MessagingError[] = [];
  client.onError((error) => errors.push(error));
  const made = { subscriptions: [{ channel: "a" }] };
  socket.message({ envelope: { case: "subscribed", value: made } });
  // It is there already.
  await client.subscribe("a");
  const unsubscribing = client.unsubscribe("a", "never");
  expect(asked(socket, "unsubscribe")).toEqual([["a", "never"]]);
  socket.answer({ case: "unsubscribeAck", value: made });
  await unsubscribing;
  expect(client.getSubscribedChannels()).toEqual([]);
  expect(errors).toEqual([]);
});

test("a subscription that is ended before its answer rejects", async () => {
  const { client, socket } = await connected("json");
  const subscribing = client.subscribe("a");
  const unsubscribing = client.unsubscribe("a");
  await expect(subscribing).rejects.toMatchObject({ code: "UNAVAILABLE" });
  socket.answer({ case: "unsubscribeAck", value: { subscriptions: [{ channel: "a" }] } });
  await unsubscribing;
  expect(client.getSubscribedChannels()).toEqual([]);
});

test("a client has a random id where none is given", async () => {
  const ids = ["json", "json"].map((encoding) => {
    const { socket, dialling } = dialled(encoding as "json");
    dialling.catch(() => {});
    const [connect] = socket.sent;
    socket.end(1006);
    return connect?.envelope.case === "connect" ? connect.envelope.value.clientId : undefined;
  });
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(ids[0]).not.toBe(ids[1]);
});
