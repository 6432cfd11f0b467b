/** History: what a client asks for of the log of a channel that it is subscribed to. */
import assert from "node:assert/strict";
import type {
  History,
  HistoryRequest,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, kindOf, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, EXTENDED, ONE } from "../case.ts";
import { fill, place } from "../journal.ts";
import { RULES } from "../variants.ts";

const READING = { capabilities: ["history"] } as const;
const KEPT = 250;
/** Messages in a page. */
const PAGE = 100;

type Query = Partial<Pick<HistoryRequest, "limit" | "reverse">> & {
  readonly since?: { readonly epoch: string; readonly offset: bigint };
};

async function ask(client: Client, channel: string, query: Query) {
  const value = { channel, limit: -1, ...query };
  return await client.request({ envelope: { case: "historyRequest", value } });
}

async function page(client: Client, channel: string, query: Query): Promise<History> {
  return valueAs(await ask(client, channel, query), "history");
}

function offsets({ messages }: Pick<History, "messages">): number[] {
  return messages.map(({ offset }) => Number(offset));
}

/** From one offset to another, up or down. */
function range(first: number, last: number): number[] {
  const step = first <= last ? 1 : -1;
  return Array.from({ length: Math.abs(last - first) + 1 }, (_, i) => first + step * i);
}

function told({ gap }: History): string {
  return gap === undefined ? "" : `${gap.reason} ${place(gap.after)}..${place(gap.until)}`;
}

export const historyCases: readonly Case[] = [
  {
    rules: ["H1", "H2", "H3"],
    title: "page after page, forward and in reverse, has every message once, as it was live",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const client = await context.subscriber(channel, READING);
      const epoch = await fill(client, channel, KEPT);
      const live = await client.received(KEPT);
      for (const reverse of [false, true]) {
        const found: History["messages"] = [];
        const more: boolean[] = [];
        do {
          const last = found.at(-1);
          const since = last && { since: { epoch: last.epoch, offset: last.offset } };
          const next = await page(client, channel, { reverse, ...since });
          assert.equal(place(next.position), `${epoch}-${KEPT}`);
          assert.equal(next.channel, channel);
          assert.ok(next.messages.length <= PAGE);
          assert.equal(told(next), "");
          found.push(...next.messages);
          more.push(next.more);
        } while (more.at(-1));
        assert.deepEqual(more, [true, true, false]);
        if (reverse) found.reverse();
        const bare = (messages: History["messages"]) =>
          messages.map(({ replay: _, ...rest }) => rest);
        assert.deepEqual(bare(found), bare(live));
        assert.ok(found.every(({ replay }) => replay));
      }
    },
  },
  {
    rules: ["H2", "H3", "C1"],
    title: "limit and since say which part, in both directions; 0 asks for the position only",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const empty = context.channel();
      const client = await context.client(
        { subscriptions: [{ channel }, { channel: empty }] },
        READING,
      );
      const epoch = await fill(client, channel, 120);
      const at = (offset: number) => ({ since: { epoch, offset: BigInt(offset) } });
      for (const [query, expected, more] of [
        [{ limit: 3 }, range(1, 3), true],
        [{ limit: 3, reverse: true }, range(120, 118), true],
        [{ limit: 500 }, range(1, PAGE), true],
        [{ ...at(50) }, range(51, 120), false],
        [{ ...at(50), limit: 2 }, range(51, 52), true],
        [{ ...at(118), limit: 2 }, range(119, 120), false],
        [{ ...at(50), reverse: true }, range(49, 1), false],
        [{ ...at(50), limit: 2, reverse: true }, range(49, 48), true],
        [{ ...at(120) }, [], false],
        [{ ...at(1), reverse: true }, [], false],
        [{ ...at(0) }, range(1, PAGE), true],
        // A place without an epoch says nothing.
        [{ since: { epoch: "", offset: 50n } }, range(1, PAGE), true],
      ] as const) {
        const found = await page(client, channel, query);
        const seen = [offsets(found), found.more, told(found), place(found.position)];
        assert.deepEqual(seen, [expected, more, "", `${epoch}-120`], JSON.stringify(expected));
      }
      for (const query of [{ limit: 0 }, { limit: 0, reverse: true }, { limit: 0, ...at(7) }]) {
        const found = await page(client, channel, query);
        assert.deepEqual([offsets(found), place(found.position)], [[], `${epoch}-120`]);
      }
      const nothing = await page(client, empty, {});
      assert.deepEqual([offsets(nothing), nothing.more, told(nothing)], [[], false, ""]);
      assert.match(place(nothing.position), /^[^-]+-0$/);
    },
  },
  {
    rules: ["H2"],
    title: "a page ends at 64 KiB, and one message fits always",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const client = await context.subscriber(channel, READING);
      await fill(client, channel, 3, "x".repeat(30_000));
      await fill(client, channel, 1, "x".repeat(65_000));
      const pages = [];
      let since: Query["since"];
      do {
        pages.push(await page(client, channel, since === undefined ? {} : { since }));
        const last = pages.at(-1)?.messages.at(-1);
        since = { epoch: last?.epoch ?? "", offset: last?.offset ?? 0n };
      } while (pages.at(-1)?.more);
      assert.deepEqual(pages.map(offsets), [[1, 2], [3], [4]]);
    },
  },
  {
    rules: ["H3", "C6"],
    title: "forward a gap names what lies between the place and the first message",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const channel = context.channel("short");
      const client = await context.subscriber(channel, READING);
      const total = RULES.historySize + 3;
      const epoch = await fill(client, channel, total);
      const at = (offset: number, name = epoch) => ({
        since: { epoch: name, offset: BigInt(offset) },
      });
      const kept = range(4, total);
      for (const [query, expected, gap] of [
        [{}, kept, ""],
        [{ ...at(0) }, kept, `head_trimmed ${epoch}-0..${epoch}-3`],
        [{ ...at(2), limit: 1 }, [4], `head_trimmed ${epoch}-2..${epoch}-3`],
        [{ ...at(3) }, kept, ""],
        [{ ...at(6), reverse: true }, [5, 4], ""],
        [{ ...at(total + 1) }, [], `epoch_changed ${epoch}-${total + 1}..${epoch}-${total}`],
        [{ ...at(1, "other") }, [], `epoch_changed other-1..${epoch}-${total}`],
        [{ ...at(total, "other") }, [], `epoch_changed other-${total}..${epoch}-${total}`],
        [{ ...at(5, "other"), reverse: true }, [], `epoch_changed other-5..${epoch}-${total}`],
      ] as const) {
        const found = await page(client, channel, query);
        const more = "limit" in query;
        assert.deepEqual([offsets(found), told(found), found.more], [expected, gap, more]);
      }
    },
  },
  {
    rules: ["H1"],
    title: "without the capability BAD_REQUEST, without a subscription ACL_ERROR, and no patterns",
    async run(context) {
      const channel = context.channel();
      const plain = await context.subscriber(channel);
      assert.equal(kindOf(await ask(plain, channel, {})), "error BAD_REQUEST");
      if (!context.kind.extended) return;
      const client = await context.subscriber(channel, READING);
      for (const wrong of ["", "*", "a.**", "a..b"]) {
        assert.equal(kindOf(await ask(client, wrong, {})), "error BAD_REQUEST", wrong);
      }
      assert.equal(kindOf(await ask(client, context.channel(), {})), "error ACL_ERROR");
      // Behind a subscribe there is one, behind an unsubscribe there is none any more.
      const other = context.channel();
      const subscribing = client.subscribe(other);
      const asked = ask(client, other, {});
      const unsubscribing = client.unsubscribe(other);
      const late = ask(client, other, {});
      await Promise.all([subscribing, unsubscribing]);
      assert.equal(kindOf(await asked), "history");
      assert.equal(kindOf(await late), "error ACL_ERROR");
    },
  },
  {
    rules: ["H4", "M2", "P2"],
    title: "who comes and goes is never in history, and neither is a transient channel's message",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const [channel, transient] = [context.channel(), context.channel("transient")];
      const client = await context.client(
        { clientId: "stays", subscriptions: [{ channel }, { channel: transient }] },
        { capabilities: ["history", "presence"] },
      );
      for (let i = 0; i < 2; i++) {
        const guest = await context.client({ clientId: "guest" });
        await guest.subscribe(channel, transient);
        await guest.publish(channel, "said");
        await guest.publish(transient, "said");
        await guest.unsubscribe(channel, transient);
      }
      await client.several("presenceEvent", 8);
      assert.equal((await client.received(4)).length, 4);
      assert.deepEqual(offsets(await page(client, channel, {})), [1, 2]);
      const nothing = await page(client, transient, {});
      assert.deepEqual([offsets(nothing), nothing.position?.offset], [[], 2n]);
      await eventually(
        async () => client.messages.length,
        (count) => count === 4,
      );
    },
  },
];
