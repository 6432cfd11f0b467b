/** C3 to C9: what a subscriber missed is replayed from the log, with one verdict, in one order. */
import { expect, test } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { MAX_BATCH_ENTRIES } from "../../src/protocol/limits.ts";
import { listening, ROOM, type SubscriptionInit, settled, since } from "./log-broker.ts";
import { send } from "./scene.ts";

test("acknowledgement, replay, verdict, live: in this order, each once", async () => {
  const { broker, listener } = await listening();
  broker.append(5);
  broker.handed = broker.head;
  broker.reading = () => broker.deliver(2);
  await listener.subscribe(since(2));
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/5",
    "replay e/3-5",
    "recovered e/5",
    "live e/6-7",
    "live e/8",
  ]);
});

test("who has everything is told so without a look at the log", async () => {
  const { broker, listener } = await listening();
  broker.append(3);
  broker.trimmed = 3;
  await listener.subscribe(since(3));
  expect(listener.told()).toEqual(["ack e/3", "recovered e/3"]);
  expect(broker.asked).toEqual([]);
});

test.each<[string, SubscriptionInit, string[]]>([
  ["the place before the first", since(0), ["replay e/1-5", "recovered e/5"]],
  ["another epoch", since(4, "old"), ["replay e/1-5", "recovered e/5 epoch_changed old/4..e/0"]],
  ["beyond the head", since(6), ["recovered e/5 epoch_changed e/6..e/5"]],
  ["without an epoch", { since: { offset: 3n } }, ["recovered e/5 unavailable ?..e/5"]],
  ["without a position", { recover: true }, ["recovered e/5 unavailable ?..e/5"]],
  ["the last two", { rewind: 2 }, ["replay e/4-5", "recovered e/5"]],
  ["more than there are", { rewind: 9 }, ["replay e/1-5", "recovered e/5"]],
  ["since above rewind", { ...since(4), rewind: 3 }, ["replay e/5", "recovered e/5"]],
  ["recover above rewind", { recover: true, rewind: 3 }, ["recovered e/5 unavailable ?..e/5"]],
])("recovery from %s", async (_, entry, expected) => {
  const { broker, listener } = await listening();
  broker.append(5);
  broker.handed = broker.head;
  await listener.subscribe(entry);
  expect(listener.told()).toEqual(["ack e/5", ...expected]);
});

test.each([
  ["head_trimmed", "recovered e/5 head_trimmed e/1..e/3", since(1)],
  ["expired", "recovered e/5 expired e/1..e/3", since(1)],
  ["head_trimmed", "recovered e/5 epoch_changed old/1..e/3", since(1, "old")],
  // Who asks for the last messages has missed none that are gone.
  ["head_trimmed", "recovered e/5", { rewind: 4 }],
  ["expired", "recovered e/5", { rewind: 4 }],
] as const)(
  "what is left behind a log that is %s is replayed: %s",
  async (reason, verdict, entry) => {
    const { broker, listener } = await listening();
    broker.append(5);
    Object.assign(broker, { trimmed: 3, reason });
    await listener.subscribe(entry);
    expect(listener.told()).toEqual(["ack e/5", "replay e/4-5", verdict]);
  },
);

test("pages join without a seam", async () => {
  const { broker, listener } = await listening();
  const total = 2 * MAX_BATCH_ENTRIES + 5;
  broker.append(total);
  await listener.subscribe(since(0));
  const told = listener.told();
  expect(broker.asked).toHaveLength(3);
  expect(told.at(-1)).toBe(`recovered e/${total}`);
  let next = 1;
  for (const line of told.slice(1, -1)) {
    expect(line).toMatch(new RegExp(`^replay e/${next}-`));
    next = Number(line.split("-")[1]) + 1;
  }
  expect(next).toBe(total + 1);
});

test("a read that fails midway is unavailable, for what is not there, and the subscription lives", async () => {
  const { broker, listener } = await listening();
  broker.append(9);
  broker.handed = broker.head;
  broker.pageSize = 3;
  broker.reading = (count) => {
    if (count === 3) throw new Error("the disk is gone");
  };
  await listener.subscribe(since(1));
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/9",
    "replay e/4-9",
    "recovered e/9 unavailable e/1..e/3",
    "live e/10",
  ]);
});

test("a log that fails at once is unavailable, for all that was asked for", async () => {
  const { broker, listener } = await listening();
  broker.append(9);
  broker.handed = broker.head;
  broker.reading = () => Promise.reject(new Error("the disk is gone"));
  await listener.subscribe(since(1));
  await listener.subscribe({ rewind: 2 });
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/9",
    "recovered e/9 unavailable e/1..e/9",
    "ack e/9",
    "recovered e/9 unavailable e/7..e/9",
    "live e/10",
  ]);
});

test("what is trimmed between two pages is a gap before what was read", async () => {
  const { broker, listener } = await listening();
  broker.append(9);
  broker.pageSize = 3;
  broker.reading = (count) => {
    if (count === 2) broker.trimmed = 5;
    if (count === 3) broker.trimmed = 9;
  };
  await listener.subscribe(since(1));
  expect(listener.told()).toEqual([
    "ack e/9",
    "replay e/6-9",
    "recovered e/9 head_trimmed e/1..e/5",
  ]);
  expect(broker.asked).toHaveLength(3);
});

test("a log that begins anew between registration and replay is told, and what comes then is live", async () => {
  const { broker, listener } = await listening();
  broker.append(5);
  broker.handed = broker.head;
  broker.reading = () => {
    broker.lose("f");
    broker.tellEpoch();
    broker.deliver(2);
  };
  await listener.subscribe(since(1));
  expect(listener.told()).toEqual([
    "ack e/5",
    "recovered e/5 unavailable e/1..e/5",
    "gap epoch_changed e/5..f/0",
    "live f/1-2",
  ]);
});

test("a log that begins anew between two pages leaves what was read", async () => {
  const { broker, listener } = await listening();
  broker.append(5);
  broker.handed = broker.head;
  broker.pageSize = 2;
  broker.reading = (count) => {
    if (count === 2) broker.lose("f");
  };
  await listener.subscribe(since(1));
  broker.tellEpoch();
  expect(listener.told()).toEqual([
    "ack e/5",
    "replay e/4-5",
    "recovered e/5 unavailable e/1..e/3",
    "gap epoch_changed e/5..f/0",
  ]);
});

test("the newest messages are replayed where there are too many: by number", async () => {
  const { broker, listener } = await listening(["recovery"], { recoveryMessages: 4 });
  broker.append(9);
  broker.handed = broker.head;
  await listener.subscribe(since(2));
  await listener.subscribe({ rewind: 6 });
  expect(listener.told()).toEqual([
    "ack e/9",
    "replay e/6-9",
    "recovered e/9 limit e/2..e/5",
    "ack e/9",
    "replay e/6-9",
    "recovered e/9 limit e/3..e/5",
  ]);
});

test("the newest messages are replayed where there are too many: by bytes", async () => {
  const { broker, listener } = await listening(["recovery"], { recoveryBytes: 2_500 });
  broker.append(9, 1_000);
  await listener.subscribe(since(0));
  expect(listener.told()).toEqual(["ack e/9", "replay e/7-9", "recovered e/9 limit e/0..e/6"]);
});

test("the subscriptions of one request share what may be replayed, first come first served", async () => {
  // C8
  const { broker, listener } = await listening(["recovery"], { recoveryMessages: 4 });
  broker.append(3);
  const subscriptions = [ROOM, "second", "third"].map((channel) => ({ channel, ...since(0) }));
  await send(listener.session, { envelope: { case: "subscribe", value: { subscriptions } } });
  expect(listener.told().slice(3)).toEqual([
    "replay e/1-3",
    "recovered e/3",
    "replay e/3",
    "recovered e/3 limit e/0..e/2",
    "recovered e/3 limit e/0..e/3",
  ]);
  await listener.subscribe(since(0));
  expect(listener.told().slice(1)).toEqual(["replay e/1-3", "recovered e/3"]);
});

test("a channel that cannot be recovered says so, and is live", async () => {
  const off = { ...DEFAULT_CHANNEL_RULES, recovery: false };
  const rules = new RuleBook([{ pattern: "room", rules: off }]);
  const { broker, listener } = await listening(["recovery"], { rules });
  broker.append(3);
  broker.handed = broker.head;
  await listener.subscribe(since(3));
  await listener.subscribe({ rewind: 1 });
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/3",
    "recovered e/3 unavailable e/3..e/3",
    "ack e/3",
    "recovered e/3 unavailable ?..e/3",
    "live e/4",
  ]);
  expect(broker.asked).toEqual([]);
});

test("without the capability who asks is refused, and a v1 client does not ask", async () => {
  const { broker, listener } = await listening(["history"]);
  broker.append(2);
  await listener.subscribe(since(1));
  expect(listener.told()).toEqual(["ack BAD_REQUEST"]);
  expect(listener.session.channels).toEqual([]);
  const v1 = await listening([]);
  v1.broker.append(2);
  v1.broker.handed = v1.broker.head;
  await v1.listener.subscribe(since(1));
  v1.broker.deliver(1);
  expect(v1.listener.told()).toEqual(["ack ?", "live e/3"]);
});

test("a session that ends in the middle of a replay is sent nothing more and leaves nothing", async () => {
  const { broker, engine, listener } = await listening();
  // Once all the pages of its replay were read for nobody.
  broker.pageSize = 1;
  broker.append(4);
  broker.handed = broker.head;
  const { promise, resolve } = Promise.withResolvers<void>();
  broker.reading = () => promise;
  const recovering = listener.subscribe(since(1));
  await settled();
  broker.deliver(2);
  expect(listener.told()).toEqual(["ack e/4"]);
  listener.session.end(false);
  resolve();
  await recovering;
  expect(listener.told()).toEqual([]);
  expect([broker.wanted.size, engine.hub.size, engine.hub.subscriptions]).toEqual([0, 0, 0]);
  expect(broker.asked).toHaveLength(1);
});

test("a session that its acknowledgement closes reads nothing", async () => {
  const { broker, listener } = await listening(["recovery"], { maxErrors: 0 });
  broker.append(4);
  const subscriptions = [{ channel: "" }, { channel: ROOM, ...since(1) }];
  await send(listener.session, { envelope: { case: "subscribe", value: { subscriptions } } });
  expect(listener.transport.closed?.code).toBe(3509);
  expect(broker.asked).toEqual([]);
});

test("a session that its replay closes is sent nothing more, not even the verdict", async () => {
  const { broker, engine, listener } = await listening(["recovery", "credit"], {
    creditBytes: 20_000,
  });
  broker.append(40, 1_000);
  await listener.subscribe(since(0));
  expect(listener.transport.closed?.code).toBe(3510);
  expect(listener.told().filter((line) => line.startsWith("recovered"))).toEqual([]);
  expect(engine.hub.size).toBe(0);
});

test("a slow client with credit is replayed no more than limits.recovery_bytes", async () => {
  const { broker, listener } = await listening(["recovery", "credit"], {
    creditBytes: 400_000,
    recoveryBytes: 200_000,
  });
  broker.append(1_000, 1_000);
  await listener.subscribe(since(0));
  expect(listener.transport.closed).toBeUndefined();
  const told = listener.told();
  expect(told.at(-1)).toMatch(/^recovered e\/1000 limit e\/0\.\.e\/8\d\d$/);
  const bytes = listener.transport.frames.reduce((sum, frame) => sum + frame.length, 0);
  expect(bytes).toBeGreaterThan(200_000);
  expect(bytes).toBeLessThan(400_000);
});
