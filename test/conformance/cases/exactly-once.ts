/** An event that its publisher publishes again, not knowing whether it has arrived. */
import assert from "node:assert/strict";
import { type Client, kindOf, texts, valueAs } from "../../support/client.ts";
import { type Case, type Context, EXTENDED, ONE, V1 } from "../case.ts";

const event = { id: "e", source: "/shop", type: "t" };
/** Source and id together, in bytes. */
const LONGEST = 1_024;

interface Told {
  readonly offset: number;
  readonly epoch: string;
  readonly duplicate: boolean;
}

async function publish(client: Client, channel: string, value: object = event): Promise<Told> {
  const reply = await client.request({ channel, envelope: { case: "publish", value } });
  const { offset, epoch, duplicate } = valueAs(reply, "publishAck");
  return { offset: Number(offset), epoch, duplicate };
}

async function answered(client: Client, channel: string, value: object): Promise<string> {
  return kindOf(await client.request({ channel, envelope: { case: "publish", value } }));
}

/** Asserts what a subscriber of a channel has got: so many messages and then one more. */
async function settled(context: Context, reader: Client, channel: string, count: number) {
  const last = await context.client({ token: "user:last" });
  await last.publish(channel, "last");
  await reader.until(() => texts(reader.messages).includes("last") || undefined);
  assert.deepEqual(
    reader.messages.map(({ offset }) => Number(offset)),
    Array.from({ length: count + 1 }, (_, i) => i + 1),
  );
}

export const exactlyOnceCases: readonly Case[] = [
  {
    rules: ["P10"],
    title: "the same event on two connections of one user at once is delivered once",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const [channel, elsewhere] = [context.channel(), context.channel()];
      const ada = { token: "user:ada", clientId: "phone" };
      const reader = await context.client({ token: "user:r", subscriptions: [{ channel }] });
      const other = await context.client({
        token: "user:r",
        subscriptions: [{ channel: elsewhere }],
      });
      const phone = await context.client(ada, { node: 0 });
      const laptop = await context.client({ ...ada, clientId: "laptop" }, { node: 1 });
      const acks = await Promise.all([phone, laptop].map((client) => publish(client, channel)));
      assert.deepEqual(acks.map(({ duplicate }) => duplicate).sort(), [false, true]);
      assert.deepEqual(new Set(acks.map(({ offset }) => offset)), new Set([1]));
      assert.equal(new Set(acks.map(({ epoch }) => epoch)).size, 1);
      assert.notEqual(acks[0]?.epoch, "");
      // What is said again need not be the same: source and id are what identifies it.
      const data = { case: "textData", value: "changed" } as const;
      assert.deepEqual(await publish(laptop, channel, { ...event, type: "other", data }), {
        ...(acks[0] as Told),
        duplicate: true,
      });
      // Somebody else's event, another channel's, another source's and another id are their own.
      const bob = await context.client({ token: "user:bob", clientId: "phone" });
      assert.deepEqual(await publish(bob, channel), { ...acks[0], offset: 2, duplicate: false });
      assert.equal((await publish(phone, channel, { ...event, source: "/x" })).offset, 3);
      assert.equal((await publish(phone, channel, { ...event, id: "f" })).offset, 4);
      assert.equal((await publish(phone, elsewhere)).duplicate, false);
      await settled(context, other, elsewhere, 1);
      await settled(context, reader, channel, 4);
      assert.deepEqual(reader.messages.map(({ publisher }) => publisher?.userId).slice(0, 4), [
        "ada",
        "bob",
        "ada",
        "ada",
      ]);
    },
  },
  {
    rules: ["P10"],
    title: "who loses the connection before the acknowledgement publishes again without harm",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const reader = await context.client({ token: "user:r", subscriptions: [{ channel }] });
      for (let i = 0; i < 5; i++) {
        const value = { ...event, id: `${i}` };
        const lost = await context.client({ token: "user:ada" });
        lost.send({ channel, envelope: { case: "publish", value } });
        lost.socket.terminate();
        const again = await context.client({ token: "user:ada" }, { node: 1 });
        assert.equal((await publish(again, channel, value)).offset, i + 1);
      }
      await settled(context, reader, channel, 5);
    },
  },
  {
    rules: ["P10", "K2"],
    title: "events of v1 clients, and events without source or id, are never taken for repeated",
    async run(context) {
      const channel = context.channel();
      const reader = await context.subscriber(channel);
      const client = await context.client();
      const nameless = [
        { ...event, id: "" },
        { ...event, source: "" },
      ];
      const repeatable = context.kind.extended ? nameless : [event, ...nameless];
      let count = 0;
      for (const value of [...repeatable, ...repeatable]) {
        count += 1;
        const expected = { offset: count, duplicate: false };
        const { offset, duplicate } = await publish(client, channel, value);
        assert.deepEqual({ offset, duplicate }, expected);
      }
      await settled(context, reader, channel, count);
    },
  },
  {
    rules: ["P10"],
    title: "a v1 client's event is its own beside the same event of an extended one",
    kinds: V1,
    async run(context) {
      const channel = context.channel();
      const reader = await context.subscriber(channel);
      const extended = await context.client({}, { extended: true });
      const old = await context.client();
      assert.equal((await publish(old, channel)).offset, 1);
      assert.deepEqual((await publish(extended, channel)).duplicate, false);
      assert.equal((await publish(old, channel)).offset, 3);
      const { offset, duplicate } = await publish(extended, channel);
      assert.deepEqual({ offset, duplicate }, { offset: 2, duplicate: true });
      await settled(context, reader, channel, 3);
    },
  },
  {
    rules: ["P11"],
    title: "source and id beyond 1,024 bytes together are BAD_REQUEST where they are compared",
    async run(context) {
      const channel = context.channel();
      const client = await context.client();
      const source = "\u00e4".repeat(LONGEST / 2 - 5);
      const longest = { ...event, source, id: "x".repeat(10) };
      assert.equal(await answered(client, channel, longest), "publishAck");
      const over = await answered(client, channel, { ...longest, id: "x".repeat(11) });
      assert.equal(over, context.kind.extended ? "error BAD_REQUEST" : "publishAck");
      // Without one of them there is nothing to compare.
      const alone = { ...event, source: "", id: "x".repeat(LONGEST + 1) };
      assert.equal(await answered(client, channel, alone), "publishAck");
    },
  },
  {
    rules: ["P10", "P11"],
    title: "where exactly once is off, an event is delivered as often as it is published",
    server: "rules",
    kinds: ONE,
    async run(context) {
      const channel = context.channel("again");
      const reader = await context.subscriber(channel);
      const client = await context.client();
      const long = { ...event, source: "x".repeat(LONGEST) };
      for (const [index, value] of [event, event, long, long].entries()) {
        const { offset, duplicate } = await publish(client, channel, value);
        assert.deepEqual({ offset, duplicate }, { offset: index + 1, duplicate: false });
      }
      await settled(context, reader, channel, 4);
    },
  },
  {
    rules: ["S5", "P13"],
    title: "connected says how long a repeated event is recognised wherever this user may publish",
    server: "ruled",
    async run(context) {
      const told = async (who: string): Promise<number> => {
        const client = await context.open();
        const connected = valueAs(await client.connect({ token: `user:${who}` }), "connected");
        assert.equal(connected.userId, context.kind.extended ? who : "");
        return connected.dedupWindowMs;
      };
      assert.equal(await told("ada"), context.kind.extended ? 120_000 : 0);
      assert.equal(await told("grace"), context.kind.extended ? 60_000 : 0);
    },
  },
  {
    rules: ["P13"],
    title: "what is published again is taken once where it is recognised, and refused elsewhere",
    server: "rules",
    kinds: EXTENDED,
    async run(context) {
      const [channel, forgetful] = [context.channel(), context.channel("again")];
      const subscriptions = [{ channel }, { channel: forgetful }];
      const reader = await context.client({ subscriptions });
      const client = await context.client();
      const repeat = async (to: string, value: object) =>
        await client.request({ channel: to, again: true, envelope: { case: "publish", value } });
      // The first time may never have arrived.
      const first = valueAs(await repeat(channel, event), "publishAck");
      assert.deepEqual([first.offset, first.duplicate], [1n, false]);
      const second = valueAs(await repeat(channel, event), "publishAck");
      assert.deepEqual([second.offset, second.duplicate], [1n, true]);
      const unknown = "error OUTCOME_UNKNOWN";
      assert.equal(kindOf(await repeat(channel, { ...event, id: "" })), unknown);
      assert.equal(kindOf(await repeat(channel, { ...event, source: "" })), unknown);
      assert.equal(kindOf(await repeat(forgetful, event)), unknown);
      await settled(context, reader, channel, 1);
      const { offset } = await publish(client, forgetful);
      assert.equal(offset, 1);
    },
  },
  {
    rules: ["P13"],
    title: "a v1 client that says again is refused: nothing of its is recognised",
    kinds: V1,
    async run(context) {
      const client = await context.client();
      const channel = context.channel();
      const reply = await client.request({
        channel,
        again: true,
        envelope: { case: "publish", value: event },
      });
      assert.equal(kindOf(reply), "error OUTCOME_UNKNOWN");
      assert.equal((await publish(client, channel)).offset, 1);
    },
  },
];
