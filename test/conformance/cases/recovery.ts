/** What a client that comes back is given. What it cannot be given stands in gaps.ts. */
import assert from "node:assert/strict";
import type { Message } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, type Inbound, type SubscriptionInit, valueAs } from "../../support/client.ts";
import { type Case, type Context, EXTENDED_DELIVERED, ONE, V1 } from "../case.ts";
import { fill, journal, place, run } from "../journal.ts";

type EventInit = Extract<Inbound["envelope"], { case: "publish" }>["value"];

export const RECOVERING = { capabilities: ["recovery"] } as const;
const event = { source: "/s", type: "t" };

/** Comes back with subscriptions that ask for recovery, and waits for all their verdicts. */
export async function back(context: Context, ...wanted: SubscriptionInit[]): Promise<Client> {
  const client = await context.client({ subscriptions: wanted }, RECOVERING);
  await client.several("recovered", wanted.length);
  return client;
}

/** Messages without the mark that they come out of the log. */
function unmarked(messages: readonly Message[]): Omit<Message, "replay">[] {
  return messages.map(({ replay: _, ...rest }) => rest);
}

export const recoveryCases: readonly Case[] = [
  {
    rules: ["C1", "C3", "C4", "C5"],
    title: "who drops and comes back gets exactly what was published meanwhile, as it was live",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const channel = context.channel();
      const witness = await context.subscriber(channel);
      const gone = await context.client();
      const ack = valueAs(await gone.subscribe(channel), "subscribeAck");
      const since = ack.subscriptions[0]?.position;
      gone.socket.terminate();
      const publisher = await context.client({ clientId: "me", clientType: "test" });
      const binary = { case: "binaryData", value: new Uint8Array([0, 255]) } as const;
      const any = { case: "protoData", value: { typeUrl: "x/T", value: new Uint8Array([8, 1]) } };
      const forms = [
        { case: "textData", value: '{"big":9007199254740993}' },
        binary,
        // On a JSON connection an Any cannot be written without knowing its type.
        context.kind.encoding === "proto" ? any : binary,
        { case: undefined },
        { case: "textData", value: "last" },
      ] as const;
      for (const [index, data] of forms.entries()) {
        const subject = { attr: { case: "ceString", value: `s${index}` } } as const;
        const value = { ...event, id: `e${index}`, attributes: { subject }, data } as EventInit;
        const metadata = { index: `${index}` };
        const envelope = { case: "publish", value } as const;
        valueAs(await publisher.request({ channel, metadata, envelope }), "publishAck");
      }
      await witness.received(5);
      const entry = { channel, recover: true, ...(since && { since }) };
      const connecting = await back(context, entry);
      const subscribing = await context.client({}, RECOVERING);
      subscribing.send({ envelope: { case: "subscribe", value: { subscriptions: [entry] } } });
      await subscribing.publish(channel, "behind the subscribe");
      const epoch = since?.epoch ?? "";
      for (const client of [connecting, subscribing]) {
        await client.received(6);
        assert.deepEqual(journal(client, channel), [
          `subscribed ${epoch}-5`,
          ...run("replay", epoch, 1, 5),
          `recovered ${epoch}-5`,
          `live ${epoch}-6`,
        ]);
        assert.deepEqual(unmarked(client.messages), unmarked(await witness.received(6)));
      }
    },
  },
  {
    rules: ["C1", "C2", "C3", "C5"],
    title: "who has everything is told that nothing was missed, on a quiet and on an empty channel",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const [quiet, empty] = [context.channel(), context.channel()];
      const first = await context.client();
      const epoch = await fill(first, quiet, 3);
      const ack = valueAs(await first.subscribe(empty), "subscribeAck");
      const start = ack.subscriptions[0]?.position;
      first.socket.terminate();
      const since = { epoch, offset: 3n };
      // A position asks by itself.
      for (const entry of [{ since }, { since, recover: true }]) {
        const client = await back(
          context,
          { channel: quiet, ...entry },
          { channel: empty, ...entry, ...(start && { since: start }) },
        );
        assert.deepEqual(journal(client, quiet), [`subscribed ${epoch}-3`, `recovered ${epoch}-3`]);
        assert.deepEqual(journal(client, empty), [
          `subscribed ${place(start)}`,
          `recovered ${place(start)}`,
        ]);
      }
      // Before the first message is a place like any other.
      const all = await back(context, { channel: quiet, since: { epoch, offset: 0n } });
      assert.deepEqual(journal(all, quiet).slice(1), [
        ...run("replay", epoch, 1, 3),
        `recovered ${epoch}-3`,
      ]);
    },
  },
  {
    rules: ["C3", "C7"],
    title: "rewind replays the last messages, or as many as there are; a position stands above it",
    kinds: ONE,
    async run(context) {
      const [channel, empty] = [context.channel(), context.channel()];
      const publisher = await context.client();
      const epoch = await fill(publisher, channel, 5);
      for (const [rewind, first] of [
        [2, 4],
        [5, 1],
        [50, 1],
      ] as const) {
        const client = await back(context, { channel, rewind });
        assert.deepEqual(journal(client, channel).slice(1), [
          ...run("replay", epoch, first, 5),
          `recovered ${epoch}-5`,
        ]);
      }
      const since = { epoch, offset: 4n };
      const both = await back(
        context,
        { channel, rewind: 3, since },
        { channel: empty, rewind: 3 },
      );
      assert.deepEqual(journal(both, channel).slice(1), [
        ...run("replay", epoch, 5, 5),
        `recovered ${epoch}-5`,
      ]);
      const [subscribed, recovered, ...rest] = journal(both, empty);
      assert.equal(recovered, subscribed?.replace("subscribed", "recovered"));
      assert.deepEqual(rest, []);
      // Who asks for nothing gets nothing.
      const plain = await context.client({}, RECOVERING);
      await plain.subscribe({ channel, rewind: 0, recover: false });
      await publisher.publish(channel, "live");
      await plain.received(1);
      assert.deepEqual(journal(plain, channel), [`subscribed ${epoch}-5`, `live ${epoch}-6`]);
    },
  },
  {
    rules: ["C4", "C9", "U4", "M1"],
    title: "to subscribe again with a position catches up; there is one subscription, one member",
    kinds: EXTENDED_DELIVERED,
    observes: ["stats"],
    async run(context) {
      const channel = context.channel();
      const watcher = await context.client(
        { clientId: "watcher", subscriptions: [{ channel }] },
        { capabilities: ["presence"] },
      );
      const client = await context.client({ clientId: "again" }, RECOVERING);
      await client.subscribe(channel);
      const publisher = await context.client();
      const epoch = await fill(publisher, channel, 4);
      await client.received(4);
      // The client knows best what it has, whatever it was sent.
      await client.subscribe({ channel, since: { epoch, offset: 2n } });
      await client.next("recovered");
      assert.equal(await publisher.publish(channel, "live"), 5);
      await client.received(7);
      assert.deepEqual(journal(client, channel), [
        `subscribed ${epoch}-0`,
        ...run("live", epoch, 1, 4),
        `subscribed ${epoch}-4`,
        ...run("replay", epoch, 3, 4),
        `recovered ${epoch}-4`,
        ...run("live", epoch, 5, 5),
      ]);
      assert.equal((await context.stats()).subscriptions, 2);
      await client.unsubscribe(channel);
      await watcher.several("presenceEvent", 2);
      assert.deepEqual(
        journal(watcher, channel).filter((line) => line.includes("/again")),
        ["join /again", "leave /again"],
      );
    },
  },
  {
    rules: ["C4", "C9"],
    title: "subscribing again and again while messages stream loses none and repeats none live",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const channel = context.channel();
      const client = await context.client({}, RECOVERING);
      await client.subscribe(channel);
      const publisher = await context.client();
      let epoch = await fill(publisher, channel, 1);
      for (let round = 1; round <= 10; round++) {
        const filling = fill(publisher, channel, 10);
        const offset = client.messages.at(-1)?.offset ?? 0n;
        const reply = client.subscribe({ channel, since: { epoch, offset } });
        [epoch] = await Promise.all([filling, reply, client.several("recovered", round)]);
      }
      const offsets = () => client.messages.map((message) => Number(message.offset));
      await client.until(() => offsets().includes(101) || undefined);
      const firsts = [...new Set(offsets())];
      assert.deepEqual(
        firsts,
        Array.from({ length: 101 }, (_, i) => i + 1),
      );
      const live = client.messages.filter(({ replay }) => !replay);
      assert.equal(new Set(live.map(({ id }) => id)).size, live.length);
      assert.ok(client.all("recovered").every(({ gap }) => gap === undefined));
      assert.deepEqual(client.all("gap"), []);
    },
  },
  {
    rules: ["C3"],
    title: "without the capability an entry that asks is BAD_REQUEST, and the others are granted",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const client = await context.client();
      const since = { epoch: "e", offset: 1n };
      for (const asking of [{ recover: true }, { since }, { rewind: 1 }]) {
        const [refused, granted] = [context.channel(), context.channel()];
        await client.subscribe({ channel: refused, ...asking }, granted);
        assert.deepEqual(journal(client, refused), ["refused BAD_REQUEST"]);
        assert.match(journal(client, granted)[0] ?? "", /^subscribed .+-0$/);
      }
      const reply = await (await context.open()).connect({
        subscriptions: [{ channel: context.channel(), recover: true }],
      });
      const [entry] = valueAs(reply, "connected").subscriptions;
      assert.equal(entry?.error?.code, "BAD_REQUEST");
    },
  },
  {
    rules: ["C3", "K2"],
    title: "to a v1 client the fields mean nothing, and it hears of nothing",
    kinds: V1,
    server: "rules",
    async run(context) {
      const [channel, short] = [context.channel(), context.channel("short")];
      const publisher = await context.client({}, { extended: true });
      const epoch = await fill(publisher, channel, 3);
      await fill(publisher, short, 6);
      const asking = { recover: true, since: { epoch, offset: 1n }, rewind: 2 };
      const connecting = await context.client({ subscriptions: [{ channel, ...asking }] });
      const subscribing = await context.client();
      await subscribing.subscribe({ channel: short, ...asking }, { channel, ...asking });
      assert.deepEqual(journal(subscribing, short), ["subscribed ?"]);
      await publisher.publish(channel, "live");
      for (const client of [connecting, subscribing]) {
        await client.received(1);
        // An id tells the place to v1 clients too.
        assert.deepEqual(journal(client, channel), ["subscribed ?", `live ${epoch}-4`]);
      }
    },
  },
];
