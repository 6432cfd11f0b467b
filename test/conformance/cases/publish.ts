/** Publishing: what is taken, what arrives, and in which order. */
import assert from "node:assert/strict";
import { type Inbound, kindOf, texts, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, type Context, DELIVERED, EXTENDED_DELIVERED, ONE } from "../case.ts";

const event = { id: "e", source: "/s", type: "t" };

type EventInit = Extract<Inbound["envelope"], { case: "publish" }>["value"];

async function publish(context: Context, channel: string, value: EventInit): Promise<string> {
  const client = await context.client();
  return kindOf(await client.request({ channel, envelope: { case: "publish", value } }));
}

export const publishCases: readonly Case[] = [
  {
    rules: ["P1", "P2", "P3", "P4"],
    title: "everyone subscribed receives it, the publisher too; offsets are dense from 1",
    kinds: DELIVERED,
    async run(context) {
      const channel = context.channel();
      const publisher = await context.subscriber(channel);
      const other = await context.subscriber(channel);
      const outsider = await context.client();
      const offsets = [];
      for (const text of ["one", "two"]) offsets.push(await publisher.publish(channel, text));
      offsets.push(await outsider.publish(channel, "three"));
      assert.deepEqual(offsets, [1, 2, 3]);
      for (const client of [publisher, other]) {
        const messages = await client.received(3);
        assert.deepEqual(texts(messages), ["one", "two", "three"]);
        assert.deepEqual(
          messages.map((message) => Number(message.offset)),
          [1, 2, 3],
        );
        assert.equal(new Set(messages.map(({ id }) => id)).size, 3);
        assert.ok(messages.every(({ id, offset }) => id.endsWith(`-${offset}`)));
      }
      const ids = other.messages.map(({ id }) => id);
      assert.deepEqual(
        publisher.messages.map(({ id }) => id),
        ids,
      );
      assert.deepEqual(outsider.messages, []);
    },
  },
  {
    rules: ["P1"],
    title: "the channel is the message's, else the event's source, else there is none",
    async run(context) {
      const channel = context.channel();
      const client = await context.subscriber(channel);
      const publishTo = async (name: string, source: string): Promise<string> => {
        const value = { ...event, source };
        return kindOf(
          await client.request({ channel: name, envelope: { case: "publish", value } }),
        );
      };
      assert.equal(await publishTo(channel, "/elsewhere"), "publishAck");
      assert.equal(await publishTo("", channel), "publishAck");
      assert.equal((await client.received(2)).length, 2);
      const reply = await client.request({ envelope: { case: "publish", value: { type: "t" } } });
      const { code, type, message } = valueAs(reply, "error");
      assert.deepEqual(
        [code, type, message],
        ["INTERNAL_ERROR", "server_error", "missing channel in publish message"],
      );
    },
  },
  {
    rules: ["P5"],
    title: "a channel that is malformed, too long or a pattern is BAD_REQUEST",
    async run(context) {
      for (const wrong of ["a..b", ".a", "a.", "a.*", "**", "a\u0007", "\u00e4".repeat(128)]) {
        assert.equal(await publish(context, wrong, event), "error BAD_REQUEST", wrong);
      }
      const longest = `${context.channel()}.`.padEnd(255, "x");
      assert.equal(await publish(context, longest, event), "publishAck");
    },
  },
  {
    rules: ["P6"],
    title: "an event that would break another's decoder is BAD_REQUEST",
    async run(context) {
      const wrong: EventInit[] = [{ ...event, attributes: { odd: { attr: { case: undefined } } } }];
      if (context.kind.encoding === "proto") {
        const seconds = 253_402_300_800n;
        const attr = { case: "ceTimestamp", value: { seconds, nanos: 0 } } as const;
        wrong.push({ ...event, attributes: { time: { attr } } });
      }
      for (const value of wrong) {
        assert.equal(await publish(context, context.channel(), value), "error BAD_REQUEST");
      }
    },
  },
  {
    rules: ["P6", "K4", "K5", "K6", "K8", "P7", "P4"],
    title: "the event arrives as each kind of client is promised it, in every data form",
    kinds: DELIVERED,
    async run(context) {
      const attributes = {
        datacontenttype: { attr: { case: "ceString", value: "application/json" } },
        subject: { attr: { case: "ceString", value: "s\u00fcbject" } },
        count: { attr: { case: "ceInteger", value: -7 } },
        flag: { attr: { case: "ceBoolean", value: true } },
        blob: { attr: { case: "ceBytes", value: new Uint8Array([0, 255]) } },
        schema: { attr: { case: "ceUri", value: "https://x/y" } },
        ref: { attr: { case: "ceUriRef", value: "../y" } },
        when: { attr: { case: "ceTimestamp", value: { seconds: 1n, nanos: 5_000_000 } } },
        with_underscore: { attr: { case: "ceString", value: "v1 may not see it" } },
      } as const;
      const forms: EventInit["data"][] = [
        { case: "textData", value: '{"big":9007199254740993,"a":"\\u00fc"}' },
        { case: "textData", value: '{"a":["\u00fc",1]}' },
        { case: "binaryData", value: new Uint8Array([0, 1, 254, 255]) },
        { case: "protoData", value: { typeUrl: "type.x/Thing", value: new Uint8Array([8, 1]) } },
        { case: undefined },
      ];
      // On a JSON connection an Any cannot be written without knowing its type.
      const writable =
        context.kind.encoding === "json"
          ? forms.filter((form) => form?.case !== "protoData")
          : forms;
      const channel = context.channel();
      const readers = await Promise.all(
        DELIVERED.map(async (kind) => await context.subscriber(channel, kind)),
      );
      const publisher = await context.client({ clientId: "me" });
      for (const [index, data] of writable.entries()) {
        const value = {
          id: `id ${index + 1}`,
          source: "/src",
          type: "my.type",
          attributes,
          data,
        } as EventInit;
        const reply = await publisher.request({
          channel,
          metadata: { k: "v" },
          envelope: { case: "publish", value },
        });
        valueAs(reply, "publishAck");
      }
      for (const reader of readers) {
        const messages = await reader.received(writable.length);
        for (const [index, message] of messages.entries()) {
          checkEvent(reader, message, writable[index], channel, Object.keys(attributes));
        }
      }
    },
  },
  {
    rules: ["F5"],
    title: "the largest event that is taken reaches every kind of client whole",
    async run(context) {
      const channel = context.channel();
      const readers = await Promise.all(
        DELIVERED.map(async (kind) => await context.subscriber(channel, kind)),
      );
      const publisher = await context.client();
      // Control characters grow most in JSON: six bytes for one.
      const text = "\u0001".repeat(context.kind.encoding === "json" ? 10_800 : 65_000);
      await publisher.publish(channel, text);
      for (const reader of readers) {
        assert.deepEqual(texts(await reader.received(1)), [text]);
        assert.ok(reader.frames.every((frame) => frame.length <= 6 * 65_536 + 4_096));
      }
    },
  },
  {
    rules: ["F5", "H2"],
    title: "a client that asks for small frames gets them wherever they can be divided",
    kinds: EXTENDED_DELIVERED,
    async run(context) {
      const channel = context.channel();
      const connect = { capabilities: ["history", "recovery"], maxFrameBytes: 4_096 };
      const small = await context.client({ ...connect, subscriptions: [{ channel }] });
      const publisher = await context.client();
      const wanted = Array.from({ length: 60 }, (_, i) => `${i} ${"x".repeat(1_000)}`);
      await Promise.all(wanted.map((text) => publisher.publish(channel, text)));
      assert.deepEqual(texts(await small.received(60)).toSorted(), wanted.toSorted());
      const late = await context.client({
        ...connect,
        subscriptions: [{ channel, rewind: 60 }],
      });
      await late.received(60);
      const value = { channel, limit: -1 };
      const page = await late.request({ envelope: { case: "historyRequest", value } });
      const { messages, more } = valueAs(page, "history");
      assert.ok(messages.length > 0 && messages.length < 4 && more);
      for (const reader of [small, late]) {
        assert.ok(reader.frames.every((frame) => frame.length <= 4_096));
      }
    },
  },
  {
    rules: ["P3"],
    title: "20 publishers at once: one order, dense, the same for every subscriber",
    async run(context) {
      const channel = context.channel();
      const readers = await Promise.all(
        DELIVERED.map(async (kind) => await context.subscriber(channel, kind)),
      );
      const publishers = await Promise.all(
        Array.from({ length: 20 }, async () => await context.client()),
      );
      await Promise.all(
        publishers.map(async (publisher, who) => {
          const texts = Array.from({ length: 20 }, (_, i) => `${who}/${i}`);
          await Promise.all(texts.map((text) => publisher.publish(channel, text)));
        }),
      );
      const [first, ...others] = await Promise.all(
        readers.map(async (reader) => await reader.received(400)),
      );
      const told = (first ?? []).map(({ offset }) => Number(offset));
      assert.deepEqual(
        told,
        Array.from({ length: 400 }, (_, i) => i + 1),
      );
      for (const messages of others) assert.deepEqual(texts(messages), texts(first ?? []));
      // Publishes of one session to one channel take effect in their order.
      for (let who = 0; who < 20; who++) {
        const own = texts(first ?? []).filter((text) => text.startsWith(`${who}/`));
        assert.deepEqual(
          own,
          Array.from({ length: 20 }, (_, i) => `${who}/${i}`),
        );
      }
    },
  },
  {
    rules: ["P8", "P9"],
    title: "what JSON cannot carry closes JSON clients with 3506 and reaches the others",
    kinds: ONE,
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const readers = await Promise.all(
        DELIVERED.map(async (kind) => await context.subscriber(channel, kind)),
      );
      const caller = await context.client();
      assert.equal(kindOf(await caller.rpc("poison", channel)), "rpcReply");
      for (const reader of readers) {
        if (reader.encoding === "json") {
          assert.deepEqual(await reader.closed(), { code: 3506, reason: "inappropriate protocol" });
        } else assert.equal((await reader.received(1))[0]?.payload?.id, "poison");
      }
      assert.equal(await caller.publish(channel, "the channel lives"), 2);
    },
  },
  {
    rules: ["K7"],
    title: "a publication is encoded once for each kind of client, whatever their number",
    kinds: ONE,
    observes: ["stats"],
    async run(context) {
      // Every node encodes for itself.
      context.together();
      const channel = context.channel();
      const readers = [];
      for (let i = 0; i < 10; i++) {
        for (const kind of DELIVERED) readers.push(await context.subscriber(channel, kind));
      }
      const before = await context.stats();
      const publisher = await context.client();
      for (let i = 0; i < 5; i++) await publisher.publish(channel, `${i}`);
      await Promise.all(readers.map(async (reader) => await reader.received(5)));
      const after = await eventually(
        () => context.stats(),
        ({ delivered }) => delivered >= before.delivered + 300,
      );
      assert.equal(after.delivered - before.delivered, 300);
      const made = after.encoded.map((count, variant) => count - (before.encoded[variant] ?? 0));
      assert.deepEqual(made, [5, 5, 5, 5, 5, 5]);
      assert.equal(after.decoded - before.decoded, 5);
    },
  },
  {
    rules: ["K7"],
    title: "for extended and compact protobuf clients alone the event is spliced, never decoded",
    kinds: ONE,
    observes: ["stats"],
    async run(context) {
      // Every node encodes for itself.
      context.together();
      const channel = context.channel();
      const kind = { encoding: "proto", extended: true } as const;
      const readers = [];
      for (let i = 0; i < 10; i++) {
        for (const compact of [false, true]) {
          readers.push(await context.subscriber(channel, { ...kind, compact }));
        }
      }
      const before = await context.stats();
      const publisher = await context.client({}, kind);
      for (let i = 0; i < 5; i++) await publisher.publish(channel, `${i}`);
      await Promise.all(readers.map(async (reader) => await reader.received(5)));
      const after = await context.stats();
      const made = after.encoded.map((count, variant) => count - (before.encoded[variant] ?? 0));
      assert.deepEqual(made, [0, 0, 0, 0, 5, 5]);
      assert.equal(after.decoded, before.decoded);
    },
  },
];

function checkEvent(
  reader: Awaited<ReturnType<Context["client"]>>,
  message: (typeof reader.messages)[number],
  data: EventInit["data"],
  channel: string,
  names: readonly string[],
): void {
  const { payload } = message;
  assert.ok(payload);
  assert.equal(payload.id, `id ${message.offset}`);
  assert.equal(payload.type, "my.type");
  assert.equal(payload.specVersion, "1.0");
  const received = Object.keys(payload.attributes);
  if (!reader.extended) {
    assert.equal(payload.source, channel);
    const visible = names.filter((name) => name !== "with_underscore");
    const more = data?.case === "protoData" ? [...visible, "dataschema"] : visible;
    assert.deepEqual(received.sort(), more.sort());
    assert.equal(payload.data.case, "binaryData");
    assert.deepEqual(payload.data.value, bytesOf(data));
    return;
  }
  assert.equal(payload.source, "/src");
  assert.deepEqual(message.metadata, { k: "v" });
  assert.equal(message.publisher?.clientId, "me");
  assert.notEqual(message.epoch, "");
  assert.ok(message.time > 0n);
  if (data?.case === "protoData" && reader.encoding === "json") {
    assert.equal(payload.attributes["datacontenttype"]?.attr.value, "application/protobuf");
    assert.equal(payload.attributes["dataschema"]?.attr.value, "type.x/Thing");
    assert.equal(payload.data.case, "binaryData");
    assert.deepEqual(payload.data.value, new Uint8Array([8, 1]));
    return;
  }
  assert.deepEqual(received.sort(), [...names].sort());
  assert.equal(payload.data.case, data?.case);
  assert.deepEqual(bytesOf(payload.data as EventInit["data"]), bytesOf(data));
}

function bytesOf(data: EventInit["data"]): Uint8Array {
  if (data?.case === "textData") return new Uint8Array(new TextEncoder().encode(data.value));
  if (data?.case === "binaryData") return data.value as Uint8Array;
  if (data?.case === "protoData") return (data.value as { value: Uint8Array }).value;
  return new Uint8Array();
}
