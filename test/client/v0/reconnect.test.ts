/** A client of the SDK of v0.1.1 that comes back, against a scripted server; and one that does not. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  type ClientOption,
  type CloseInfo,
  createCloudEvent,
  dial,
  type MessageLoopClient,
  type MessagingError,
  type ReceivedMessage,
  withAutoSubscribe,
  withGetToken,
  withPingInterval,
  withReconnect,
  withWebSocket,
} from "../../../src/client/v0/index.ts";
import { ScriptedSocket } from "./scripted-socket.ts";

const EVENT = createCloudEvent({ id: "e", source: "/s", type: "t" });
const payload = { id: "e", source: "/s", type: "t", specVersion: "1.0" };
/** Longer than the first pause before another try. */
const PAUSE_MS = 1_000;
const GRANTED = { sessionId: "s", capabilities: ["recovery"], dedupWindowMs: 120_000 };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** What a client has been told. */
interface Told {
  readonly sessions: string[];
  readonly messages: ReceivedMessage[];
  readonly errors: MessagingError[];
  readonly closes: CloseInfo[];
  readonly ended: string[][];
}

async function started(...options: ClientOption[]): Promise<{
  client: MessageLoopClient;
  sockets: ScriptedSocket[];
  told: Told;
  /** The next connection is open. */
  next(): Promise<ScriptedSocket>;
}> {
  const sockets: ScriptedSocket[] = [];
  class KeptSocket extends ScriptedSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const dialling = dial("ws://scripted", [withWebSocket(KeptSocket), ...options]);
  // A token may have to be asked for.
  await vi.advanceTimersByTimeAsync(0);
  const next = async (): Promise<ScriptedSocket> => {
    const { length } = sockets;
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    const socket = sockets[length];
    if (socket === undefined) throw new Error("there is no other connection");
    socket.open();
    return socket;
  };
  sockets[0]?.open();
  const epoch = "x";
  const subscriptions = [{ channel: "a", position: { epoch, offset: 4n } }];
  sockets[0]?.answer({ case: "connected", value: { ...GRANTED, subscriptions } });
  const client = await dialling;
  const told: Told = { sessions: [], messages: [], errors: [], closes: [], ended: [] };
  client.onConnected((sessionId) => told.sessions.push(sessionId));
  client.onMessage((messages) => told.messages.push(...messages));
  client.onError((error) => told.errors.push(error));
  client.onClosed((info) => told.closes.push(info));
  client.onUnsubscribed((channels) => told.ended.push(channels));
  await vi.advanceTimersByTimeAsync(0);
  return { client, sockets, told, next };
}

function publish(socket: ScriptedSocket, offset: bigint, replay = false): void {
  const messages = [{ id: `x-${offset}`, channel: "a", offset, epoch: "x", payload, replay }];
  socket.message({ envelope: { case: "publication", value: { messages } } });
}

const RECONNECTING = [withReconnect(), withAutoSubscribe("a")];

test("a lost connection comes back where it was, and nothing comes twice", async () => {
  const { client, sockets, told, next } = await started(...RECONNECTING);
  const [first] = sockets;
  expect(first?.sent[0]).toMatchObject({
    envelope: { value: { capabilities: ["survey", "control", "credit", "recovery"] } },
  });
  publish(first as ScriptedSocket, 5n);
  first?.end(1006);
  expect(client.isConnected()).toBe(false);
  expect(client.getSessionId()).toBe(null);
  expect(client.getSubscribedChannels()).toEqual(["a"]);
  expect(told.errors).toMatchObject([{ code: "UNAVAILABLE", close: { code: 1006 } }]);
  const second = await next();
  expect(second.sent).toMatchObject([
    {
      envelope: {
        case: "connect",
        value: { subscriptions: [{ channel: "a", since: { epoch: "x", offset: 5n } }] },
      },
    },
  ]);
  const position = { epoch: "x", offset: 6n };
  const subscriptions = [{ channel: "a", position }];
  second.answer({ case: "connected", value: { ...GRANTED, sessionId: "t", subscriptions } });
  publish(second, 5n, true);
  publish(second, 6n, true);
  second.message({ envelope: { case: "recovered", value: { channel: "a", position } } });
  publish(second, 7n);
  expect(told.messages.map(({ offset }) => offset)).toEqual([5n, 6n, 7n]);
  expect(told.sessions).toEqual(["s", "t"]);
  expect(client.getSessionId()).toBe("t");
  expect(told.closes).toEqual([]);
  await client.close();
  expect(told.closes).toMatchObject([{ code: 1000, reconnect: false }]);
});

test("what cannot be recovered is a gap, between the messages around it", async () => {
  const { client, sockets, next } = await started(...RECONNECTING);
  const order: unknown[] = [];
  client.onMessage((messages) => order.push(...messages.map(({ id }) => id)));
  client.onGap((gap) => order.push(gap));
  sockets[0]?.end(1006);
  const second = await next();
  const position = { epoch: "x", offset: 9n };
  const subscriptions = [{ channel: "a", position }];
  second.answer({ case: "connected", value: { ...GRANTED, subscriptions } });
  const after = { epoch: "x", offset: 4n };
  const trimmed = { reason: "head_trimmed", after, until: position };
  const recovered = { channel: "a", position, gap: trimmed };
  second.message({ envelope: { case: "recovered", value: recovered } });
  publish(second, 10n);
  // One frame, in which the server has left something out.
  const messages = [11n, 14n].map((offset) => {
    return { id: `x-${offset}`, channel: "a", offset, epoch: "x", payload };
  });
  second.message({ envelope: { case: "publication", value: { messages } } });
  expect(order).toEqual([
    { channel: "a", ...trimmed },
    "x-10",
    "x-11",
    {
      channel: "a",
      reason: "unavailable",
      after: { epoch: "x", offset: 11n },
      until: { epoch: "x", offset: 13n },
    },
    "x-14",
  ]);
});

test("publishes wait for the connection, and one of unknown fate is sent again as such", async () => {
  const { client, sockets, next } = await started(...RECONNECTING);
  const unknown = client.publish("a", EVENT);
  sockets[0]?.end(1006);
  const waiting = client.publish("a", createCloudEvent({ id: "f", source: "/s", type: "t" }));
  const second = await next();
  second.answer({ case: "connected", value: GRANTED });
  const publishes = () => second.sent.filter(({ envelope }) => envelope.case === "publish");
  await vi.waitUntil(() => publishes().length === 2);
  expect(publishes()).toMatchObject([
    { again: true, envelope: { value: { id: "e" } } },
    { again: false, envelope: { value: { id: "f" } } },
  ]);
  for (const [index, { id }] of publishes().entries()) {
    const value = { offset: BigInt(5 + index), epoch: "x", duplicate: index === 0 };
    second.message({ id, envelope: { case: "publishAck", value } });
  }
  expect(await unknown).toEqual({ offset: 5n, epoch: "x", duplicate: true });
  expect(await waiting).toEqual({ offset: 6n, epoch: "x", duplicate: false });
});

test("subscribing without a connection waits for one", async () => {
  const { client, sockets, next } = await started(...RECONNECTING);
  sockets[0]?.end(1006);
  const subscribing = client.subscribe("b");
  const second = await next();
  const subscriptions = [{ channel: "a" }, { channel: "b" }];
  second.answer({ case: "connected", value: { ...GRANTED, subscriptions } });
  await subscribing;
  expect(second.sent).toHaveLength(1);
  expect(client.getSubscribedChannels()).toEqual(["a", "b"]);
});

test("a subscription that is refused on the way back is reported, and is over", async () => {
  const { client, sockets, told, next } = await started(...RECONNECTING);
  sockets[0]?.end(1006);
  const second = await next();
  const error = { code: "ACL_ERROR", message: "no" };
  const subscriptions = [{ channel: "a", error }];
  second.answer({ case: "connected", value: { ...GRANTED, subscriptions } });
  expect(told.errors.at(-1)).toMatchObject({ code: "ACL_ERROR" });
  expect(told.ended).toEqual([["a"]]);
  expect(client.getSubscribedChannels()).toEqual([]);
  expect(client.isConnected()).toBe(true);
});

test("tokens are brought before a connection, when one has expired, and before that", async () => {
  const reasons: string[] = [];
  const { client, sockets, told, next } = await started(
    ...RECONNECTING,
    withGetToken(({ reason }) => {
      reasons.push(reason);
      return reasons.length < 4 ? `token-${reasons.length}` : null;
    }),
  );
  const tokens = ({ sent }: ScriptedSocket): unknown[] =>
    sent.flatMap(({ envelope }) =>
      envelope.case === "connect" || envelope.case === "refresh" ? [envelope.value.token] : [],
    );
  const capabilities = ["survey", "control", "credit", "recovery", "refresh"];
  expect(sockets[0]?.sent[0]).toMatchObject({ envelope: { value: { capabilities } } });
  sockets[0]?.message({ envelope: { case: "tokenExpiring", value: { expiresAt: 1n } } });
  await vi.advanceTimersByTimeAsync(0);
  expect(tokens(sockets[0] as ScriptedSocket)).toEqual(["token-1", "token-2"]);
  sockets[0]?.answer({ case: "refreshAck", value: {} });
  sockets[0]?.end(3513, "token expired");
  const second = await next();
  second.answer({ case: "connected", value: GRANTED });
  expect(tokens(second)).toEqual(["token-3"]);
  second.end(3513, "token expired");
  await vi.advanceTimersByTimeAsync(PAUSE_MS);
  expect(reasons).toEqual(["connect", "expiring", "expired", "expired"]);
  // There is none any more.
  expect(told.closes).toMatchObject([{ reason: "getToken has no token", reconnect: false }]);
  await expect(client.publish("a", EVENT)).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a pong that does not come is a loss like others", async () => {
  const { sockets, told, next } = await started(...RECONNECTING, withPingInterval(5_000));
  await vi.advanceTimersByTimeAsync(15_000);
  expect(told.errors.map(({ message }) => message)).toEqual(["Pong timeout"]);
  expect(sockets[0]?.readyState).toBe(3);
  (await next()).answer({ case: "connected", value: GRANTED });
  expect(told.sessions).toEqual(["s", "s"]);
});

test("a close that is final reports the end, and nothing waits any more", async () => {
  const { client, sockets, told } = await started(...RECONNECTING);
  const publishing = client.publish("a", EVENT);
  sockets[0]?.end(3503, "banned");
  await expect(publishing).rejects.toMatchObject({ code: expect.any(String) });
  await expect(client.publish("a", EVENT)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told.closes).toEqual([
    { code: 3503, reason: "banned", reconnect: false, retryAfterMs: 0 },
  ]);
  expect(sockets).toHaveLength(1);
});

test("close ends a client that is coming back, and what waits with it", async () => {
  const { client, sockets, told } = await started(...RECONNECTING);
  sockets[0]?.end(1006);
  const publishing = client.publish("a", EVENT);
  const outcome = expect(publishing).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await client.close();
  await outcome;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told.closes).toEqual([
    { code: 1000, reason: "client closing", reconnect: false, retryAfterMs: 0 },
  ]);
  expect(sockets).toHaveLength(1);
});

test("without withReconnect a client ends with its connection", async () => {
  const { client, sockets, told } = await started(withAutoSubscribe("a"));
  sockets[0]?.end(1006);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told.closes).toMatchObject([{ code: 1006, reconnect: true }]);
  expect([sockets.length, told.errors]).toEqual([1, []]);
  await expect(client.subscribe("b")).rejects.toThrow("Not connected");
});
