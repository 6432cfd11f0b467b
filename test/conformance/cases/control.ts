/** The server's side changes what a session is subscribed to. */
import assert from "node:assert/strict";
import { type Client, textOf, texts, valueAs } from "../../support/client.ts";
import { type Case, type Context, EXTENDED } from "../case.ts";

interface Change {
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
}

/** A client on one node, its session's id, and what another client has done to it on another node. */
async function scene(context: Context, capabilities: readonly string[]) {
  const client = await context.open({ node: 0 });
  const { sessionId: session } = valueAs(
    await client.connect(context.kind.extended ? { capabilities: [...capabilities] } : {}),
    "connected",
  );
  const application = await context.client({}, { node: 1 });
  const change = async (changes: Change): Promise<unknown> => {
    const asked = JSON.stringify({ session, ...changes });
    return JSON.parse(textOf(valueAs(await application.rpc("change", asked), "rpcReply")));
  };
  return { client, application, change };
}

/** What a client was told of its subscriptions and got of them, in order. */
function story({ log }: Client): string[] {
  return log.flatMap(({ envelope }) => {
    switch (envelope.case) {
      case "publication":
        return texts(envelope.value.messages);
      case "subscribed":
      case "unsubscribed":
        return [`${envelope.case} ${envelope.value.subscriptions.map(({ channel }) => channel)}`];
      default:
        return [];
    }
  });
}

export const controlCases: readonly Case[] = [
  {
    rules: ["S16"],
    title: "a client with control is told what the application subscribes it to, and what it ends",
    server: "backend",
    kinds: EXTENDED,
    async run(context) {
      const { client, application, change } = await scene(context, ["control"]);
      const [kept, pattern] = [context.channel(), `${context.channel()}.*`];
      // Nobody asks the authorizer, who would refuse it.
      const denied = context.channel("denied");
      await application.publish(kept, "before");
      const subscribe = [kept, "no..channel", pattern, denied];
      assert.deepEqual(await change({ subscribe }), {
        [kept]: true,
        "no..channel": false,
        [pattern]: true,
        [denied]: true,
      });
      const { subscriptions } = await client.next("subscribed");
      assert.deepEqual(
        subscriptions.map(({ channel, error }) => [channel, error]),
        [kept, pattern, denied].map((channel) => [channel, undefined]),
      );
      assert.equal(subscriptions[0]?.position?.offset, 1n);
      assert.notEqual(subscriptions[0]?.position?.epoch, "");
      assert.ok(Number(subscriptions[1]?.position?.offset) > 1_700_000_000_000);
      await application.publish(kept, "first");
      await client.received(1);
      await application.publish(pattern.replace("*", "x"), "by the pattern");
      await client.received(2);
      await change({ unsubscribe: [kept, "never", pattern] });
      await client.next("unsubscribed");
      for (const channel of [kept, pattern.replace("*", "x"), denied]) {
        await application.publish(channel, `last of ${channel}`);
      }
      await client.received(3);
      assert.deepEqual(story(client), [
        `subscribed ${[kept, pattern, denied]}`,
        "first",
        "by the pattern",
        `unsubscribed ${[kept, pattern]}`,
        `last of ${denied}`,
      ]);
    },
  },
  {
    rules: ["S16", "K2"],
    title: "a client without control is subscribed all the same, and not told",
    server: "backend",
    async run(context) {
      const { client, application, change } = await scene(context, ["recovery"]);
      const [ended, kept] = [context.channel(), context.channel()];
      assert.deepEqual(await change({ subscribe: [ended, kept] }), { [ended]: true, [kept]: true });
      await application.publish(ended, "first");
      await client.received(1);
      assert.deepEqual(await change({ unsubscribe: [ended] }), { [ended]: true });
      await application.publish(ended, "unheard");
      await application.publish(kept, "last");
      await client.received(2);
      await client.ping();
      assert.deepEqual(story(client), ["first", "last"]);
    },
  },
];
