/** What a client missed and cannot be given: every reason, and the range that it names. */
import assert from "node:assert/strict";
import { valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, EXTENDED_DELIVERED, ONE } from "../case.ts";
import { fill, journal, run } from "../journal.ts";
import { back } from "./recovery.ts";

export const gapCases: readonly Case[] = [
  {
    rules: ["C1", "C5", "C6"],
    title: "a position of another epoch or beyond the head is epoch_changed, never nothing missed",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const channel = context.channel();
      const epoch = await fill(await context.client(), channel, 3);
      const foreign = [0n, 2n, 3n, 4n, 1_000n].map(async (offset) => {
        const client = await back(context, { channel, since: { epoch: "other", offset } });
        assert.deepEqual(journal(client, channel), [
          `subscribed ${epoch}-3`,
          ...run("replay", epoch, 1, 3),
          `recovered ${epoch}-3 epoch_changed other-${offset}..${epoch}-0`,
        ]);
      });
      const beyond = [4n, 1_000n].map(async (offset) => {
        const client = await back(context, { channel, since: { epoch, offset } });
        assert.deepEqual(journal(client, channel), [
          `subscribed ${epoch}-3`,
          `recovered ${epoch}-3 epoch_changed ${epoch}-${offset}..${epoch}-3`,
        ]);
      });
      await Promise.all([...foreign, ...beyond]);
    },
  },
  {
    rules: ["C1", "C5", "C6", "C7"],
    title: "recover without a position, or with one without an epoch, cannot be known",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const [channel, empty] = [context.channel(), context.channel()];
      const epoch = await fill(await context.client(), channel, 3);
      const unknown = [
        { recover: true },
        { recover: true, rewind: 2 },
        { since: { epoch: "", offset: 0n } },
        { since: { epoch: "", offset: 3n } },
      ].map(async (asking) => {
        const client = await back(context, { channel, ...asking });
        assert.deepEqual(journal(client, channel), [
          `subscribed ${epoch}-3`,
          `recovered ${epoch}-3 unavailable ?..${epoch}-3`,
        ]);
      });
      await Promise.all(unknown);
      // Not even where there never was a message: nobody knows which life the client saw.
      const client = await back(context, { channel: empty, recover: true });
      assert.match(journal(client, empty)[1] ?? "", /^recovered .+-0 unavailable \?\.\.(.+)-0$/);
    },
  },
  {
    rules: ["C5", "C6", "C7"],
    title: "head_trimmed names what history is too short for, and the rest is replayed",
    kinds: EXTENDED_DELIVERED,
    server: "rules",
    async run(context) {
      const channel = context.channel("short");
      const epoch = await fill(await context.client(), channel, 10);
      const cases = [
        [{ since: { epoch, offset: 0n } }, 7, ` head_trimmed ${epoch}-0..${epoch}-6`],
        [{ since: { epoch, offset: 5n } }, 7, ` head_trimmed ${epoch}-5..${epoch}-6`],
        [{ since: { epoch, offset: 6n } }, 7, ""],
        [{ since: { epoch, offset: 9n } }, 10, ""],
        // Who asks for the last ones has missed none of those that are gone.
        [{ rewind: 8 }, 7, ""],
        [{ since: { epoch: "other", offset: 9n } }, 7, ` epoch_changed other-9..${epoch}-6`],
      ] as const;
      await Promise.all(
        cases.map(async ([asking, first, gap]) => {
          const client = await back(context, { channel, ...asking });
          assert.deepEqual(journal(client, channel), [
            `subscribed ${epoch}-10`,
            ...run("replay", epoch, first, 10),
            `recovered ${epoch}-10${gap}`,
          ]);
        }),
      );
    },
  },
  {
    rules: ["C5", "C6"],
    title: "history that was removed is head_trimmed; offsets go on and live messages too",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const channel = context.channel();
      const publisher = await context.client();
      const epoch = await fill(publisher, channel, 3);
      await publisher.rpc("remove-history", "", channel);
      const since = { epoch, offset: 1n };
      const first = await back(context, { channel, since });
      await publisher.publish(channel, "behind");
      await first.received(1);
      assert.deepEqual(journal(first, channel), [
        `subscribed ${epoch}-3`,
        `recovered ${epoch}-3 head_trimmed ${epoch}-1..${epoch}-3`,
        `live ${epoch}-4`,
      ]);
      const second = await back(context, { channel, since });
      assert.deepEqual(journal(second, channel).slice(1), [
        `replay ${epoch}-4`,
        `recovered ${epoch}-4 head_trimmed ${epoch}-1..${epoch}-3`,
      ]);
    },
  },
  {
    rules: ["C2", "C5", "C6", "H3"],
    title: "messages that grew too old are expired, in recovery and in history; the place is known",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const channel = context.channel("brief");
      const publisher = await context.client({}, { capabilities: ["history"] });
      const epoch = await fill(publisher, channel, 2);
      await publisher.subscribe(channel);
      const history = async () => {
        const value = { channel, since: { epoch, offset: 0n }, limit: -1 };
        return valueAs(
          await publisher.request({ envelope: { case: "historyRequest", value } }),
          "history",
        );
      };
      const { gap } = await eventually(history, ({ messages }) => messages.length === 0);
      assert.deepEqual([gap?.reason, gap?.after?.offset, gap?.until?.offset], ["expired", 0n, 2n]);
      await publisher.unsubscribe(channel);
      await publisher.publish(channel, "young");
      const [late, none] = await Promise.all([
        back(context, { channel, since: { epoch, offset: 0n } }),
        back(context, { channel, since: { epoch, offset: 2n } }),
      ]);
      assert.deepEqual(journal(late, channel), [
        `subscribed ${epoch}-3`,
        `replay ${epoch}-3`,
        `recovered ${epoch}-3 expired ${epoch}-0..${epoch}-2`,
      ]);
      assert.deepEqual(journal(none, channel).slice(1), [
        `replay ${epoch}-3`,
        `recovered ${epoch}-3`,
      ]);
    },
  },
  {
    rules: ["C6", "C7", "C9", "P2"],
    title: "without recovery, or where nothing is kept, it is unavailable, and live messages come",
    kinds: EXTENDED_DELIVERED,
    server: "rules",
    async run(context) {
      for (const prefix of ["lost", "transient"]) {
        const channel = context.channel(prefix);
        // A transient channel is forgotten when nobody listens.
        const publisher = await context.subscriber(channel);
        const epoch = await fill(publisher, channel, 2);
        const [since, recover, rewind] = await Promise.all([
          back(context, { channel, since: { epoch, offset: 1n } }),
          // Not even that somebody has everything is known of such a channel.
          back(context, { channel, recover: true, since: { epoch, offset: 2n } }),
          back(context, { channel, rewind: 1 }),
        ]);
        await publisher.publish(channel, "live");
        for (const [client, after] of [
          [since, `${epoch}-1`],
          [recover, `${epoch}-2`],
          [rewind, "?"],
        ] as const) {
          await client.received(1);
          assert.deepEqual(journal(client, channel), [
            `subscribed ${epoch}-2`,
            `recovered ${epoch}-2 unavailable ${after}..${epoch}-2`,
            `live ${epoch}-3`,
          ]);
        }
      }
    },
  },
  {
    rules: ["C6", "C9"],
    title: "a log that does not answer is unavailable; the subscription lives and can try again",
    kinds: EXTENDED_DELIVERED,
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const client = await context.client({}, { capabilities: ["recovery", "history"] });
      const epoch = await fill(client, channel, 3);
      const entry = { channel, since: { epoch, offset: 1n } };
      await client.rpc("trouble", "down", channel);
      await client.subscribe(entry);
      await client.next("recovered");
      await client.publish(channel, "live");
      await client.received(1);
      const value = { channel, limit: -1 };
      const failed = await client.request({ envelope: { case: "historyRequest", value } });
      assert.equal(valueAs(failed, "error").code, "UNAVAILABLE");
      await client.rpc("trouble", "none", channel);
      await client.subscribe(entry);
      await client.several("recovered", 2);
      assert.deepEqual(journal(client, channel), [
        `subscribed ${epoch}-3`,
        `recovered ${epoch}-3 unavailable ${epoch}-1..${epoch}-3`,
        `live ${epoch}-4`,
        `subscribed ${epoch}-4`,
        ...run("replay", epoch, 2, 4),
        `recovered ${epoch}-4`,
      ]);
    },
  },
  {
    rules: ["C10", "K2"],
    title: "a hole met while live is told once, before the message behind it, to who understands",
    kinds: EXTENDED_DELIVERED,
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const here = { node: 0 };
      const client = await context.subscriber(channel, { ...here, capabilities: ["recovery"] });
      const others = [
        await context.subscriber(channel, here),
        await context.subscriber(channel, { ...here, extended: false }),
      ];
      const epoch = await fill(client, channel, 1);
      await client.received(1);
      for (let i = 0; i < 2; i++) await client.rpc("lose", "2", channel);
      await fill(client, channel, 3);
      await Promise.all([client, ...others].map((one) => one.received(2)));
      const live = [`live ${epoch}-1`, `live ${epoch}-4`];
      const gap = `gap unavailable ${epoch}-1..${epoch}-3`;
      assert.deepEqual(journal(client, channel).slice(1), [live[0], gap, live[1]]);
      for (const other of others) assert.deepEqual(journal(other, channel).slice(1), live);
    },
  },
];
