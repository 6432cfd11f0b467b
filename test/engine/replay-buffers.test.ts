/** What is held back while a subscription is being made, and gaps that are met live (C10, C11). */
import { expect, test } from "vitest";
import { MAX_REPLAY_BUFFER_BYTES } from "../../src/protocol/limits.ts";
import { joining, type LogBroker, listening, since } from "./log-broker.ts";

/** More than may be held. */
const FLOOD = { count: 30, bytes: 50_000 };

function flood(broker: LogBroker): void {
  expect(FLOOD.count * FLOOD.bytes).toBeGreaterThan(MAX_REPLAY_BUFFER_BYTES);
  for (let i = 0; i < FLOOD.count; i++) broker.deliver(1, FLOOD.bytes);
}

/** The offsets of the messages that were told, run by run. */
function offsets(told: readonly string[]): number[] {
  return told.flatMap((line) => {
    const [, run] = /^(?:live|replay) .*\/(.*)$/.exec(line) ?? [];
    if (run === undefined) return [];
    const [first = 0, last = first] = run.split("-").map(Number);
    return upTo(first, last);
  });
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** What is told beside messages. */
function words(told: readonly string[]): string[] {
  return told.filter((line) => !/^(live|replay) /.test(line));
}

test.each([
  ["that recovers", ["recovery"], since(1), ["ack e/3", "recovered e/3"], 2],
  ["that does not", ["recovery"], {}, ["ack e/3"], 4],
  ["without the capability", ["x"], {}, ["ack e/3"], 4],
  ["of v1", [], {}, ["ack ?"], 4],
] as const)(
  "more than may be held is read from the log again, for a session %s",
  async (_, capabilities, entry, expected, first) => {
    const { broker, listener } = await listening(capabilities);
    broker.append(3);
    broker.handed = undefined;
    broker.registering = () => {
      broker.handed = { epoch: "e", offset: 3 };
      flood(broker);
    };
    await listener.subscribe(entry);
    broker.deliver(1);
    const told = listener.told();
    expect(words(told)).toEqual(expected);
    expect(offsets(told)).toEqual(upTo(first, 4 + FLOOD.count));
    expect(broker.asked.length).toBeGreaterThan(0);
  },
);

test("as much as may be held is not read again", async () => {
  const { broker, listener } = await listening();
  broker.registering = () => {
    for (let i = 0; i < FLOOD.count / 2; i++) broker.deliver(1, FLOOD.bytes);
  };
  await listener.subscribe();
  expect(offsets(listener.told())).toEqual(upTo(1, FLOOD.count / 2));
  expect(broker.asked).toEqual([]);
});

test("what comes while the log is read again is held again, and read again", async () => {
  const { broker, listener } = await listening();
  broker.registering = () => flood(broker);
  broker.reading = (count) => {
    if (count <= 2) flood(broker);
  };
  await listener.subscribe();
  const told = listener.told();
  expect(words(told)).toEqual(["ack e/0"]);
  expect(offsets(told)).toEqual(upTo(1, broker.log.length));
  expect(broker.log.length).toBeGreaterThan(2 * FLOOD.count);
});

test.each([
  ["does not hold any more", "gap head_trimmed e/0..e/10", 11],
  ["does not answer for", "gap unavailable e/0..e/21", 22],
])("what the log %s is told by a gap, and what is behind it is live", async (_, gap, first) => {
  const { broker, listener } = await listening();
  broker.registering = () => flood(broker);
  broker.reading = () => {
    if (first > 20) throw new Error("the disk is gone");
    broker.trimmed = 10;
  };
  await listener.subscribe();
  broker.deliver(1);
  const told = listener.told();
  expect(words(told)).toEqual(["ack e/0", gap]);
  expect(offsets(told)).toEqual(upTo(first, FLOOD.count + 1));
});

test("as many as one request may replay are read again, and a gap tells of those before", async () => {
  const { broker, listener } = await listening(["recovery"], { recoveryMessages: 12 });
  broker.registering = () => flood(broker);
  await listener.subscribe();
  broker.deliver(1);
  const told = listener.told();
  // The first 21 were too much to be held, and the rest was not.
  expect(words(told)).toEqual(["ack e/0", "gap limit e/0..e/9"]);
  expect(offsets(told)).toEqual(upTo(10, FLOOD.count + 1));
});

test("stragglers of an old log that are held are not delivered", async () => {
  const { broker, listener } = await listening();
  broker.append(4);
  broker.handed = { epoch: "e", offset: 2 };
  const old = broker.log.slice(2);
  broker.lose("f");
  broker.append(2);
  broker.registering = () => {
    broker.handler.publications("room", "e", old);
    broker.tellEpoch();
    broker.deliver(1);
  };
  await listener.subscribe(since(1, "f"));
  expect(listener.told()).toEqual(["ack f/2", "replay f/2", "recovered f/2", "live f/3"]);
});

test("nor are they when there are too many of them", async () => {
  // Once the subscription went back to the old log, and what came of the new one was lost to it.
  const { broker, listener } = await listening();
  const old = broker;
  broker.append(FLOOD.count, FLOOD.bytes);
  const entries = old.log;
  broker.lose("f");
  broker.append(2);
  broker.registering = () => {
    for (const entry of entries) broker.handler.publications("room", "e", [entry]);
    broker.tellEpoch();
    broker.deliver(1);
  };
  await listener.subscribe();
  broker.deliver(1);
  expect(listener.told()).toEqual(["ack f/2", "live f/3", "live f/4"]);
});

test("a log that begins anew during a replay is told, however much came of it", async () => {
  for (const much of [false, true]) {
    const { broker, listener } = await listening();
    broker.append(2);
    broker.handed = broker.head;
    broker.registering = () => {
      broker.lose("f");
      broker.tellEpoch();
      if (much) flood(broker);
      else broker.deliver(2);
    };
    await listener.subscribe();
    broker.deliver(1);
    const told = listener.told();
    expect(words(told)).toEqual(["ack e/2", "gap epoch_changed e/2..f/0"]);
    expect(offsets(told)).toEqual(upTo(1, broker.log.length));
  }
});

test.each([false, true])(
  "a subscription does not go through the logs before the one it begins in (many: %s)",
  async (many) => {
    // Once it went back to such a log when its beginning was told while the subscription was being made.
    const { broker, listener } = await listening();
    broker.append(2);
    broker.handed = broker.head;
    broker.answersLate = true;
    broker.registering = () => {
      broker.lose("f");
      broker.tellEpoch();
      if (many) flood(broker);
      else broker.deliver(2);
      broker.lose("g");
      broker.append(1);
      broker.tellEpoch();
    };
    await listener.subscribe();
    broker.hand();
    broker.deliver(1);
    expect(listener.told()).toEqual(["ack g/1", "live g/2"]);
  },
);

test("what was given before the buffering is not read again when the subscribe fails", async () => {
  // Once everything since the first subscribe came a second time.
  const { broker, listener } = await listening();
  await listener.subscribe();
  broker.deliver(5);
  broker.registering = () => {
    flood(broker);
    throw new Error("the channel does not answer");
  };
  await listener.subscribe(since(5));
  const told = listener.told();
  expect(words(told)).toEqual(["ack e/0", "ack INTERNAL_ERROR"]);
  expect(offsets(told)).toEqual(upTo(1, 5 + FLOOD.count));
});

test("a gap is told once for each subscription, from what it was given last", async () => {
  const node = await listening();
  const { broker, listener } = node;
  broker.append(3);
  broker.handed = { epoch: "e", offset: 2 };
  await listener.subscribe();
  const second = await joining(node);
  await second.subscribe();
  const deaf = await joining(node, ["x"]);
  await deaf.subscribe();
  const v1 = await joining(node, []);
  await v1.subscribe();
  broker.deliver(2);
  broker.append(6);
  broker.handed = { epoch: "e", offset: 8 };
  const hole = { reason: "head_trimmed", after: { epoch: "e", offset: 5 } } as const;
  broker.tell({ ...hole, until: { epoch: "e", offset: 8 } });
  broker.hand();
  const gap = "gap head_trimmed e/5..e/8";
  expect(listener.told()).toEqual(["ack e/3", "live e/4-5", gap, "live e/9-11"]);
  expect(second.told()).toEqual(["ack e/3", "live e/4-5", gap, "live e/9-11"]);
  expect(deaf.told()).toEqual(["ack e/3", "live e/4-5", "live e/9-11"]);
  expect(v1.told()).toEqual(["ack ?", "live e/4-5", "live e/9-11"]);
});

test("a session that begins behind a gap does not hear of it, one inside hears of its part", async () => {
  const node = await listening();
  const { broker, listener } = node;
  broker.append(2);
  broker.handed = { epoch: "e", offset: 2 };
  await listener.subscribe();
  broker.append(3);
  const inside = await joining(node);
  await inside.subscribe();
  broker.append(3);
  const behind = await joining(node);
  await behind.subscribe();
  broker.append(1);
  broker.handed = { epoch: "e", offset: 8 };
  broker.tell({ reason: "expired", after: { epoch: "e", offset: 2 }, until: broker.handed });
  broker.hand();
  expect(listener.told()).toEqual(["ack e/2", "gap expired e/2..e/8", "live e/9"]);
  expect(inside.told()).toEqual(["ack e/5", "gap expired e/5..e/8", "live e/9"]);
  expect(behind.told()).toEqual(["ack e/8", "live e/9"]);
});

test("a gap that is met during a replay is told behind what comes before it", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  broker.reading = () => {
    broker.deliver(1);
    broker.append(3);
    const after = broker.handed;
    broker.handed = { epoch: "e", offset: 5 };
    broker.tell({ reason: "unavailable", after, until: broker.handed });
    broker.hand();
  };
  await listener.subscribe(since(1));
  expect(listener.told()).toEqual([
    "ack e/2",
    "replay e/2",
    "recovered e/2",
    "live e/3",
    "gap unavailable e/3..e/5",
    "live e/6",
  ]);
});

test("a log that begins anew is told once, by who knows it first", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  await listener.subscribe();
  broker.deliver(1);
  broker.lose("f");
  broker.tellEpoch();
  broker.deliver(2);
  expect(listener.told()).toEqual([
    "ack e/2",
    "live e/3",
    "gap epoch_changed e/3..f/0",
    "live f/1-2",
  ]);
  // A broker that slept through it does not know the log before.
  broker.lose("g");
  broker.append(4);
  broker.handed = { epoch: "g", offset: 2 };
  broker.hand();
  broker.deliver(1);
  expect(listener.told()).toEqual(["gap epoch_changed f/0..g/2", "live g/3-4", "live g/5"]);
});
