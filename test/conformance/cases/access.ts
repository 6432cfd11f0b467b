/** Who someone is and what they may hear. */
import assert from "node:assert/strict";
import { kindOf, texts, valueAs } from "../../support/client.ts";
import { SECRET } from "../backend.ts";
import { type Case, EXTENDED, V1 } from "../case.ts";

export const accessCases: readonly Case[] = [
  {
    rules: ["A2", "E1"],
    title: "a refused token, no token, and a backend that names nobody: error, then 3500",
    server: "auth",
    async run(context) {
      for (const [token, code] of [
        ["wrong", "INVALID_CREDENTIALS"],
        ["", "INVALID_CREDENTIALS"],
        ["nobody", "AUTH_ERROR"],
      ]) {
        const client = await context.open();
        const { type, code: told } = valueAs(await client.connect({ token: token ?? "" }), "error");
        assert.deepEqual([told, type], [code, "auth_error"], token);
        assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
      }
    },
  },
  {
    rules: ["A3", "A5"],
    title:
      "a backend that fails or is late has refused nobody: 1011, so that the client comes back",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      for (const token of ["down", "hang"]) {
        const client = await context.open();
        const { code, message } = valueAs(await client.connect({ token }), "error");
        assert.equal(code, "UNAVAILABLE");
        assert.ok(!message.includes(SECRET));
        assert.equal((await client.closed()).code, 1011);
      }
    },
  },
  {
    rules: ["A3", "A5"],
    title: "to a v1 client a backend that fails is AUTH_ERROR and 3500, as in v0.1.1",
    server: "auth",
    kinds: V1,
    async run(context) {
      for (const token of ["down", "hang"]) {
        const client = await context.open();
        const { code, message } = valueAs(await client.connect({ token }), "error");
        assert.equal(code, "AUTH_ERROR");
        assert.ok(!message.includes(SECRET));
        assert.equal((await client.closed()).code, 3500);
      }
    },
  },
  {
    rules: ["A6", "S5"],
    title: "the authenticator receives a session id of the server's and the client's address",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const client = await context.open();
      const connected = valueAs(await client.connect({ token: "mirror" }), "connected");
      const { sessionId, address } = JSON.parse(connected.userId) as Record<string, string>;
      assert.equal(sessionId, connected.sessionId);
      assert.match(address ?? "", /^(127\.0\.0\.1|::1|::ffff:127\.0\.0\.1)$/);
    },
  },
  {
    rules: ["A1"],
    title: "extended clients are told who they are, and others see who published",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const client = await context.open();
      const reply = await client.connect({ token: "user:ada", subscriptions: [{ channel }] });
      assert.equal(valueAs(reply, "connected").userId, "ada");
      await client.publish(channel, "hello");
      assert.equal((await client.received(1))[0]?.publisher?.userId, "ada");
    },
  },
  {
    rules: ["A8"],
    title: "channels that the authenticator names are there from connect on, and nobody is asked",
    server: "auth",
    async run(context) {
      const asked = context.channel();
      const given = context.channel("denied");
      const both = context.channel("denied");
      const client = await context.open();
      const subscriptions = [{ channel: asked }, { channel: both }];
      const reply = await client.connect({ token: `given:${given},${both}`, subscriptions });
      const told = valueAs(reply, "connected").subscriptions;
      const own = [asked, both];
      assert.deepEqual(
        told.map(({ channel, error }) => [channel, error?.code]),
        (context.kind.extended ? [...own, given] : own).map((channel) => [channel, undefined]),
      );
      const publisher = await context.open();
      await publisher.connect({ token: "user:bob" });
      const all = [asked, given, both];
      for (const channel of all) await publisher.publish(channel, channel);
      assert.deepEqual(texts(await client.received(3)).toSorted(), all.toSorted());
    },
  },
  {
    rules: ["A8"],
    title: "an authenticator that names more than 100 channels has refused",
    server: "auth",
    async run(context) {
      const names = Array.from({ length: 101 }, () => context.channel());
      const client = await context.open();
      const reply = await client.connect({ token: `given:${names.join(",")}` });
      assert.equal(kindOf(reply), "error AUTH_ERROR");
      assert.equal((await client.closed()).code, 3500);
    },
  },
  {
    rules: ["A4", "U3"],
    title: "a refused subscription: extended clients keep the rest, in subscribe and in connect",
    server: "backend",
    kinds: EXTENDED,
    async run(context) {
      const good = context.channel();
      const denied = context.channel("denied");
      const broken = context.channel("broken");
      const wanted = [{ channel: good }, { channel: denied }, { channel: broken }];
      const expected = [undefined, "ACL_ERROR", "UNAVAILABLE"];
      const first = await context.client();
      const ack = valueAs(await first.subscribe(good, denied, broken), "subscribeAck");
      assert.deepEqual(
        ack.subscriptions.map(({ error }) => error?.code),
        expected,
      );
      const second = await context.open();
      const connected = valueAs(await second.connect({ subscriptions: wanted }), "connected");
      assert.deepEqual(
        connected.subscriptions.map(({ error }) => error?.code),
        expected,
      );
      assert.ok(ack.subscriptions.every(({ error }) => !error?.message.includes(SECRET)));
      await first.publish(denied, "unheard");
      await first.publish(good, "heard");
      for (const client of [first, second]) {
        assert.deepEqual(texts(await client.received(1)), ["heard"]);
      }
    },
  },
  {
    rules: ["A4", "U3"],
    title: "a refused subscription: a v1 client loses all of the request, and 3500",
    server: "backend",
    kinds: V1,
    async run(context) {
      const good = context.channel();
      const denied = context.channel("denied");
      const first = await context.client();
      assert.equal(kindOf(await first.subscribe(good, denied)), "error ACL_ERROR");
      assert.equal((await first.closed()).code, 3500);
      const second = await context.open();
      const subscriptions = [{ channel: good }, { channel: denied }];
      assert.equal(kindOf(await second.connect({ subscriptions })), "error ACL_ERROR");
      assert.equal((await second.closed()).code, 3500);
    },
  },
  {
    rules: ["A4", "U3"],
    title: "an authorizer that fails leaves a v1 session as it was, and connect ends with 1011",
    server: "backend",
    kinds: V1,
    async run(context) {
      const before = context.channel();
      const client = await context.subscriber(before);
      const reply = await client.subscribe(context.channel(), context.channel("broken"));
      assert.equal(kindOf(reply), "error UNAVAILABLE");
      await client.publish(before, "still here");
      assert.deepEqual(texts(await client.received(1)), ["still here"]);
      const other = await context.open();
      const subscriptions = [{ channel: context.channel("broken") }];
      assert.equal(kindOf(await other.connect({ subscriptions })), "error UNAVAILABLE");
      assert.equal((await other.closed()).code, 1011);
    },
  },
  {
    rules: ["A4"],
    title: "a subscription's own token reaches the authorizer",
    server: "backend",
    async run(context) {
      const channel = context.channel("denied");
      const client = await context.client();
      const subscriptions = [{ channel, token: "open-sesame" }];
      const value = { subscriptions };
      const reply = await client.request({ envelope: { case: "subscribe", value } });
      assert.equal(valueAs(reply, "subscribeAck").subscriptions[0]?.error, undefined);
      await client.publish(channel, "inside");
      assert.deepEqual(texts(await client.received(1)), ["inside"]);
    },
  },
];
