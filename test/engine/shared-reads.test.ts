/** C3 to C9 where many come back at once: one reads what all of them have missed, and each gets what it would get alone. */
import { expect, test } from "vitest";
import { seed, seededRandom, steps } from "../support/random.ts";
import { joining, type Listener, type LogBroker, listening, since } from "./log-broker.ts";

type Node = Awaited<ReturnType<typeof listening>>;

/** How often entries were read, and not the position alone. */
function reads({ asked }: LogBroker): number {
  return asked.filter(({ limit }) => limit !== 0).length;
}

async function crowd(node: Node, size: number): Promise<Listener[]> {
  return [
    node.listener,
    ...(await Promise.all(Array.from({ length: size - 1 }, () => joining(node)))),
  ];
}

test.each([
  ["at once", (clients: Listener[]) => Promise.all(clients.map((one) => one.subscribe(since(2))))],
  [
    "one after the other",
    async (clients: Listener[]) => {
      for (const one of clients) await one.subscribe(since(2));
    },
  ],
])("a hundred that come back %s cost one read and one encoding", async (_, comeBack) => {
  const node = await listening();
  const { broker, engine } = node;
  broker.append(9);
  broker.handed = broker.head;
  const clients = await crowd(node, 100);
  await comeBack(clients);
  for (const client of clients) {
    expect(client.told()).toEqual(["ack e/9", "replay e/3-9", "recovered e/9"]);
  }
  expect(reads(broker)).toBe(1);
  expect(engine.stats().encoded).toEqual([0, 7, 0, 0, 0, 0]);
  expect(engine.stats().replayed).toBe(700);
});

test("nobody is given what the log does not hold any more", async () => {
  const node = await listening();
  const { broker } = node;
  broker.append(5);
  broker.handed = broker.head;
  const [first, second, third] = (await crowd(node, 3)) as [Listener, Listener, Listener];
  await first.subscribe(since(1));
  broker.trimmed = 3;
  await second.subscribe(since(1));
  await broker.removeHistory();
  await third.subscribe(since(1));
  expect(first.told()).toEqual(["ack e/5", "replay e/2-5", "recovered e/5"]);
  expect(second.told()).toEqual(["ack e/5", "replay e/4-5", "recovered e/5 head_trimmed e/1..e/3"]);
  expect(third.told()).toEqual(["ack e/5", "recovered e/5 head_trimmed e/1..e/5"]);
});

test("a read that fails fails for one session alone", async () => {
  const node = await listening();
  const { broker } = node;
  broker.append(5);
  broker.handed = broker.head;
  broker.reading = (count) => {
    if (count === 1) throw new Error("the log does not answer");
  };
  const clients = await crowd(node, 3);
  await Promise.all(clients.map((one) => one.subscribe(since(1))));
  const verdicts = clients.map((one) => one.told().at(-1)).toSorted();
  expect(verdicts).toEqual([
    "recovered e/5",
    "recovered e/5",
    "recovered e/5 unavailable e/1..e/5",
  ]);
});

test("a session that ends while it reads for others takes nothing from them", async () => {
  const node = await listening();
  const { broker } = node;
  broker.append(5);
  broker.handed = broker.head;
  const [first, second] = (await crowd(node, 2)) as [Listener, Listener];
  broker.reading = (count) => {
    if (count === 1) first.session.end(true);
  };
  await Promise.all([first, second].map((one) => one.subscribe(since(1))));
  expect(second.told()).toEqual(["ack e/5", "replay e/2-5", "recovered e/5"]);
});

test("what is kept is bounded", async () => {
  const node = await listening();
  const { broker } = node;
  const [first, second] = (await crowd(node, 2)) as [Listener, Listener];
  broker.append(60, 60_000);
  broker.handed = broker.head;
  /** How many reads a recovery takes. */
  const cost = async (client: Listener, offset: number): Promise<number> => {
    const before = reads(broker);
    await client.subscribe(since(offset));
    return reads(broker) - before;
  };
  // Together about 4.8 MB of 4 MiB: the first of them goes.
  for (const offset of [45, 46, 47, 48, 49, 44]) expect(await cost(first, offset)).toBe(1);
  expect(await cost(second, 49)).toBe(0);
  expect(await cost(second, 45)).toBe(1);
  // Of one range so much is never kept.
  expect(await cost(first, 0)).toBeGreaterThan(0);
  expect(await cost(second, 0)).toBeGreaterThan(0);
});

test("where a registration says what history held, nothing else is asked", async () => {
  const node = await listening();
  const { broker } = node;
  broker.append(9);
  Object.assign(broker, { handed: broker.head, saysHeld: true });
  const clients = await crowd(node, 20);
  await Promise.all(clients.map((one) => one.subscribe(since(2))));
  expect(broker.asked).toHaveLength(1);
  broker.trimmed = 4;
  const late = await joining(node);
  await late.subscribe(since(2));
  expect(late.told()).toEqual(["ack e/9", "replay e/5-9", "recovered e/9 head_trimmed e/2..e/4"]);
});

test.each([false, true])(
  "each gets what a node gives that shares nothing: %s",
  async (saysHeld) => {
    const settings = { recoveryMessages: 8 };
    const node = await listening(["recovery"], settings);
    const { broker } = node;
    broker.saysHeld = saysHeld;
    let epoch = 0;
    const random = seededRandom(seed());
    for (let step = 0; step < steps(300); step++) {
      const happens = random.int(8);
      if (happens === 0) {
        broker.lose(`e${++epoch}`);
      } else if (happens === 1) broker.trimmed = random.int(broker.log.length + 1);
      else if (happens === 2) await broker.removeHistory();
      else broker.append(random.int(4));
      if (happens === 3) broker.reason = random.pick(["head_trimmed", "expired"] as const);
      broker.handed = broker.head;
      const entries = Array.from({ length: 4 }, () => {
        const offset = Math.max(0, broker.log.length - random.int(12));
        if (random.chance(0.2)) return { rewind: 1 + random.int(6) };
        return since(offset, random.chance(0.9) ? broker.epoch : "e");
      });
      const together = await Promise.all(
        entries.map(async (entry) => ({ entry, client: await joining(node) })),
      );
      await Promise.all(together.map(({ client, entry }) => client.subscribe(entry)));
      for (const { client, entry } of together) {
        const alone = await listening(["recovery"], settings);
        const { log, trimmed, reason, handed } = broker;
        Object.assign(alone.broker, { epoch: broker.epoch, log, trimmed, reason, handed });
        await alone.listener.subscribe(entry);
        expect(client.told(), `step ${step} of ${seed()}`).toEqual(alone.listener.told());
        client.session.end(true);
      }
    }
  },
);
