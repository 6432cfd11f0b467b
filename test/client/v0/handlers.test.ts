/** The application's handlers may fail, and pongs may be late: neither ends a connection that is alive. */
import { afterEach, expect, test, vi } from "vitest";
import type { CloseInfo, MessageLoopClient, MessagingError } from "../../../src/client/v0/index.ts";
import { connected, type ScriptedSocket } from "./scripted-socket.ts";

/** A process that others keep from its turn may need more than the tool's second. */
const PATIENT = { timeout: 10_000 };

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const payload = { id: "e", source: "/s", type: "t", specVersion: "1.0" };

function publish(socket: ScriptedSocket, id: string, event: object = payload): void {
  const messages = [{ id, channel: "c", offset: 1n, epoch: "x", payload: event }];
  socket.message({ id: "random", envelope: { case: "publication", value: { messages } } });
}

function errorsOf(client: MessageLoopClient): MessagingError[] {
  const errors: MessagingError[] = [];
  client.onError((error) => errors.push(error));
  return errors;
}

/** What surfaces as uncaught, instead of ending this process. */
function uncaught(): unknown[] {
  const errors: unknown[] = [];
  vi.spyOn(globalThis, "queueMicrotask").mockImplementation((callback) => {
    Promise.resolve()
      .then(callback)
      .catch((error: unknown) => errors.push(error));
  });
  return errors;
}

const boom = new Error("boom");

test.each([
  [
    "throws",
    () => {
      throw boom;
    },
  ],
  ["rejects", () => Promise.reject(boom)],
])(
  "a handler of messages that %s goes to the handler of errors, and the connection goes on",
  async (_, fail) => {
    const { client, socket } = await connected("json");
    const errors = errorsOf(client);
    const seen: string[] = [];
    client.onMessage((messages) => {
      for (const { id } of messages) seen.push(id);
      return fail();
    });
    publish(socket, "x-1");
    publish(socket, "x-2");
    await vi.waitUntil(() => errors.length === 2, PATIENT);
    expect(errors).toMatchObject([{ code: "INTERNAL_ERROR" }, { code: "INTERNAL_ERROR" }]);
    expect(errors[0]?.cause).toBe(boom);
    expect(seen).toEqual(["x-1", "x-2"]);
    expect(client.isConnected()).toBe(true);
  },
);

test("so is what a handler throws that is set after messages have come", async () => {
  const { client, socket } = await connected("json");
  const errors = errorsOf(client);
  publish(socket, "x-1");
  client.onMessage(() => {
    throw boom;
  });
  await vi.waitUntil(() => errors.length === 1, PATIENT);
  expect(errors[0]?.cause).toBe(boom);
});

test("so is what a handler of the end throws, be it set before or after the end", async () => {
  for (const late of [false, true]) {
    const { client, socket } = await connected("json");
    const errors = errorsOf(client);
    const fail = (): never => {
      throw boom;
    };
    if (!late) client.onClosed(fail);
    socket.end(1006);
    if (late) client.onClosed(fail);
    await vi.waitUntil(() => errors.length === 1, PATIENT);
    expect(errors[0]?.cause).toBe(boom);
  }
});

test("without a handler of errors the application's own error surfaces, outside of the socket", async () => {
  const { client, socket } = await connected("json");
  const surfaced = uncaught();
  client.onMessage(() => {
    throw boom;
  });
  publish(socket, "x-1");
  await vi.waitUntil(() => surfaced.length === 1, PATIENT);
  expect(surfaced).toEqual([boom]);
});

test("what a handler of errors throws surfaces as well, and does not go around in circles", async () => {
  const { client, socket } = await connected("json");
  const surfaced = uncaught();
  client.onMessage(() => {
    throw new Error("first");
  });
  client.onError(() => {
    throw boom;
  });
  publish(socket, "x-1");
  socket.message({ id: "random", envelope: { case: "error", value: { code: "UNAVAILABLE" } } });
  await vi.waitUntil(() => surfaced.length === 2, PATIENT);
  expect(surfaced).toEqual([boom, boom]);
});

test("an event that has no form for applications takes no other with it", async () => {
  const { client, socket } = await connected("proto");
  const errors = errorsOf(client);
  const seen: string[] = [];
  client.onMessage((messages) => seen.push(...messages.map(({ id }) => id)));
  const time = { attr: { case: "ceTimestamp", value: { seconds: 1n << 60n } } };
  publish(socket, "x-1", { ...payload, attributes: { time } });
  publish(socket, "x-2");
  expect(errors).toMatchObject([{ code: "INTERNAL_ERROR" }]);
  expect(seen).toEqual(["x-2"]);
});

const PING_MS = 1_000;

/** A client that pings every second, on a clock of the test's own. */
async function pinging() {
  vi.useFakeTimers();
  const { client, socket } = await connected("json", { pingIntervalMs: PING_MS });
  const closed: CloseInfo[] = [];
  client.onClosed((info) => closed.push(info));
  // The scripted socket reads messages only.
  const pings = { count: 0 };
  socket.send = () => {
    pings.count += 1;
  };
  return { socket, closed, pings };
}

test("pongs that take longer than the interval of pings end no connection", async () => {
  const { socket, closed, pings } = await pinging();
  for (let second = 1; second <= 60; second++) {
    await vi.advanceTimersByTimeAsync(PING_MS);
    // Each pong is nine seconds late.
    if (second >= 10) socket.frame("pong");
  }
  expect(pings.count).toBe(60);
  expect(closed).toEqual([]);
});

test("messages that come show that the connection lives, whatever became of the pongs", async () => {
  const { socket, closed } = await pinging();
  for (let second = 0; second < 60; second += 5) {
    await vi.advanceTimersByTimeAsync(5 * PING_MS);
    publish(socket, `x-${second}`);
  }
  expect(closed).toEqual([]);
});

test("a connection that says nothing any more is given up ten seconds after its first ping", async () => {
  const { socket, closed } = await pinging();
  await vi.advanceTimersByTimeAsync(5 * PING_MS);
  socket.frame("pong");
  await vi.advanceTimersByTimeAsync(10 * PING_MS);
  expect(closed).toEqual([]);
  await vi.advanceTimersByTimeAsync(PING_MS);
  expect(closed).toMatchObject([{ code: 1006, reconnect: true }]);
});

test("what the server's side does to the subscriptions is reported, and counts", async () => {
  const { client, socket } = await connected("json");
  const told: unknown[] = [];
  client.onSubscribed((subscriptions) => told.push(subscriptions));
  client.onUnsubscribed((channels) => told.push(channels));
  const position = { epoch: "e", offset: 7n };
  const made = [{ channel: "a", position }, { channel: "b.**" }];
  socket.message({ id: "r", envelope: { case: "subscribed", value: { subscriptions: made } } });
  expect(client.getSubscribedChannels()).toEqual(["a", "b.**"]);
  const subscriptions = [{ channel: "a" }];
  socket.message({ id: "r", envelope: { case: "unsubscribed", value: { subscriptions } } });
  expect(client.getSubscribedChannels()).toEqual(["b.**"]);
  expect(told).toEqual([
    [
      { channel: "a", epoch: "e", offset: 7n },
      { channel: "b.**", epoch: "", offset: 0n },
    ],
    ["a"],
  ]);
});

test("what a handler of subscriptions throws goes to the handler of errors", async () => {
  const { client, socket } = await connected("json");
  const errors = errorsOf(client);
  client.onSubscribed(() => {
    throw boom;
  });
  client.onUnsubscribed(() => Promise.reject(boom));
  const subscriptions = [{ channel: "a" }];
  for (const kind of ["subscribed", "unsubscribed"] as const) {
    socket.message({ id: "r", envelope: { case: kind, value: { subscriptions } } });
  }
  await vi.waitUntil(() => errors.length === 2, PATIENT);
  expect(errors.map(({ cause }) => cause)).toEqual([boom, boom]);
  expect(client.isConnected()).toBe(true);
});
