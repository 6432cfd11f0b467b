/** Patterns: what they stand for, and that nothing that is published behind their acknowledgement is missed. */
import assert from "node:assert/strict";
import { type Client, KINDS, kindOf, textOf, valueAs } from "../../support/client.ts";
import { type Case, type Context, EXTENDED_DELIVERED, ONE } from "../case.ts";
import { journal } from "../journal.ts";
import { ask, FOLLOWING, members, names } from "./presence.ts";

/** Channels and texts of what a client has received, in order. */
export function heard({ messages }: Client): string[] {
  return messages.map(({ channel, payload }) => `${channel} ${textOf(payload)}`);
}

async function arrived(client: Client, ...lines: readonly string[]): Promise<void> {
  await client.until(() => lines.every((line) => heard(client).includes(line)) || undefined);
}

/** What was heard when everything that was published until now has arrived. */
async function heardUntilNow(client: Client, publisher: Client, channel: string) {
  const end = crypto.randomUUID();
  await client.subscribe(channel);
  await publisher.publish(channel, end);
  await arrived(client, `${channel} ${end}`);
  await client.unsubscribe(channel);
  return heard(client).filter((line) => !line.startsWith(channel));
}

export const patternCases: readonly Case[] = [
  {
    rules: ["W1", "W2"],
    title:
      "* stands for one word anywhere, ** for zero or more at the end, and no word crosses a dot",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const publisher = await context.client();
      const channels = ["", ".a", ".a.b", ".a.b.c", ".b", ".b.b", ".A", ".fo", ".***", ".a.B"];
      const meant: Readonly<Record<string, readonly string[]>> = {
        [`${root}.*`]: [".a", ".b", ".A", ".fo", ".***"],
        [`${root}.**`]: channels,
        [`${root}.*.b`]: [".a.b", ".b.b"],
        [`${root}.a.**`]: [".a", ".a.b", ".a.b.c", ".a.B"],
        [`${root}.*.*.*`]: [".a.b.c"],
        [`${root}.*.**`]: channels.filter((channel) => channel !== ""),
        "*.*.a": [".a"],
        "*.*.*.b.**": [".a.b", ".a.b.c", ".b.b"],
        // Stars that stand beside letters are letters.
        [`${root}.fo*`]: [],
        [`${root}.***`]: [".***"],
      };
      const listeners = await Promise.all(
        Object.keys(meant).map(async (pattern) => await context.subscriber(pattern)),
      );
      for (const channel of channels) await publisher.publish(`${root}${channel}`, "x");
      for (const [index, [pattern, expected]] of Object.entries(meant).entries()) {
        const client = listeners[index] as Client;
        // Between channels there is no order: what is meant is waited for, and what is not shows by the end.
        for (const end of expected) await arrived(client, `${root}${end} x`);
        const found = await heardUntilNow(client, publisher, context.channel());
        const own = found.filter((line) => line.startsWith(root));
        assert.deepEqual(own.sort(), expected.map((end) => `${root}${end} x`).sort(), pattern);
      }
    },
  },
  {
    rules: ["W2"],
    title:
      "a channel that nobody has ever named is heard, whatever its name, by clients of every kind",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const listeners = await Promise.all(
        KINDS.map(async (kind) => await context.subscriber(`${root}.*`, kind)),
      );
      const publisher = await context.client();
      const words = [
        "[a]",
        "?",
        "\\",
        "{b}",
        "%7b",
        "a b",
        "\u{1f600}",
        "f*",
        "^$",
        "]",
        "__proto__",
      ];
      for (const word of words) {
        assert.equal(await publisher.publish(`${root}.${word}`, word), 1);
        await publisher.publish(`${root}.${word}`, "again");
      }
      const expected = words.flatMap((word) => [
        `${root}.${word} ${word}`,
        `${root}.${word} again`,
      ]);
      for (const client of listeners) {
        await client.received(expected.length);
        assert.deepEqual(heard(client).sort(), expected.toSorted());
      }
    },
  },
  {
    rules: ["W3"],
    title:
      "what several subscriptions of a session stand for arrives once, and each keeps what it is for",
    async run(context) {
      const root = context.channel();
      const channel = `${root}.a`;
      const publisher = await context.client();
      const client = await context.client();
      const all = [channel, `${root}.*`, `${root}.**`];
      await client.subscribe(...all);
      for (const [index, left] of [...all, undefined].entries()) {
        await publisher.publish(channel, `${index}`);
        await publisher.publish(`${root}.b`, `${index}`);
        if (left === undefined) continue;
        // What is on its way to a subscription that ends need not arrive.
        await arrived(client, `${channel} ${index}`, `${root}.b ${index}`);
        await client.unsubscribe(left);
      }
      for (const name of [channel, `${root}.b`]) await arrived(client, `${name} 2`);
      await heardUntilNow(client, publisher, context.channel());
      assert.deepEqual(
        heard(client).filter((line) => line.startsWith(channel)),
        ["0", "1", "2"].map((text) => `${channel} ${text}`),
      );
      assert.deepEqual(
        heard(client).filter((line) => line.startsWith(`${root}.b`)),
        ["0", "1", "2"].map((text) => `${root}.b ${text}`),
      );
      // In another order, the channel goes last. Elsewhere, because what was published before may still be on its way.
      const place = context.channel();
      const last = `${place}.a`;
      const other = await context.client();
      await other.subscribe(last, `${place}.*`, `${place}.**`);
      await other.unsubscribe(`${place}.*`);
      await publisher.publish(last, "4");
      await arrived(other, `${last} 4`);
      await other.unsubscribe(`${place}.**`);
      await publisher.publish(last, "5");
      await publisher.publish(`${place}.b`, "5");
      await arrived(other, `${last} 5`);
      await other.unsubscribe(last);
      await publisher.publish(last, "6");
      const found = await heardUntilNow(other, publisher, context.channel());
      assert.deepEqual(found, [`${last} 4`, `${last} 5`]);
    },
  },
  {
    rules: ["W3"],
    title:
      "a channel that is subscribed to under a pattern goes on without a hole and without a repeat",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const channel = `${root}.a`;
      const publisher = await context.client();
      const client = await context.subscriber(`${root}.*`);
      const texts: string[] = [];
      const publishing = (async () => {
        for (let i = 0; i < 60; i++) {
          texts.push(`${i}`);
          await publisher.publish(channel, `${i}`);
        }
      })();
      for (let i = 0; i < 4; i++) {
        await client.subscribe(channel);
        await client.unsubscribe(channel);
      }
      await publishing;
      await client.received(60);
      assert.deepEqual(
        heard(client),
        texts.map((text) => `${channel} ${text}`),
      );
    },
  },
  {
    rules: ["W1"],
    title: "what is no pattern is refused, and the rest of the request goes on",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const client = await context.client();
      const wrong = [
        `${root}.**.a`,
        "**.**",
        "*..a",
        ".*",
        "*.",
        "*.\u0007",
        `*.${"x".repeat(254)}`,
      ];
      const { subscriptions } = valueAs(
        await client.subscribe(...wrong, `${root}.*`),
        "subscribeAck",
      );
      assert.deepEqual(
        subscriptions.map(({ error }) => error?.code ?? "granted"),
        [...wrong.map(() => "BAD_REQUEST"), "granted"],
      );
      assert.equal(await client.publish(`${root}.a`, "x"), 1);
      await client.received(1);
      const connecting = await context.open();
      const both = [{ channel: "**.a" }, { channel: `${root}.*` }];
      const connected = await connecting.connect({ subscriptions: both });
      assert.deepEqual(
        valueAs(connected, "connected").subscriptions.map(({ error }) => error?.code ?? "granted"),
        ["BAD_REQUEST", "granted"],
      );
      await client.publish(`${root}.a`, "y");
      await connecting.received(1);
    },
  },
  {
    rules: ["W5"],
    title: "positions are for patterns and of their channels, and a pattern cannot be rewound",
    kinds: ONE,
    async run(context) {
      const root = context.channel();
      const client = await context.client({}, { capabilities: ["recovery"] });
      const since = { epoch: "e", offset: 1n };
      const bad = await client.subscribe(
        { channel: `${root}.a`, positions: { [`${root}.a`]: since } },
        { channel: `${root}.b.*`, positions: { [`${root}.a`]: since } },
        { channel: `${root}.c.*`, positions: { [`${root}.c.*`]: since } },
        { channel: `${root}.d.*`, rewind: 1 },
      );
      const { subscriptions } = valueAs(bad, "subscribeAck");
      assert.deepEqual(
        subscriptions.map(({ error }) => error?.code),
        ["BAD_REQUEST", "BAD_REQUEST", "BAD_REQUEST", "BAD_REQUEST"],
      );
      const mute = await context.client();
      const ack = valueAs(
        await mute.subscribe({ channel: `${root}.*`, recover: true }),
        "subscribeAck",
      );
      assert.equal(ack.subscriptions[0]?.error?.code, "BAD_REQUEST");
    },
  },
  {
    rules: ["W7", "M1"],
    title: "a pattern brings who comes to its channels and goes, and is no member of them itself",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const channel = `${root}.room`;
      const pattern = { subscriptions: [{ channel: `${root}.**` }] };
      const watcher = await context.client({ clientId: "watcher", ...pattern }, FOLLOWING);
      const mute = await context.client({ clientId: "mute", ...pattern });
      const guest = await context.client(
        { clientId: "guest", subscriptions: [{ channel }] },
        FOLLOWING,
      );
      await watcher.several("presenceEvent", 1);
      assert.deepEqual(names(await members(watcher, channel)), ["/guest"]);
      assert.equal(kindOf(await ask(watcher, `${root}.*`)), "error BAD_REQUEST");
      await guest.unsubscribe(channel);
      await watcher.several("presenceEvent", 2);
      assert.deepEqual(journal(watcher, channel), ["join /guest", "leave /guest"]);
      assert.deepEqual(
        journal(guest, channel).filter((line) => line.startsWith("join")),
        [],
      );
      assert.deepEqual(journal(mute, channel), []);
    },
  },
  {
    rules: ["W7", "H1"],
    title: "who has a channel by a pattern may ask for its history, and for no other's",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const root = context.channel();
      const client = await context.client(
        { subscriptions: [{ channel: `${root}.*` }] },
        { capabilities: ["history"] },
      );
      await client.publish(`${root}.a`, "x");
      const request = async (channel: string) =>
        await client.request({
          envelope: { case: "historyRequest", value: { channel, limit: 9 } },
        });
      const { messages } = valueAs(await request(`${root}.a`), "history");
      assert.deepEqual(
        messages.map(({ payload }) => textOf(payload)),
        ["x"],
      );
      assert.equal(kindOf(await request(`${root}.a.b`)), "error ACL_ERROR");
      assert.equal(kindOf(await request(`${root}.*`)), "error BAD_REQUEST");
    },
  },
  {
    rules: ["W2"],
    title: "while two hundred channels begin, patterns miss nothing behind their acknowledgement",
    kinds: ONE,
    async run(context) {
      await race(context, 200, 12);
    },
  },
];

/** Many channels begin and go on while patterns are subscribed to. */
async function race(context: Context, channels: number, patterns: number): Promise<void> {
  const root = context.channel();
  const publishers = [await context.client(), await context.client()];
  const sent = new Map<string, number>();
  let over = false;
  const publish = async (publisher: Client, own: readonly string[]): Promise<void> => {
    for (let round = 0; !over || round < 3; round++) {
      for (let i = 0; i < own.length; i += 10) {
        const some = own.slice(i, i + 10).map(async (channel) => {
          const count = (sent.get(channel) ?? 0) + 1;
          sent.set(channel, count);
          await publisher.publish(channel, `${count}`);
        });
        await Promise.all(some);
      }
    }
  };
  const all = Array.from({ length: channels }, (_, i) => `${root}.${i % 10}.${i}`);
  const publishing = publishers.map((publisher, k) =>
    publish(
      publisher,
      all.filter((_, i) => i % publishers.length === k),
    ),
  );
  const listeners: { client: Client; pattern: RegExp; from: Map<string, number> }[] = [];
  for (let i = 0; i < patterns; i++) {
    const client = await context.client();
    const pattern = [`${root}.**`, `${root}.${i % 10}.*`, `*.*.*.${i}`][i % 3] as string;
    await client.subscribe(pattern);
    listeners.push({ client, pattern: meaning(pattern), from: new Map(sent) });
  }
  over = true;
  await Promise.all(publishing);
  for (const { client, pattern, from } of listeners) {
    for (const channel of all.filter((name) => pattern.test(name))) {
      const first = (from.get(channel) ?? 0) + 1;
      const last = sent.get(channel) ?? 0;
      const expected = Array.from({ length: last - first + 1 }, (_, k) => `${first + k}`);
      const owed = `${channel} ${last}`;
      if (last >= first) await client.until(() => heard(client).includes(owed) || undefined);
      const texts = heard(client)
        .filter((line) => line.startsWith(`${channel} `))
        .map((line) => line.slice(channel.length + 1));
      // What was on the way when the pattern was acknowledged may have come as well.
      assert.deepEqual(texts.slice(texts.length - expected.length), expected, channel);
      assert.equal(new Set(texts).size, texts.length, `${channel} repeats`);
    }
  }
}

/** A pattern of more words than `**` alone, as a regular expression. */
function meaning(pattern: string): RegExp {
  const words = pattern.split(".").map((word) => {
    if (word === "**") return ".+";
    return word === "*" ? "[^.]+" : word;
  });
  return new RegExp(`^${words.join("\\.")}$`);
}
