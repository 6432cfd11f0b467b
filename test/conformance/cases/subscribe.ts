/** Subscribing and unsubscribing. */
import assert from "node:assert/strict";
import { kindOf, texts, valueAs } from "../../support/client.ts";
import { type Case, EXTENDED, V1 } from "../case.ts";

const WRONG = ["", "a..b", ".a", "a.", "**.a", "a.**.b", "a\u0007", "\u00e4".repeat(128)];

export const subscribeCases: readonly Case[] = [
  {
    rules: ["U1"],
    title: "the acknowledgement echoes the request, and to extended clients says where they stand",
    async run(context) {
      const channel = context.channel();
      const publisher = await context.client();
      await publisher.publish(channel, "before");
      const client = await context.client();
      const subscriptions = [
        { channel, ephemeral: true, token: "token" },
        { channel: context.channel(), ephemeral: false, token: "" },
      ];
      const reply = await client.request({
        envelope: { case: "subscribe", value: { subscriptions } },
      });
      const acknowledged = valueAs(reply, "subscribeAck").subscriptions;
      assert.deepEqual(
        acknowledged.map(({ channel: name, ephemeral, token }) => ({
          channel: name,
          ephemeral,
          token,
        })),
        subscriptions,
      );
      assert.equal(acknowledged[0]?.position?.offset, context.kind.extended ? 1n : undefined);
      await publisher.publish(channel, "after");
      assert.deepEqual(texts(await client.received(1)), ["after"]);
    },
  },
  {
    rules: ["U4"],
    title: "subscribing twice delivers once, one unsubscribe ends it, another is harmless",
    async run(context) {
      const channel = context.channel();
      const client = await context.subscriber(channel);
      assert.equal(kindOf(await client.subscribe(channel, channel)), "subscribeAck");
      await client.publish(channel, "once");
      await client.publish(channel, "then");
      assert.deepEqual(texts(await client.received(2)), ["once", "then"]);
      for (let i = 0; i < 2; i++) {
        const ack = valueAs(await client.unsubscribe(channel, "never"), "unsubscribeAck");
        assert.deepEqual(
          ack.subscriptions.map((entry) => entry.channel),
          [channel, "never"],
        );
      }
      await client.publish(channel, "unheard");
      await client.ping();
      assert.deepEqual(texts(client.messages), ["once", "then"]);
    },
  },
  {
    rules: ["U3", "P5"],
    title: "an extended client keeps what was granted and reads why the rest was not",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      for (const wrong of WRONG) {
        const client = await context.client();
        const ack = valueAs(await client.subscribe(wrong, channel), "subscribeAck");
        const codes = ack.subscriptions.map(({ error }) => error?.code);
        assert.deepEqual(codes, ["BAD_REQUEST", undefined], wrong);
        assert.notEqual(ack.subscriptions[1]?.position, undefined);
        await client.publish(channel, wrong);
        assert.deepEqual(texts(await client.received(1)), [wrong]);
      }
    },
  },
  {
    rules: ["U3", "P5"],
    title:
      "a v1 client that is refused one channel gets an error, none of them, and for a bad name 3501",
    kinds: V1,
    async run(context) {
      for (const wrong of WRONG) {
        const client = await context.client();
        const reply = await client.subscribe(context.channel(), wrong);
        assert.equal(kindOf(reply), "error BAD_REQUEST", wrong);
        assert.deepEqual(await client.closed(), { code: 3501, reason: "bad request" });
      }
    },
  },
  {
    rules: ["U2", "U3"],
    title: "connect with one good and one malformed channel: the kind of client decides",
    async run(context) {
      const channel = context.channel();
      const client = await context.open();
      const reply = await client.connect({ subscriptions: [{ channel }, { channel: "a..b" }] });
      if (!context.kind.extended) {
        assert.equal(kindOf(reply), "error BAD_REQUEST");
        assert.equal((await client.closed()).code, 3501);
        return;
      }
      const { subscriptions } = valueAs(reply, "connected");
      assert.deepEqual(
        subscriptions.map(({ error }) => error?.code),
        [undefined, "BAD_REQUEST"],
      );
      await client.publish(channel, "good");
      assert.deepEqual(texts(await client.received(1)), ["good"]);
    },
  },
];
