/** Clients that recover while others publish, one by one and many at once. */
import assert from "node:assert/strict";
import type { StreamPosition } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { kindOf, valueAs } from "../../support/client.ts";
import { sleep } from "../../support/eventually.ts";
import { seed, seededRandom } from "../../support/random.ts";
import { type Case, EXTENDED_DELIVERED, ONE } from "../case.ts";
import { fill, journal, run } from "../journal.ts";
import { RECOVERING } from "./recovery.ts";

const CLIENTS = 20;
const PUBLISHERS = 4;
const LASTING_MS = 2_000;
/** How often clients come back at least, and how much longer that may take. */
const ENOUGH = 3 * CLIENTS;
const LATE_MS = 20_000;
/** Between two publishes of one publisher, so that history is not outrun: a client is away for less. */
const PAUSE_MS = 40;

type Place = Pick<StreamPosition, "epoch" | "offset">;

export const recoveryLoadCases: readonly Case[] = [
  {
    rules: ["C4", "P8", "S9"],
    title: "what is published while a client recovers waits for the verdict, and for nobody else",
    kinds: EXTENDED_DELIVERED,
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const here = { ...RECOVERING, node: 0 };
      const publisher = await context.subscriber(channel, here);
      const epoch = await fill(publisher, channel, 3);
      await publisher.rpc("trouble", "stuck", channel);
      const client = await context.client(
        { subscriptions: [{ channel, since: { epoch, offset: 1n } }] },
        here,
      );
      const leaver = await context.client({}, here);
      const subscribed = leaver.subscribe({ channel, since: { epoch, offset: 2n } });
      const left = leaver.unsubscribe(channel);
      await leaver.next("subscribeAck");
      await fill(publisher, channel, 3);
      await publisher.received(6);
      assert.equal(kindOf(await client.ping()), "pong");
      assert.deepEqual(journal(client, channel), [`subscribed ${epoch}-3`]);
      await publisher.rpc("trouble", "none", channel);
      await client.received(5);
      assert.deepEqual(journal(client, channel), [
        `subscribed ${epoch}-3`,
        ...run("replay", epoch, 2, 3),
        `recovered ${epoch}-3`,
        ...run("live", epoch, 4, 6),
      ]);
      // What is asked for behind it waits as well.
      await Promise.all([subscribed, left]);
      assert.deepEqual(journal(leaver, channel), [
        `subscribed ${epoch}-3`,
        ...run("replay", epoch, 3, 3),
        `recovered ${epoch}-3`,
        ...run("live", epoch, 4, 6),
        "unsubscribed",
      ]);
    },
  },
  {
    rules: ["C4"],
    title: "more live messages than are held back while a client recovers still come in order",
    kinds: ONE,
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const publisher = await context.client({}, { node: 0 });
      const epoch = await fill(publisher, channel, 3);
      await publisher.rpc("trouble", "stuck", channel);
      const client = await context.client(
        { subscriptions: [{ channel, since: { epoch, offset: 0n } }] },
        { ...RECOVERING, node: 0 },
      );
      // 2.4 MB, where 1 MiB is held.
      await fill(publisher, channel, 40, "x".repeat(60_000));
      await publisher.rpc("trouble", "none", channel);
      await client.received(43);
      const lines = journal(client, channel);
      const [verdict] = lines.splice(4, 1);
      assert.equal(verdict, `recovered ${epoch}-3`);
      assert.deepEqual(lines, [
        `subscribed ${epoch}-3`,
        ...client.messages.map(
          ({ replay }, i) => `${replay ? "replay" : "live"} ${epoch}-${i + 1}`,
        ),
      ]);
    },
  },
  {
    rules: ["C1", "C4", "C5", "P3"],
    title: "20 who drop and come back at random while 4 publish have every message once, in order",
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const first = await context.client();
      const ack = valueAs(await first.subscribe(channel), "subscribeAck");
      const start: Place = ack.subscriptions[0]?.position ?? { epoch: "", offset: 0n };
      const end = Date.now() + LASTING_MS;
      const latest = end + LATE_MS;
      // On a machine that takes long for a life it takes longer until there were enough of them.
      const over = (): boolean => Date.now() >= latest || (Date.now() >= end && returns > ENOUGH);
      let published = 0;
      let returns = 0;

      const publish = async (index: number): Promise<void> => {
        const publisher = await context.client({}, { node: index % 2 });
        while (!over()) {
          await publisher.publish(channel, `${index}`);
          published += 1;
          await sleep(PAUSE_MS);
        }
      };

      /** One life of a client: comes back where it was, stays a while, drops. Resolves with its place. */
      const live = async (
        index: number,
        since: Place,
        stay: () => Promise<void>,
      ): Promise<Place> => {
        const kind = EXTENDED_DELIVERED[index % EXTENDED_DELIVERED.length];
        const client = await context.open({
          ...kind,
          node: (index + returns) % 2,
          capabilities: ["recovery"],
        });
        returns += 1;
        const connecting = client.connect({ subscriptions: [{ channel, since }] });
        const connected = connecting.catch(() => undefined);
        await stay();
        if (over()) {
          // The last life ends with all there is.
          await publishing;
          await client.until(() => {
            const last = client.messages.at(-1)?.offset ?? since.offset;
            return Number(last) >= published && client.all("recovered").length > 0
              ? true
              : undefined;
          });
        }
        client.socket.terminate();
        await Promise.all([client.closed(), connected]);
        const offsets = client.messages.map(({ offset }) => Number(offset));
        const next = Number(since.offset) + 1;
        assert.deepEqual(
          offsets,
          Array.from({ length: offsets.length }, (_, i) => next + i),
        );
        checkOrder(journal(client, channel));
        return { epoch: start.epoch, offset: since.offset + BigInt(offsets.length) };
      };

      const follow = async (index: number): Promise<void> => {
        const random = seededRandom(seed() + index);
        let place = start;
        let last = false;
        while (!last) {
          last = over();
          // Some drop while they are still being told what they missed.
          const ms = random.chance(0.3) ? random.int(5) : 50 + random.int(350);
          place = await live(index, place, () => sleep(ms));
          if (Number(place.offset) === published && over()) return;
        }
        assert.equal(Number(place.offset), published);
      };

      const publishing = Promise.all(Array.from({ length: PUBLISHERS }, (_, i) => publish(i)));
      await Promise.all([
        publishing,
        ...Array.from({ length: CLIENTS }, (_, index) => follow(index)),
      ]);
      assert.ok(returns > ENOUGH, `${returns} returns`);
      context.notes.push(`${published} messages, ${returns} returns`);
    },
  },
];

/** What comes out of the log lies before the verdict, what is live behind it, and nothing is missing. */
function checkOrder(lines: readonly string[]): void {
  const order = lines
    .map((line) => line.split(" ")[0])
    .filter((word, i, all) => word !== all[i - 1]);
  assert.match(order.join(" "), /^(subscribed( replay)?( recovered( live)?)?)?$/);
  const verdict = lines.find((line) => line.startsWith("recovered"));
  // A gap would stand behind the place.
  if (verdict !== undefined) assert.equal(verdict.split(" ").length, 2, verdict);
}
