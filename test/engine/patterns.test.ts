/** A session that has a channel by patterns, and by itself as well: W2, W3, W5. */
import { expect, test } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { MAX_REPLAY_BUFFER_BYTES } from "../../src/protocol/limits.ts";
import {
  joining,
  type Listener,
  type LogBroker,
  listening,
  ROOM,
  settled,
  since,
} from "./log-broker.ts";
import { send } from "./scene.ts";

/** More than may be held. */
const FLOOD = { count: 30, bytes: 50_000 };
const PATTERN = { channel: "*" };
/** As long as a channel's position is kept, and longer. */
const DAY = DEFAULT_CHANNEL_RULES.positionTtlMs + 1_000;

function flood(broker: LogBroker): void {
  expect(FLOOD.count * FLOOD.bytes).toBeGreaterThan(MAX_REPLAY_BUFFER_BYTES);
  for (let i = 0; i < FLOOD.count; i++) broker.deliver(1, FLOOD.bytes);
}

function from(offset: number, epoch = "e") {
  return { ...PATTERN, positions: { [ROOM]: { epoch, offset: BigInt(offset) } } };
}

async function leave({ session }: Listener, channel: string): Promise<void> {
  const value = { subscriptions: [{ channel }] };
  await send(session, { envelope: { case: "unsubscribe", value } });
}

/** Offsets of all messages in what was told, and everything else. */
function split(told: readonly string[]): { offsets: number[]; words: string[] } {
  const offsets: number[] = [];
  const words: string[] = [];
  for (const line of told) {
    const [, first, last = first] = /^(?:live|replay) \w+\/(\d+)(?:-(\d+))?$/.exec(line) ?? [];
    if (first === undefined) words.push(line);
    else for (let i = Number(first); i <= Number(last); i++) offsets.push(i);
  }
  return { offsets, words };
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

test.each([
  ["extended", ["recovery"], "ack time/1000"],
  ["v1", [], "ack ?"],
] as const)(
  "an %s session is given what comes behind the acknowledgement",
  async (_, caps, ack) => {
    const { broker, listener } = await listening(caps);
    broker.registering = () => broker.deliver(1);
    await listener.subscribe(PATTERN);
    expect(listener.told()).toEqual([ack]);
    broker.deliver(2);
    broker.deliver(1);
    expect(listener.told()).toEqual(["live e/2-3", "live e/4"]);
    await leave(listener, "*");
    broker.deliver(1);
    expect(listener.told()).toEqual(["unsubscribeAck"]);
    expect([...broker.wanted]).toEqual([]);
  },
);

test("what is on its way when the channel is subscribed to comes once", async () => {
  const { broker, listener } = await listening();
  await listener.subscribe(PATTERN);
  broker.deliver(2);
  broker.append(2);
  await listener.subscribe();
  broker.hand();
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "live e/1-2",
    "ack e/4",
    "live e/3-4",
    "live e/5",
  ]);
});

test("a node that knows nothing of the channel yet gives what comes of it", async () => {
  const { broker, listener } = await listening();
  broker.handed = undefined;
  broker.append(2);
  await listener.subscribe(PATTERN);
  await listener.subscribe();
  broker.hand();
  expect(listener.told()).toEqual(["ack time/1000", "ack e/2", "live e/1-2"]);
});

test("a log that begins anew under both is told once", async () => {
  const { broker, listener } = await listening();
  await listener.subscribe(PATTERN);
  broker.deliver(2);
  broker.registering = () => {
    broker.lose("f");
    broker.append(1);
    broker.tellEpoch();
  };
  broker.answersLate = true;
  await listener.subscribe();
  broker.hand();
  expect(listener.told()).toEqual([
    "ack time/1000",
    "live e/1-2",
    "ack f/1",
    "gap epoch_changed e/2..f/0",
    "live f/1",
  ]);
});

test("what a subscription held back that fails comes by the pattern", async () => {
  const { broker, listener } = await listening();
  await listener.subscribe(PATTERN);
  broker.registering = () => {
    broker.deliver(2);
    broker.tell({
      reason: "expired",
      after: { epoch: "e", offset: 2 },
      until: { epoch: "e", offset: 3 },
    });
    throw new Error("the channel is gone");
  };
  await listener.subscribe();
  broker.registering = undefined;
  broker.append(1);
  broker.handed = { epoch: "e", offset: 3 };
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "live e/1-2",
    "gap expired e/2..e/3",
    "ack INTERNAL_ERROR",
    "live e/4",
  ]);
});

test("who leaves the channel again goes on behind what was replayed", async () => {
  const { broker, listener } = await listening();
  broker.append(4);
  await listener.subscribe(since(1));
  await listener.subscribe(PATTERN);
  await leave(listener, ROOM);
  // It was on its way all the time.
  broker.hand();
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/4",
    "replay e/2-4",
    "recovered e/4",
    "ack time/1000",
    "unsubscribeAck",
    "live e/5",
  ]);
});

test("a pattern catches up, and what comes meanwhile comes behind it and once", async () => {
  const { broker, listener } = await listening();
  broker.append(4);
  broker.reading = (count) => {
    // Some of what is replayed was on its way, and there is more.
    if (count === 2) broker.deliver(1);
  };
  await listener.subscribe(from(2));
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "replay e/3-4",
    "recovered e/4",
    "recovered time/1000 unavailable ?..time/1000",
    "live e/5",
    "live e/6",
  ]);
});

test.each([
  ["nothing is there", 0, 500, 1_000, []],
  [
    "nothing is there, and it may have been forgotten",
    0,
    500,
    DAY,
    ["recovered e/0 expired ?..e/0"],
  ],
  ["it began since", 2, 0, 1_000, ["replay e/1-2", "recovered e/2"]],
  [
    "it began since, and there may have been one before",
    2,
    0,
    DAY,
    ["replay e/1-2", "recovered e/2 expired ?..e/0"],
  ],
  ["it is older, and was quiet for long", 2, 40_000, 50_000, []],
  ["it is older, and was quiet of late", 2, 500, 1_000, ["recovered e/2 unavailable ?..e/2"]],
] as const)(
  "of a channel that the client has never seen, where %s, it is told what is known",
  async (_, entries, last, now, expected) => {
    const { broker, listener } = await listening();
    broker.append(entries);
    broker.handed = broker.head;
    broker.time = now;
    await listener.subscribe({ ...PATTERN, ...since(last, "time") });
    expect(listener.told()).toEqual([`ack time/${now}`, ...expected, `recovered time/${now}`]);
  },
);

test("of a channel that keeps nothing it is told that nobody knows, though nothing is there", async () => {
  const rules = new RuleBook([
    { pattern: "**", rules: { ...DEFAULT_CHANNEL_RULES, historySize: 0, recovery: false } },
  ]);
  const { listener } = await listening(["recovery"], { rules });
  await listener.subscribe({ ...PATTERN, ...since(900, "time") });
  expect(listener.told()[1]).toBe("recovered e/0 unavailable ?..e/0");
});

test("what is looked at and not replayed uses up nothing", async () => {
  const { broker, listener } = await listening(["recovery"], { recoveryMessages: 4 });
  broker.append(9);
  broker.handed = broker.head;
  broker.answered = { channels: [ROOM, "other"], gap: undefined };
  await listener.subscribe({ ...PATTERN, ...since(2, "time") });
  const told = listener.told().filter((line) => line.startsWith("recovered e"));
  expect(told).toEqual(["recovered e/9 unavailable ?..e/9", "recovered e/9 unavailable ?..e/9"]);
});

test("what was held of a log that has been lost does not come behind the one that is there", async () => {
  const { broker, listener } = await listening();
  broker.append(3);
  broker.handed = { epoch: "e", offset: 1 };
  broker.reading = (count) => {
    if (count !== 1) return;
    broker.hand();
    // The node is not told: it did not know the channel.
    broker.lose("f");
    broker.handed = undefined;
  };
  await listener.subscribe(from(1));
  broker.deliver(1);
  const told = listener.told();
  expect(told.filter((line) => line.startsWith("live"))).toEqual(["live f/1"]);
});

test("a log that comes after the one that was caught up with is announced by a gap", async () => {
  for (const isHeld of [false, true]) {
    const { broker, listener } = await listening();
    broker.append(3);
    broker.handed = undefined;
    // The node is not told: it does not know the channel.
    const renew = () => {
      broker.lose("f");
      broker.deliver(1);
    };
    broker.reading = (count) => {
      if (isHeld && count === 2) renew();
    };
    await listener.subscribe(from(1));
    if (!isHeld) renew();
    const { offsets, words } = split(listener.told());
    expect(words).toContain("gap epoch_changed e/3..f/0");
    expect(offsets.at(-1)).toBe(1);
  }
});

test("a log that a session was led into before its node is not announced to it again", async () => {
  const { broker, listener } = await listening();
  broker.append(3);
  broker.handed = { epoch: "e", offset: 3 };
  broker.lose("f");
  await listener.subscribe(from(1));
  expect(listener.told()).toContain("recovered f/0 epoch_changed e/1..f/0");
  broker.registering = () => broker.tellEpoch();
  await listener.subscribe({ channel: ROOM });
  broker.deliver(1);
  expect(listener.told()).toEqual(["ack f/0", "live f/1"]);
});

test("an answer that the next log has overtaken takes nothing of that away", async () => {
  const { broker, listener } = await listening();
  broker.append(3);
  broker.handed = { epoch: "e", offset: 3 };
  const late = await broker.history(ROOM, { limit: 1 });
  const history = broker.history.bind(broker);
  broker.history = async () => {
    broker.history = history;
    broker.lose("f");
    broker.tellEpoch();
    broker.deliver(2);
    return late;
  };
  await listener.subscribe(from(3));
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "replay f/1-2",
    "recovered f/2 epoch_changed e/3..f/0",
    "recovered time/1000 unavailable ?..time/1000",
    "live f/3",
  ]);
});

test("more than may be held is read again, and what comes while it is read as well", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.reading = (count) => {
    if (count <= 3) flood(broker);
  };
  await listener.subscribe(from(0));
  broker.deliver(1);
  const { offsets, words } = split(listener.told());
  expect(offsets).toEqual(upTo(1, broker.log.length));
  expect(broker.log.length).toBe(3 * FLOOD.count + 3);
  expect(words.filter((word) => word.startsWith("gap"))).toEqual([]);
});

test("what is held across two lives of the log stays in its order", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = { epoch: "e", offset: 2 };
  broker.reading = (count) => {
    if (count !== 2) return;
    flood(broker);
    broker.lose("f");
    broker.tellEpoch();
    flood(broker);
  };
  await listener.subscribe(from(0));
  const told = listener.told();
  // The old log cannot be read any more, which is told before the new one begins.
  expect(told.filter((line) => !/^(live|replay) /.test(line))).toEqual([
    "ack time/1000",
    "recovered e/2 unavailable e/0..e/2",
    "recovered time/1000 unavailable ?..time/1000",
    `gap unavailable e/2..e/${FLOOD.count + 2}`,
    `gap epoch_changed e/${FLOOD.count + 2}..f/0`,
  ]);
  expect(split(told).offsets).toEqual(upTo(1, FLOOD.count));
});

test("two requests catch up one after the other, and what comes meanwhile waits for both", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = { epoch: "e", offset: 2 };
  broker.answered = { channels: [], gap: undefined };
  const reading = Promise.withResolvers<void>();
  broker.reading = (count) => (count === 2 ? reading.promise : undefined);
  const slow = listener.subscribe(from(0));
  await settled();
  const quick = listener.subscribe({ channel: "**", ...since(900, "time") });
  await settled();
  broker.deliver(1);
  reading.resolve();
  await Promise.all([slow, quick]);
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "ack time/1000",
    "replay e/1-2",
    "recovered e/2",
    "recovered time/1000 unavailable ?..time/1000",
    "recovered time/1000",
    "live e/3",
    "live e/4",
  ]);
});

test("who subscribes to a channel that is being caught up with waits for that, and misses nothing", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = { epoch: "e", offset: 2 };
  const reading = Promise.withResolvers<void>();
  broker.reading = (count) => (count === 2 ? reading.promise : undefined);
  const slow = listener.subscribe(from(0));
  await settled();
  broker.deliver(1);
  const exact = listener.subscribe();
  await settled();
  broker.deliver(1);
  reading.resolve();
  await Promise.all([slow, exact]);
  broker.deliver(1);
  const told = listener.told();
  expect(split(told).offsets).toEqual(upTo(1, 5));
  expect(split(told).words).toEqual([
    "ack time/1000",
    "recovered e/2",
    "recovered time/1000 unavailable ?..time/1000",
    "ack e/4",
  ]);
});

test("what was held back of a pattern that is left meanwhile is not given out", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = { epoch: "e", offset: 2 };
  await listener.subscribe(PATTERN);
  const reading = Promise.withResolvers<void>();
  broker.reading = (count) => (count === 2 ? reading.promise : undefined);
  const positions = { "other.a": { epoch: "e", offset: 1n } };
  const slow = listener.subscribe({ channel: "other.*", positions });
  await settled();
  broker.deliver(1);
  await leave(listener, "*");
  reading.resolve();
  await slow;
  expect(listener.told()).toEqual([
    "ack time/1000",
    "ack time/1000",
    "unsubscribeAck",
    "replay e/2",
    "recovered e/2",
    "recovered time/1000 unavailable ?..time/1000",
  ]);
});

test("of a gap that is met live only what the replay did not bring is told", async () => {
  const { broker, listener } = await listening();
  broker.append(4);
  await listener.subscribe(from(2));
  listener.told();
  const gap = (after: number, until: number) =>
    broker.tell({
      reason: "expired",
      after: { epoch: "e", offset: after },
      until: { epoch: "e", offset: until },
    });
  gap(1, 3);
  gap(1, 4);
  gap(2, 6);
  gap(7, 8);
  expect(listener.told()).toEqual(["gap expired e/4..e/6", "gap expired e/7..e/8"]);
});

test("a hole between messages that are too much to be held is told in its place, once", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = { epoch: "e", offset: 2 };
  broker.reading = (count) => {
    if (count !== 2) return;
    flood(broker);
    const [after, until] = [broker.log.length, broker.log.length + 2];
    broker.append(2);
    broker.handed = { epoch: "e", offset: until };
    broker.tell({
      reason: "expired",
      after: { epoch: "e", offset: after },
      until: { epoch: "e", offset: until },
    });
    flood(broker);
  };
  await listener.subscribe(from(0));
  const told = listener.told();
  const hole = `gap expired e/${FLOOD.count + 2}..e/${FLOOD.count + 4}`;
  expect(told.filter((line) => line.startsWith("gap"))).toEqual([hole]);
  expect(split(told.slice(0, told.indexOf(hole))).offsets.at(-1)).toBe(FLOOD.count + 2);
  expect(split(told.slice(told.indexOf(hole))).offsets[0]).toBe(FLOOD.count + 5);
});

test("what another pattern brings already was not missed", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  await listener.subscribe({ channel: "**" });
  broker.hand();
  await listener.subscribe({ ...PATTERN, ...since(1000, "time") });
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "live e/1-2",
    "ack time/1000",
    "recovered time/1000",
    "live e/3",
  ]);
});

test("what a subscription to the channel brings already was not missed", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  broker.time = 50_000;
  await listener.subscribe();
  broker.deliver(1);
  await listener.subscribe({ ...PATTERN, ...since(40_000, "time") });
  await listener.subscribe(from(2));
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/2",
    "live e/3",
    "ack time/50000",
    "recovered time/50000",
    "ack time/50000",
    "recovered time/50000 unavailable ?..time/50000",
    "live e/4",
  ]);
});

test("what was missed of a channel comes by its subscription, once, though that is still asked for", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  const registered = Promise.withResolvers<void>();
  broker.registering = () => registered.promise;
  const exact = listener.subscribe();
  await settled();
  broker.registering = undefined;
  const pattern = listener.subscribe({ ...PATTERN, ...since(0, "time") });
  await settled();
  expect(listener.told()).toEqual(["ack time/1000"]);
  registered.resolve();
  await Promise.all([exact, pattern]);
  broker.deliver(1);
  const { offsets, words } = split(listener.told());
  expect(offsets).toEqual([1, 2, 3]);
  expect(words.toSorted()).toEqual(["ack e/2", "recovered e/2", "recovered time/1000"]);
});

test("who subscribes again to a channel that a pattern catches up with is given what comes after that, once", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  await listener.subscribe();
  const reading = Promise.withResolvers<void>();
  broker.reading = (count) => (count === 2 ? reading.promise : undefined);
  const pattern = listener.subscribe({ ...PATTERN, ...since(0, "time") });
  await settled();
  const again = listener.subscribe(since(1));
  await settled();
  broker.deliver(1);
  reading.resolve();
  await Promise.all([pattern, again]);
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/2",
    "ack time/1000",
    "ack e/2",
    "replay e/1-2",
    "recovered e/2",
    "recovered time/1000",
    "replay e/2",
    "recovered e/2",
    "live e/3",
    "live e/4",
  ]);
});

test("patterns that catch up at the same time report of a channel once, though they are of two requests", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  await Promise.all([
    listener.subscribe({ ...PATTERN, ...since(500, "time") }),
    listener.subscribe({ channel: "**", ...since(400, "time") }),
  ]);
  expect(listener.told()).toEqual([
    "ack time/1000",
    "ack time/1000",
    "recovered e/2 unavailable ?..e/2",
    "recovered time/1000",
    "recovered time/1000",
  ]);
});

test.each([
  ["away for longest", since(900, "time"), since(0, "time"), ["recovered time/1000"]],
  [
    "that has the least",
    { positions: { [ROOM]: { epoch: "e", offset: 1n } } },
    { positions: { [ROOM]: { epoch: "e", offset: 0n } } },
    ["recovered time/1000 unavailable ?..time/1000"],
  ],
] as const)(
  "of several patterns that catch up with a channel it is the one %s that counts",
  async (_, one, other, verdict) => {
    const { broker, listener } = await listening();
    broker.append(2);
    broker.handed = broker.head;
    const subscriptions = [
      { ...PATTERN, ...one },
      { channel: "**", ...other },
    ];
    await send(listener.session, { envelope: { case: "subscribe", value: { subscriptions } } });
    expect(listener.told()).toEqual([
      "ack time/1000",
      "ack time/1000",
      "replay e/1-2",
      "recovered e/2",
      ...verdict,
      ...verdict,
    ]);
  },
);

const KNOWN = { ...PATTERN, ...since(0, "time") };
const BEHIND = { ...KNOWN, positions: { [ROOM]: { epoch: "e", offset: 1n } } };
const UNKNOWN_PLACE = "unavailable ?..e/1";

test.each([
  ["the last messages", { rewind: 2 }, BEHIND, "replay e/2-5", "recovered e/5"],
  ["what was after a higher position", since(3), BEHIND, "replay e/2-5", "recovered e/5"],
  ["what was after a lower position", since(0), BEHIND, "replay e/1-5", "recovered e/5"],
  ["no position", { recover: true }, BEHIND, "replay e/2-5", `recovered e/5 ${UNKNOWN_PLACE}`],
  ["the last messages of one never seen", { rewind: 2 }, KNOWN, "replay e/1-5", "recovered e/5"],
  ["more than was missed", { rewind: 9 }, BEHIND, "replay e/1-5", "recovered e/5"],
] as const)(
  "where a client asks for a channel by itself as well, by %s, the replay begins with what is lower",
  async (_, asks, pattern, replayed, recovered) => {
    for (const together of [true, false]) {
      const { broker, listener } = await listening();
      broker.append(5);
      broker.handed = broker.head;
      const exact = { ...asks, channel: ROOM };
      const value = { subscriptions: together ? [exact, pattern] : [pattern, exact] };
      await send(listener.session, { envelope: { case: "subscribe", value } });
      broker.deliver(1);
      const told = listener.told();
      expect(told.slice(2)).toEqual([replayed, recovered, "recovered time/1000", "live e/6"]);
    }
  },
);

/** Of a channel that has no recovery. */
async function unrecoverable() {
  const rules = new RuleBook(
    [{ pattern: ROOM, rules: { ...DEFAULT_CHANNEL_RULES, recovery: false } }],
    DEFAULT_CHANNEL_RULES,
  );
  const parts = await listening(["recovery"], { rules });
  parts.broker.append(3);
  parts.broker.handed = parts.broker.head;
  return parts;
}

test("a request that asks for a channel that cannot be recovered, by itself and by a pattern, has one verdict on it", async () => {
  const { broker, listener } = await unrecoverable();
  const value = { subscriptions: [{ channel: ROOM, ...since(2, "d") }, from(2, "d")] };
  await send(listener.session, { envelope: { case: "subscribe", value } });
  broker.deliver(1);
  const told = listener.told().filter((line) => !line.startsWith("ack"));
  expect(told.toSorted()).toEqual([
    "live e/4",
    "recovered e/3 unavailable d/2..e/3",
    "recovered time/1000 unavailable ?..time/1000",
  ]);
});

test("what a subscription has brought since it began is not missing, though the channel cannot be recovered", async () => {
  const { broker, listener } = await unrecoverable();
  await listener.subscribe();
  broker.deliver(2);
  await listener.subscribe(from(2, "d"));
  expect(listener.told()).toEqual([
    "ack e/3",
    "live e/4-5",
    "ack time/1000",
    "recovered e/3 unavailable d/2..e/3",
    "recovered time/1000 unavailable ?..time/1000",
  ]);
});

test("a verdict on a channel that cannot be recovered names the log of now, and not the one that the subscription began in", async () => {
  const { broker, listener } = await unrecoverable();
  await listener.subscribe();
  broker.lose("f");
  broker.deliver(2);
  await listener.subscribe(from(2, "d"));
  expect(listener.told().filter((line) => line.startsWith("recovered"))).toEqual([
    "recovered f/2 unavailable d/2..f/2",
    "recovered time/1000 unavailable ?..time/1000",
  ]);
});

test("what a client has not asked for by itself comes by a pattern of a later request", async () => {
  const { broker, listener } = await listening();
  broker.append(5);
  broker.handed = broker.head;
  await listener.subscribe(since(3));
  await listener.subscribe(BEHIND);
  await listener.subscribe({ ...BEHIND, channel: "**", positions: {} });
  broker.deliver(1);
  const told = listener.told();
  expect(told.slice(0, 6)).toEqual([
    "ack e/5",
    "replay e/4-5",
    "recovered e/5",
    "ack time/1000",
    "replay e/2-5",
    "recovered e/5",
  ]);
  expect(told.at(-1)).toBe("live e/6");
});

test("of several patterns of a session one brings a message, as long as there is one", async () => {
  const scene = await listening();
  const { broker, listener, engine } = scene;
  const other = await joining(scene);
  await listener.subscribe(PATTERN);
  await listener.subscribe({ channel: "**" });
  await other.subscribe({ channel: "**" });
  broker.deliver(1);
  await leave(listener, "*");
  broker.deliver(1);
  await leave(listener, "**");
  broker.deliver(1);
  expect(split(listener.told()).offsets).toEqual([1, 2]);
  expect(split(other.told()).offsets).toEqual([1, 2, 3]);
  expect(engine.stats()).toMatchObject({ patterns: 1, subscriptions: 1, delivered: 5 });
  other.session.end(true);
  expect(engine.stats()).toMatchObject({ patterns: 0, subscriptions: 0 });
  expect([...broker.wanted]).toEqual([]);
});

test("a gap that nobody knows the channels of names the pattern, to those that can take it", async () => {
  const scene = await listening();
  const { broker, listener } = scene;
  const old = await joining(scene, []);
  for (const one of [listener, old]) {
    await one.subscribe(PATTERN);
    one.told();
  }
  broker.handler.patternGap("*", {
    reason: "epoch_changed",
    after: { epoch: "time", offset: 1 },
    until: { epoch: "time2", offset: 2 },
  });
  expect(listener.told()).toEqual(["gap epoch_changed time/1..time2/2"]);
  expect(old.told()).toEqual([]);
});

test("what is asked for in vain leaves nothing", async () => {
  const { broker, listener, engine } = await listening();
  broker.registering = () => {
    throw new Error("the broker is gone");
  };
  await listener.subscribe(PATTERN);
  expect(listener.told()).toEqual(["ack INTERNAL_ERROR"]);
  expect(engine.stats()).toMatchObject({ patterns: 0, subscriptions: 0 });
  expect([...broker.wanted]).toEqual([]);
});
