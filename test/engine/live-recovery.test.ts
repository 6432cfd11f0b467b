/** C9: to subscribe again with recovery, while live. Nothing is lost, nothing repeated, whatever is in flight. */
import { expect, test } from "vitest";
import { listening, ROOM, settled, since, subscribing } from "./log-broker.ts";
import { send } from "./scene.ts";

const ROOM_ONLY = { subscriptions: [{ channel: ROOM }] };

/** A client that is live at e/4 on a node that has been handed as much. */
async function live() {
  const parts = await listening();
  parts.broker.append(2);
  parts.broker.handed = parts.broker.head;
  await parts.listener.subscribe();
  parts.broker.deliver(2);
  parts.listener.told();
  return parts;
}

test("what is in flight comes live behind the verdict, and once", async () => {
  const { broker, listener } = await live();
  broker.append(2);
  broker.registering = () => broker.hand(5);
  broker.reading = () => broker.hand();
  await listener.subscribe(since(1));
  broker.deliver(1);
  expect(listener.told()).toEqual([
    "ack e/6",
    "replay e/2-4",
    "recovered e/4",
    "live e/5",
    "live e/6",
    "live e/7",
  ]);
});

test("a rewind loses nothing of what is in flight", async () => {
  const { broker, listener } = await live();
  broker.append(3);
  await listener.subscribe({ rewind: 1 });
  broker.hand();
  expect(listener.told()).toEqual(["ack e/7", "replay e/4", "recovered e/4", "live e/5-7"]);
});

test("what the client has got another way comes no more", async () => {
  const { broker, listener } = await live();
  broker.append(4);
  await listener.subscribe(since(6));
  broker.hand();
  expect(listener.told()).toEqual(["ack e/8", "recovered e/6", "live e/7-8"]);
});

test("a position beyond the head is of another log, and moves nothing", async () => {
  const { broker, listener } = await live();
  await listener.subscribe(since(9));
  broker.deliver(1);
  expect(listener.told()).toEqual(["ack e/4", "recovered e/4 epoch_changed e/9..e/4", "live e/5"]);
});

test.each([
  ["since", since(1), ["replay e/2-4", "recovered e/4"]],
  ["rewind", { rewind: 1 }, ["replay e/4", "recovered e/4"]],
])(
  "a client that is ahead of its node misses nothing between the two: %s",
  async (_, entry, expected) => {
    // Once the replay ended where the node was, and the client was live from where it had subscribed.
    const { broker, listener } = await listening();
    broker.append(4);
    await listener.subscribe();
    await listener.subscribe(entry);
    broker.append(1);
    broker.hand();
    expect(listener.told()).toEqual(["ack e/4", "ack e/4", ...expected, "live e/5"]);
  },
);

test.each([
  ["since", since(2), "recovered f/3 epoch_changed e/2..f/0"],
  // Once only the last message of the new log came, and nobody said that there had been others.
  ["rewind", { rewind: 1 }, "recovered f/3 epoch_changed e/4..f/0"],
])(
  "a log that began anew under a live client is replayed from its start: %s",
  async (_, entry, verdict) => {
    const { broker, listener } = await live();
    broker.lose("f");
    broker.append(3);
    broker.registering = () => broker.tellEpoch(3);
    await listener.subscribe(entry);
    broker.deliver(1);
    expect(listener.told()).toEqual(["ack f/3", "replay f/1-3", verdict, "live f/4"]);
  },
);

test("a node that does not know where it is neither loses nor repeats what comes next", async () => {
  const { broker, listener } = await live();
  broker.append(2);
  broker.handed = undefined;
  await listener.subscribe(since(4));
  broker.handed = { epoch: "e", offset: 4 };
  broker.hand();
  broker.deliver(1);
  const told = listener.told();
  expect(told[0]).toBe("ack e/6");
  expect(told.join()).toMatch(
    /^ack e\/6,(replay e\/5-6,recovered e\/6|recovered e\/4,live e\/5-6),live e\/7$/,
  );
});

test("a subscribe that fails leaves a live subscription live, with what came meanwhile", async () => {
  // C9
  const { broker, engine, listener } = await live();
  broker.registering = () => {
    broker.deliver(2);
    throw new Error("the channel does not answer");
  };
  await listener.subscribe(since(1));
  broker.deliver(1);
  expect(listener.told()).toEqual(["ack INTERNAL_ERROR", "live e/5-6", "live e/7"]);
  expect(engine.hub.subscriptions).toBe(1);
  expect(broker.wanted.size).toBe(1);
});

test("what a failed subscribe has left to be read does not come behind an unsubscribe", async () => {
  const { broker, listener } = await live();
  broker.registering = () => {
    for (let i = 0; i < 30; i++) broker.deliver(1, 50_000);
    throw new Error("the channel does not answer");
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  broker.reading = () => promise;
  const subscribing = listener.subscribe(since(1));
  await settled();
  const leaving = send(listener.session, {
    envelope: { case: "unsubscribe", value: ROOM_ONLY },
  });
  await settled();
  resolve();
  await Promise.all([subscribing, leaving]);
  expect(listener.told().at(-1)).toBe("unsubscribeAck");
});

test("to subscribe again is no second subscription and no second join", async () => {
  const { engine, broker, listener } = await listening();
  await listener.subscribe();
  await listener.subscribe(since(0));
  await listener.subscribe({ rewind: 2, ephemeral: true });
  expect(engine.hub.subscriptions).toBe(1);
  expect(broker.members).toEqual(["s joins", "s leaves"]);
});

test("who became a member by a subscribe that failed is one in the record as well", async () => {
  // Once a node that had slept did not know of the member, and never told that it had left.
  const { broker, listener } = await listening();
  await listener.subscribe({ ephemeral: true });
  broker.registering = () => {
    throw new Error("the channel does not answer");
  };
  await listener.subscribe();
  expect(broker.members).toEqual(["s joins"]);
  expect(listener.session.record().subscriptions).toMatchObject([{ ephemeral: false }]);
});

test("without recovery to subscribe again moves nothing", async () => {
  const { broker, listener } = await live();
  broker.append(3);
  await listener.subscribe();
  broker.hand();
  expect(listener.told()).toEqual(["ack e/7", "live e/5-7"]);
});

test("frames that name a channel which is catching up wait for it, and others do not", async () => {
  // S9
  const { broker, listener } = await listening();
  broker.append(2);
  const { promise, resolve } = Promise.withResolvers<void>();
  broker.reading = () => promise;
  const sent = [
    listener.subscribe(since(1)),
    send(listener.session, { envelope: { case: "unsubscribe", value: ROOM_ONLY } }),
    send(listener.session, subscribing({ channel: "other" })),
  ];
  await settled();
  expect(listener.told()).toEqual(["ack e/2", "ack e/2"]);
  resolve();
  await Promise.all(sent);
  expect(listener.told()).toEqual(["replay e/2", "recovered e/2", "unsubscribeAck"]);
  expect(listener.session.channels).toEqual(["other"]);
});
