/** Limits of one session. */
import assert from "node:assert/strict";
import { kindOf, valueAs } from "../../support/client.ts";
import { sleep } from "../../support/eventually.ts";
import { type Case, ONE } from "../case.ts";
import { TIGHT } from "../variants.ts";

/** Until an answer that comes in time, and long after what is asked meanwhile. */
const SLOW_MS = TIGHT.rpcTimeoutMs / 2;

export const limitCases: readonly Case[] = [
  {
    rules: ["U5"],
    title: "one channel too many closes with 3505, in subscribe and in connect",
    server: "tight",
    async run(context) {
      const names = Array.from({ length: TIGHT.subscriptions }, () => context.channel());
      const client = await context.client();
      assert.equal(kindOf(await client.subscribe(...names)), "subscribeAck");
      assert.equal(kindOf(await client.subscribe(...names)), "subscribeAck");
      client.send({
        envelope: { case: "subscribe", value: { subscriptions: [{ channel: context.channel() }] } },
      });
      assert.deepEqual(await client.closed(), { code: 3505, reason: "channel limit" });
      const other = await context.open();
      const subscriptions = [...names, context.channel()].map((channel) => ({ channel }));
      const capabilities = context.kind.extended ? ["test"] : [];
      other.send({ envelope: { case: "connect", value: { subscriptions, capabilities } } });
      assert.deepEqual(await other.closed(), { code: 3505, reason: "channel limit" });
    },
  },
  {
    rules: ["L1", "L3"],
    title: "a burst of publishes passes, the next is RATE_LIMITED, and a pause makes room",
    server: "tight",
    async run(context) {
      const refused = 3 * TIGHT.errors + 1;
      /** Publishes more than may be at once, in a channel of its own. Resolves when all are answered. */
      const burst = async () => {
        const channel = context.channel();
        const client = await context.client();
        const publish = async (i: number) => {
          const value = { id: `e${i}`, source: "/s", type: "t" };
          return await client.request({ channel, envelope: { case: "publish", value } });
        };
        const began = performance.now();
        const publishes = Array.from({ length: TIGHT.publishBurst + refused }, (_, i) =>
          publish(i),
        );
        const replies = await Promise.all(publishes);
        return { channel, client, replies, ms: performance.now() - began };
      };
      // Being limited is no failing: it never adds up to 3509. All at once, because a second makes room: a burst that
      // takes that long says nothing.
      let made = await burst();
      for (let again = 0; made.ms >= 1_000 && again < 10; again++) made = await burst();
      const { channel, client, replies } = made;
      const kinds = replies.map(kindOf);
      assert.deepEqual(kinds, [
        ...Array.from({ length: TIGHT.publishBurst }, () => "publishAck"),
        ...Array.from({ length: refused }, () => "error RATE_LIMITED"),
      ]);
      const waits = replies
        .slice(TIGHT.publishBurst)
        .map((reply) => Number(valueAs(reply, "error").metadata?.["retry_after_ms"]));
      for (const ms of waits) assert.ok(ms > 0 && ms <= 1_000, `${ms}`);
      const wait = waits.at(-1) ?? 0;
      await sleep(wait + 20);
      assert.equal(await client.publish(channel, "later"), TIGHT.publishBurst + 1);
    },
  },
  {
    rules: ["L2", "L3"],
    title: "more bytes of requests under way than a session may have are RATE_LIMITED",
    server: "tight",
    kinds: ONE,
    async run(context) {
      const client = await context.client();
      const open = [client.rpc("slow", `${SLOW_MS}${" ".repeat(33_000)}`)];
      const reply = await client.rpc("slow", `${SLOW_MS}${" ".repeat(33_000)}`);
      const { code, metadata } = valueAs(reply, "error");
      assert.equal(code, "RATE_LIMITED");
      assert.ok(Number(metadata?.["retry_after_ms"]) > 0);
      for (const answered of await Promise.all(open)) assert.equal(kindOf(answered), "rpcReply");
      assert.equal(kindOf(await client.rpc("slow", `1${" ".repeat(33_000)}`)), "rpcReply");
    },
  },
  {
    rules: ["L4"],
    title: "more failing requests in a minute than a session may have close with 3509",
    server: "tight",
    async run(context) {
      const failing = [
        () => ({ channel: "a..b", envelope: { case: "publish", value: {} } }) as const,
        () => ({ envelope: { case: "publish", value: { type: "t" } } }) as const,
      ];
      for (const message of failing) {
        const client = await context.client();
        for (let i = 0; i < TIGHT.errors; i++) {
          assert.match(kindOf(await client.request(message())), /^error/);
        }
        client.send(message());
        assert.deepEqual(await client.closed(), { code: 3509, reason: "too many errors" });
      }
      const garbling = await context.client();
      for (let i = 0; i <= TIGHT.errors; i++) garbling.sendRaw(`{"id":7}`);
      assert.equal((await garbling.closed()).code, 3509);
    },
  },
  {
    rules: ["L4"],
    title: "errors that are not the client's fault do not add up",
    server: "tight",
    async run(context) {
      const client = await context.client();
      for (let i = 0; i < 2 * TIGHT.errors; i++) {
        assert.equal(kindOf(await client.rpc("refuse")), "error NO_STOCK");
        assert.equal(kindOf(await client.rpc("fail")), "error PROXY_ERROR");
      }
      assert.equal(kindOf(await client.ping()), "pong");
    },
  },
];
