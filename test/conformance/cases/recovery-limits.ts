/** How much one request may replay, and that the rest can be had. */
import assert from "node:assert/strict";
import { valueAs } from "../../support/client.ts";
import { type Case, EXTENDED_DELIVERED, ONE } from "../case.ts";
import { fill, journal, run } from "../journal.ts";
import { RULES } from "../variants.ts";
import { back } from "./recovery.ts";

const { recoveryMessages } = RULES;

export const recoveryLimitCases: readonly Case[] = [
  {
    rules: ["C5", "C6", "C7", "C8", "H2"],
    title: "of more than one request may replay the newest are, and history has the others",
    kinds: EXTENDED_DELIVERED,
    server: "rules",
    async run(context) {
      const channel = context.channel();
      const total = recoveryMessages + 6;
      const epoch = await fill(await context.client(), channel, total);
      const since = { epoch, offset: 0n };
      const asking = { subscriptions: [{ channel, since }] };
      const client = await context.client(asking, { capabilities: ["recovery", "history"] });
      const { gap } = await client.next("recovered");
      const replayed = [
        `subscribed ${epoch}-${total}`,
        ...run("replay", epoch, 7, total),
        `recovered ${epoch}-${total} limit ${epoch}-0..${epoch}-6`,
      ];
      assert.deepEqual(journal(client, channel), replayed);
      const found: string[] = [];
      for (let after = since; after.offset < (gap?.until?.offset ?? 0n); ) {
        const left = Number((gap?.until?.offset ?? 0n) - after.offset);
        const value = { channel, since: after, limit: Math.min(4, left) };
        const reply = await client.request({ envelope: { case: "historyRequest", value } });
        const { messages, more } = valueAs(reply, "history");
        assert.equal(more, true);
        found.push(...messages.map(({ id }) => id));
        after = { epoch, offset: messages.at(-1)?.offset ?? 0n };
      }
      assert.deepEqual(
        found,
        Array.from({ length: 6 }, (_, i) => `${epoch}-${i + 1}`),
      );
      const rewinding = await back(context, { channel, rewind: total });
      assert.deepEqual(journal(rewinding, channel), replayed);
    },
  },
  {
    rules: ["C6", "C8"],
    title: "the subscriptions of one request share what it may replay; the next has its own",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const channels = [context.channel(), context.channel(), context.channel()];
      const publisher = await context.client();
      const epochs = new Map<string, string>();
      for (const channel of channels) epochs.set(channel, await fill(publisher, channel, 20));
      const entryOf = (channel: string) => ({
        channel,
        since: { epoch: epochs.get(channel) ?? "", offset: 0n },
      });
      const client = await back(context, ...channels.map(entryOf));
      assert.equal(client.messages.length, recoveryMessages);
      let cut = channels[0] ?? "";
      for (const channel of channels) {
        const epoch = epochs.get(channel) ?? "";
        const count = client.messages.filter((message) => message.channel === channel).length;
        const gap = count === 20 ? "" : ` limit ${epoch}-0..${epoch}-${20 - count}`;
        assert.deepEqual(journal(client, channel), [
          `subscribed ${epoch}-20`,
          ...run("replay", epoch, 21 - count, 20),
          `recovered ${epoch}-20${gap}`,
        ]);
        if (count < 20) cut = channel;
      }
      await client.subscribe(entryOf(cut));
      await client.several("recovered", 4);
      const epoch = epochs.get(cut) ?? "";
      assert.deepEqual(journal(client, cut).slice(-22), [
        `subscribed ${epoch}-20`,
        ...run("replay", epoch, 1, 20),
        `recovered ${epoch}-20`,
      ]);
    },
  },
  {
    rules: ["C6", "C8"],
    title: "what one request may replay is bounded in bytes, too",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const channel = context.channel();
      const text = "x".repeat(3_600);
      const epoch = await fill(await context.client(), channel, 25, text);
      const client = await back(context, { channel, since: { epoch, offset: 0n } });
      const count = client.messages.length;
      assert.ok(count >= 16 && count <= 19, `${count} messages`);
      assert.deepEqual(journal(client, channel), [
        `subscribed ${epoch}-25`,
        ...run("replay", epoch, 26 - count, 25),
        `recovered ${epoch}-25 limit ${epoch}-0..${epoch}-${25 - count}`,
      ]);
    },
  },
];
