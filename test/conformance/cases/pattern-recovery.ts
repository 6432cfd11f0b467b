/** What a client that comes back with a pattern is given of each channel, and what it is told of the rest. */
import assert from "node:assert/strict";
import type { StreamPosition } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, type SubscriptionInit, textOf } from "../../support/client.ts";
import { sleep } from "../../support/eventually.ts";
import { type Case, type Context, EXTENDED_DELIVERED, ONE } from "../case.ts";
import { fill, journal, place, run } from "../journal.ts";
import { RULES } from "../variants.ts";
import { RECOVERING } from "./recovery.ts";

/** Connects with a pattern that asks for recovery, and waits for the verdict on the pattern. */
async function backWith(
  context: Context,
  ...wanted: (SubscriptionInit & { channel: string })[]
): Promise<Client> {
  const client = await context.client({ subscriptions: wanted }, RECOVERING);
  for (const { channel } of wanted) {
    await client.until(() => client.all("recovered").find((one) => one.channel === channel));
  }
  return client;
}

/** The place that a pattern's acknowledgement names. */
function placeOf(client: Client, pattern: string): StreamPosition | undefined {
  const [connected] = client.all("connected");
  return connected?.subscriptions.find(({ channel }) => channel === pattern)?.position;
}

/** The last position that a client has of each channel. */
function positionsOf(client: Client): Record<string, { epoch: string; offset: bigint }> {
  return Object.fromEntries(
    client.messages.map(({ channel, epoch, offset }) => [channel, { epoch, offset }]),
  );
}

/** Verdicts that a client was given, by channel. */
function verdicts(client: Client): Record<string, string> {
  return Object.fromEntries(
    client
      .all("recovered")
      .map(({ channel, gap }) => [channel, gap === undefined ? "all" : gap.reason]),
  );
}

export const patternRecoveryCases: readonly Case[] = [
  {
    rules: ["W4", "W5", "W6"],
    title:
      "who comes back gets what it missed of each channel, those that began meanwhile included",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const pattern = `${root}.*`;
      const [seen, quiet, fresh] = [`${root}.seen`, `${root}.quiet`, `${root}.fresh`];
      const publisher = await context.client();
      const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
      const epoch = await fill(publisher, seen, 2);
      const quietEpoch = await fill(publisher, quiet, 1);
      await gone.received(3);
      const since = placeOf(gone, pattern);
      assert.ok((since?.offset ?? 0n) > 1_700_000_000_000n);
      gone.socket.terminate();
      await fill(publisher, seen, 3);
      const freshEpoch = await fill(publisher, fresh, 2);
      const client = await backWith(context, {
        channel: pattern,
        ...(since && { since }),
        positions: positionsOf(gone),
      });
      await publisher.publish(seen, "live");
      await publisher.publish(fresh, "live");
      await client.received(7);
      assert.deepEqual(journal(client, seen), [
        ...run("replay", epoch, 3, 5),
        `recovered ${epoch}-5`,
        `live ${epoch}-6`,
      ]);
      assert.deepEqual(journal(client, quiet), [`recovered ${quietEpoch}-1`]);
      assert.deepEqual(journal(client, fresh), [
        ...run("replay", freshEpoch, 1, 2),
        `recovered ${freshEpoch}-2`,
        `live ${freshEpoch}-3`,
      ]);
      const own = placeOf(client, pattern);
      assert.deepEqual(journal(client, pattern), [
        `subscribed ${place(own)}`,
        `recovered ${place(own)}`,
      ]);
      assert.equal(own?.epoch, since?.epoch);
      assert.ok((own?.offset ?? 0n) >= (since?.offset ?? 0n));
    },
  },
  {
    rules: ["W5", "W6"],
    title:
      "a channel that the same request asks for by itself gets what the pattern would have brought of it",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const pattern = `${root}.*`;
      const [seen, fresh] = [`${root}.seen`, `${root}.fresh`];
      const publisher = await context.client();
      const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
      const epoch = await fill(publisher, seen, 2);
      await gone.received(2);
      const since = placeOf(gone, pattern);
      gone.socket.terminate();
      await fill(publisher, seen, 3);
      const freshEpoch = await fill(publisher, fresh, 2);
      const wanted = { channel: pattern, ...(since && { since }), positions: positionsOf(gone) };
      const client = await context.client(
        { subscriptions: [{ channel: seen }, wanted, { channel: fresh }] },
        RECOVERING,
      );
      await client.several("recovered", 3);
      await publisher.publish(seen, "live");
      await publisher.publish(fresh, "live");
      await client.received(7);
      const subscribed = (channel: string): string =>
        `subscribed ${place(placeOf(client, channel))}`;
      assert.deepEqual(journal(client, seen), [
        subscribed(seen),
        ...run("replay", epoch, 3, 5),
        `recovered ${epoch}-5`,
        `live ${epoch}-6`,
      ]);
      assert.deepEqual(journal(client, fresh), [
        subscribed(fresh),
        ...run("replay", freshEpoch, 1, 2),
        `recovered ${freshEpoch}-2`,
        `live ${freshEpoch}-3`,
      ]);
      assert.deepEqual(verdicts(client), { [seen]: "all", [fresh]: "all", [pattern]: "all" });
    },
  },
  {
    rules: ["W5", "W6"],
    title:
      "another pattern that has begun since then, and asks for nothing, hides nothing of what was missed",
    kinds: ONE,
    async run(context) {
      for (const together of [true, false]) {
        const root = context.channel();
        const [pattern, wider] = [`${root}.*`, `${root}.**`];
        const fresh = `${root}.fresh`;
        const publisher = await context.client();
        const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
        const since = placeOf(gone, pattern);
        gone.socket.terminate();
        const epoch = await fill(publisher, fresh, 2);
        const wanted = { channel: pattern, ...(since && { since }) };
        const client = await context.client(
          { subscriptions: [{ channel: wider }, ...(together ? [wanted] : [])] },
          RECOVERING,
        );
        if (!together) await client.subscribe(wanted);
        await client.several("recovered", 2);
        await publisher.publish(fresh, "live");
        await client.received(3);
        assert.deepEqual(journal(client, fresh), [
          ...run("replay", epoch, 1, 2),
          `recovered ${epoch}-2`,
          `live ${epoch}-3`,
        ]);
        assert.deepEqual(verdicts(client), { [fresh]: "all", [pattern]: "all" });
      }
    },
  },
  {
    rules: ["W5", "W6"],
    title:
      "a subscription to a channel that has begun since then, and asks for nothing, hides nothing of what was missed",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const pattern = `${root}.*`;
      const [seen, fresh] = [`${root}.seen`, `${root}.fresh`];
      const publisher = await context.client();
      const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
      const epoch = await fill(publisher, seen, 2);
      await gone.received(2);
      const since = placeOf(gone, pattern);
      gone.socket.terminate();
      await fill(publisher, seen, 1);
      const freshEpoch = await fill(publisher, fresh, 2);
      const client = await context.client(
        { subscriptions: [{ channel: seen }, { channel: fresh }] },
        RECOVERING,
      );
      await publisher.publish(seen, "live");
      await client.received(1);
      await client.subscribe({
        channel: pattern,
        ...(since && { since }),
        positions: positionsOf(gone),
      });
      await client.several("recovered", 3);
      await publisher.publish(seen, "live");
      await publisher.publish(fresh, "live");
      await client.received(7);
      // As where a client subscribes again, what has come live since is part of what is replayed.
      assert.deepEqual(journal(client, seen), [
        `subscribed ${epoch}-3`,
        `live ${epoch}-4`,
        ...run("replay", epoch, 3, 4),
        `recovered ${epoch}-4`,
        `live ${epoch}-5`,
      ]);
      assert.deepEqual(journal(client, fresh), [
        `subscribed ${freshEpoch}-2`,
        ...run("replay", freshEpoch, 1, 2),
        `recovered ${freshEpoch}-2`,
        `live ${freshEpoch}-3`,
      ]);
      assert.deepEqual(verdicts(client), { [seen]: "all", [fresh]: "all", [pattern]: "all" });
    },
  },
  {
    rules: ["W5"],
    title:
      "where the same request asks for a channel by itself, from a higher position or for the last messages, nothing is left out",
    kinds: ONE,
    async run(context) {
      for (const isRewound of [true, false]) {
        const root = context.channel();
        const pattern = `${root}.*`;
        const channel = `${root}.seen`;
        const publisher = await context.client();
        const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
        const epoch = await fill(publisher, channel, 1);
        await gone.received(1);
        const since = placeOf(gone, pattern);
        gone.socket.terminate();
        await fill(publisher, channel, 4);
        const asks = isRewound ? { rewind: 2 } : { since: { epoch, offset: 4n } };
        const client = await context.client(
          {
            subscriptions: [
              { channel, ...asks },
              { channel: pattern, ...(since && { since }), positions: positionsOf(gone) },
            ],
          },
          RECOVERING,
        );
        await client.several("recovered", 2);
        await publisher.publish(channel, "live");
        await client.received(5);
        assert.deepEqual(journal(client, channel), [
          `subscribed ${epoch}-5`,
          ...run("replay", epoch, 2, 5),
          `recovered ${epoch}-5`,
          `live ${epoch}-6`,
        ]);
        assert.deepEqual(verdicts(client), { [channel]: "all", [pattern]: "all" });
      }
    },
  },
  {
    rules: ["W5", "W6"],
    title:
      "a channel that the session has already, by itself or by another pattern, gets what a pattern of the same request asks",
    kinds: ONE,
    async run(context) {
      for (const byItself of [true, false]) {
        const root = context.channel();
        const pattern = `${root}.*`;
        const fresh = `${root}.fresh`;
        const publisher = await context.client();
        const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
        const since = placeOf(gone, pattern);
        gone.socket.terminate();
        const epoch = await fill(publisher, fresh, 2);
        const client = await context.client(
          { subscriptions: [{ channel: byItself ? fresh : `${root}.**` }] },
          RECOVERING,
        );
        await client.subscribe({ channel: fresh }, { channel: pattern, ...(since && { since }) });
        await client.several("recovered", 2);
        await publisher.publish(fresh, "live");
        await client.received(3);
        assert.deepEqual(journal(client, fresh), [
          ...(byItself ? [`subscribed ${epoch}-2`] : []),
          `subscribed ${epoch}-2`,
          ...run("replay", epoch, 1, 2),
          `recovered ${epoch}-2`,
          `live ${epoch}-3`,
        ]);
        assert.deepEqual(verdicts(client), { [fresh]: "all", [pattern]: "all" });
      }
    },
  },
  {
    rules: ["W6"],
    title:
      "of a channel that is older than the pattern and was never seen nobody can say what is missing",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const pattern = `${root}.**`;
      const old = `${root}.old`;
      const publisher = await context.client();
      const epoch = await fill(publisher, old, 3);
      // What came before the acknowledgement and what comes behind it have different times.
      await sleep(20);
      const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
      const since = placeOf(gone, pattern);
      gone.socket.terminate();
      await sleep(20);
      await fill(publisher, old, 2);
      const client = await backWith(context, { channel: pattern, ...(since && { since }) });
      assert.deepEqual(journal(client, old), [
        ...run("replay", epoch, 4, 5),
        `recovered ${epoch}-5 unavailable ?..${epoch}-3`,
      ]);
      assert.deepEqual(verdicts(client), { [old]: "unavailable", [pattern]: "all" });
    },
  },
  {
    rules: ["W5", "W6"],
    title: "without a place, or with one of another time, the pattern's verdict is a gap",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const pattern = `${root}.*`;
      const channel = `${root}.a`;
      const publisher = await context.client();
      const epoch = await fill(publisher, channel, 2);
      const positions = { [channel]: { epoch, offset: 1n } };
      const nowhere = await backWith(context, { channel: pattern, recover: true });
      assert.deepEqual(verdicts(nowhere), { [pattern]: "unavailable" });
      const known = await backWith(context, { channel: pattern, positions });
      assert.deepEqual(verdicts(known), { [channel]: "all", [pattern]: "unavailable" });
      assert.deepEqual(journal(known, channel).slice(0, 1), [`replay ${epoch}-2`]);
      const since = { epoch: "another", offset: 1_700_000_000_000n };
      const foreign = await backWith(context, { channel: pattern, since, positions });
      assert.equal(verdicts(foreign)[pattern], "epoch_changed");
      assert.equal(verdicts(foreign)[channel], "all");
    },
  },
  {
    rules: ["W5"],
    title:
      "each channel has its own verdict: trimmed, of another epoch, beyond the head, not recoverable",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const publisher = await context.client();
      const short = context.channel("short");
      const lost = context.channel("lost");
      const [shortEpoch, lostEpoch] = await Promise.all([
        fill(publisher, `${short}.a`, RULES.historySize + 3),
        fill(publisher, `${lost}.a`, 2),
      ]);
      const plain = context.channel();
      const epoch = await fill(publisher, `${plain}.a`, 2);
      await fill(publisher, `${plain}.b`, 2);
      const recovering = async (pattern: string, channel: string, position: StreamPosition) =>
        await backWith(context, { channel: pattern, positions: { [channel]: position } });
      const at = (name: string, offset: bigint) => ({ epoch: name, offset }) as StreamPosition;
      const trimmed = await recovering(`${short}.*`, `${short}.a`, at(shortEpoch, 1n));
      assert.equal(verdicts(trimmed)[`${short}.a`], "head_trimmed");
      assert.equal(trimmed.messages.length, RULES.historySize);
      const off = await recovering(`${lost}.*`, `${lost}.a`, at(lostEpoch, 1n));
      assert.equal(verdicts(off)[`${lost}.a`], "unavailable");
      const other = await recovering(`${plain}.*`, `${plain}.a`, at("other", 1n));
      assert.equal(verdicts(other)[`${plain}.a`], "epoch_changed");
      // What was published to the channel beside it may still be on its way.
      assert.equal(other.messages.filter(({ channel }) => channel === `${plain}.a`).length, 2);
      const beyond = await recovering(`${plain}.*`, `${plain}.a`, at(epoch, 9n));
      assert.equal(verdicts(beyond)[`${plain}.a`], "epoch_changed");
      const nothing = await recovering(`${plain}.*`, `${plain}.a`, at("", 1n));
      assert.equal(verdicts(nothing)[`${plain}.a`], "unavailable");
    },
  },
  {
    rules: ["W5"],
    title: "the channels of a pattern share what one request may replay",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const root = context.channel();
      const publisher = await context.client();
      const positions: Record<string, { epoch: string; offset: bigint }> = {};
      for (const name of ["a", "b", "c"]) {
        const epoch = await fill(publisher, `${root}.${name}`, RULES.recoveryMessages / 2);
        positions[`${root}.${name}`] = { epoch, offset: 0n };
      }
      const client = await backWith(context, { channel: `${root}.*`, positions });
      assert.equal(client.messages.length, RULES.recoveryMessages);
      const told = Object.entries(verdicts(client)).filter(([name]) => name !== `${root}.*`);
      assert.deepEqual(told.map(([, verdict]) => verdict).sort(), ["all", "all", "limit"]);
    },
  },
  {
    rules: ["W5", "C8"],
    title:
      "what a pattern brings in place of the last messages of a channel counts in what the request may replay, and they do not",
    kinds: ONE,
    server: "rules",
    async run(context) {
      const root = context.channel();
      const pattern = `${root}.*`;
      const [first, second] = [`${root}.a`, context.channel()];
      const publisher = await context.client();
      const gone = await context.client({ subscriptions: [{ channel: pattern }] }, RECOVERING);
      const since = placeOf(gone, pattern);
      gone.socket.terminate();
      const missed = RULES.recoveryMessages - 10;
      const rewind = missed - 1;
      const epoch = await fill(publisher, first, missed);
      const secondEpoch = await fill(publisher, second, missed);
      const client = await backWith(
        context,
        { channel: first, rewind },
        { channel: second, since: { epoch: secondEpoch, offset: 0n } },
        { channel: pattern, ...(since && { since }) },
      );
      assert.deepEqual(journal(client, first).slice(1), [
        ...run("replay", epoch, 1, missed),
        `recovered ${epoch}-${missed}`,
      ]);
      assert.deepEqual(journal(client, second).slice(1), [
        ...run("replay", secondEpoch, missed - 9, missed),
        `recovered ${secondEpoch}-${missed} limit ${secondEpoch}-0..${secondEpoch}-${missed - 10}`,
      ]);
      assert.equal(verdicts(client)[pattern], "all");
    },
  },
  {
    rules: ["W3", "W5"],
    title:
      "a channel that several subscriptions of a request stand for is caught up with once, from the lowest position",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const channel = `${root}.a`;
      const publisher = await context.client();
      const epoch = await fill(publisher, channel, 4);
      await fill(publisher, `${root}.b`, 2);
      const positions = { [channel]: { epoch, offset: 1n } };
      const client = await backWith(
        context,
        { channel, since: { epoch, offset: 2n } },
        { channel: `${root}.*`, positions },
        { channel: `${root}.**`, positions },
      );
      const twice = await backWith(
        context,
        { channel: `${root}.*`, positions },
        { channel: `${root}.**`, positions },
      );
      await publisher.publish(channel, "live");
      // On a cluster what was published to the other channel may still be on its way.
      const last = `live ${epoch}-5`;
      for (const one of [client, twice]) {
        await one.until(() => journal(one, channel).at(-1) === last || undefined);
      }
      assert.deepEqual(journal(client, channel).slice(1), [
        ...run("replay", epoch, 2, 4),
        `recovered ${epoch}-4`,
        `live ${epoch}-5`,
      ]);
      assert.deepEqual(journal(twice, channel), [
        ...run("replay", epoch, 2, 4),
        `recovered ${epoch}-4`,
        `live ${epoch}-5`,
      ]);
    },
  },
  {
    rules: ["W5"],
    title:
      "what is published while a pattern catches up comes behind the replay, in order and once",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const names = ["a", "b", "c", "d"].map((name) => `${root}.${name}`);
      const publisher = await context.client();
      const positions: Record<string, { epoch: string; offset: bigint }> = {};
      for (const name of names) {
        positions[name] = { epoch: await fill(publisher, name, 100), offset: 0n };
      }
      const client = await context.client({}, RECOVERING);
      let over = false;
      const counts = new Map(names.map((name) => [name, 100]));
      const publishing = names.map(async (name) => {
        while (!over) {
          counts.set(name, (counts.get(name) ?? 0) + 1);
          await publisher.publish(name, "more");
        }
      });
      await client.subscribe({ channel: `${root}.*`, positions });
      await client.until(() =>
        client.all("recovered").find(({ channel }) => channel === `${root}.*`),
      );
      over = true;
      await Promise.all(publishing);
      await client.received([...counts.values()].reduce((sum, count) => sum + count, 0));
      for (const name of names) {
        const offsets = client.messages
          .filter(({ channel }) => channel === name)
          .map(({ offset }) => Number(offset));
        assert.deepEqual(
          offsets,
          Array.from({ length: counts.get(name) ?? 0 }, (_, i) => i + 1),
        );
        const replays = client.messages.filter(({ channel }) => channel === name);
        const firstLive = replays.findIndex(({ replay }) => !replay);
        // All are replays where no publish came after the last page.
        const count = firstLive === -1 ? replays.length : firstLive;
        assert.ok(count >= 100);
        assert.ok(replays.slice(count).every(({ replay }) => !replay));
      }
      assert.ok(client.messages.every(({ payload }) => textOf(payload) !== ""));
    },
  },
];
