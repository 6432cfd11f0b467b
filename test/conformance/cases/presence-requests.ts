/** Asking who is present. */
import assert from "node:assert/strict";
import { kindOf } from "../../support/client.ts";
import { type Case, EXTENDED, ONE } from "../case.ts";
import { memberName } from "../journal.ts";
import { RULES } from "../variants.ts";
import { ask, changes, FOLLOWING, members, names, watcherOf } from "./presence.ts";

export const presenceRequestCases: readonly Case[] = [
  {
    rules: ["M4", "M5", "M6"],
    over: "websocket",
    title: "a request behind a subscribe or a connect sees the subscriber, and v1 members too",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const old = await context.client(
        { clientId: "old", subscriptions: [{ channel }] },
        { extended: false },
      );
      const subscribing = await context.client({ clientId: "subscribing" }, FOLLOWING);
      const subscribed = subscribing.subscribe(channel);
      const first = await members(subscribing, channel);
      await subscribed;
      const connecting = await context.open(FOLLOWING);
      const connected = connecting.connect({
        clientId: "connecting",
        subscriptions: [{ channel }],
      });
      const second = await members(connecting, channel);
      await connected;
      assert.deepEqual(names(first), ["/old", "/subscribing"]);
      assert.deepEqual(names(second), ["/old", "/subscribing", "/connecting"]);
      for (const [answer, total] of [
        [first, 2],
        [second, 3],
      ] as const) {
        assert.equal(answer.channel, channel);
        assert.equal(answer.total, total);
        assert.ok(answer.members.every(({ time, sessionId }) => time > 0n && sessionId === ""));
      }
      const [event] = await subscribing.several("presenceEvent", 1);
      assert.equal(event?.generation?.epoch, first.generation?.epoch);
      assert.ok((event?.generation?.number ?? 0n) > (first.generation?.number ?? 0n));
      assert.ok((event?.generation?.number ?? 0n) <= (second.generation?.number ?? 0n));
      old.socket.close(1000);
      const [, left] = await subscribing.several("presenceEvent", 2);
      assert.equal(memberName(left?.change.value), "/old");
      assert.ok((left?.generation?.number ?? 0n) > (second.generation?.number ?? 0n));
      assert.deepEqual(names(await members(connecting, channel)), ["/subscribing", "/connecting"]);
    },
  },
  {
    rules: ["M5"],
    title: "the list is cut where a message would be too large, those first who joined first",
    server: "rules",
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const watcher = await watcherOf(context, channel);
      const longest = Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(255, "x"));
      for (const clientId of longest) {
        await context.client({ clientId, subscriptions: [{ channel }] });
      }
      const answer = await members(watcher, channel);
      assert.equal(answer.total, longest.length + 1);
      const listed = names(answer);
      assert.ok(listed.length > 10 && 255 * listed.length < RULES.messageBytes, `${listed.length}`);
      const everyone = ["/watcher", ...longest.map((clientId) => `/${clientId}`)];
      assert.deepEqual(listed, everyone.slice(0, listed.length));
    },
  },
  {
    rules: ["M4", "M2"],
    title: "who may not ask is told why; a channel without presence tells nobody anything",
    server: "rules",
    async run(context) {
      const [channel, quiet] = [context.channel(), context.channel("quiet")];
      const plain = await context.subscriber(channel);
      assert.equal(kindOf(await ask(plain, channel)), "error BAD_REQUEST");
      if (!context.kind.extended) return;
      const client = await context.client(
        { clientId: "asks", subscriptions: [{ channel }, { channel: quiet }] },
        FOLLOWING,
      );
      for (const wrong of ["", "*", "a.**", "a..b", quiet]) {
        assert.equal(kindOf(await ask(client, wrong)), "error BAD_REQUEST", wrong);
      }
      assert.equal(kindOf(await ask(client, context.channel())), "error ACL_ERROR");
      const guest = await context.client({ clientId: "guest" });
      await guest.subscribe(quiet);
      await guest.subscribe(channel);
      await client.several("presenceEvent", 1);
      assert.deepEqual(changes(client, quiet), []);
      assert.deepEqual(changes(client, channel), ["join /guest"]);
      await client.unsubscribe(channel);
      assert.equal(kindOf(await ask(client, channel)), "error ACL_ERROR");
    },
  },
  {
    rules: ["M4"],
    title: "a channel that cannot say who is there carries messages all the same",
    server: "backend",
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const client = await context.client({}, { node: 0, capabilities: ["presence"] });
      await client.rpc("trouble", "down", channel);
      assert.equal(kindOf(await client.subscribe(channel)), "subscribeAck");
      assert.equal(await client.publish(channel, "heard"), 1);
      await client.received(1);
      const envelope = { case: "presenceRequest", value: { channel } } as const;
      assert.equal(kindOf(await client.request({ envelope })), "error UNAVAILABLE");
      await client.rpc("trouble", "none", channel);
      assert.equal(kindOf(await client.request({ envelope })), "presence");
    },
  },
];
