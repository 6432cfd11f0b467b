/** Compact frames hold what other frames of extended clients hold. Those are the judge, read by the generated codec. */
import { create, equals, toBinary } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { attribute } from "../../src/protocol/cloudevents.ts";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type Entry,
  EntrySchema,
  TransientSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { type Message, MessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../../src/protocol/lean/utf8-length.ts";
import { MAX_JOINED_BYTES, MAX_JOINED_MESSAGES } from "../../src/protocol/limits.ts";
import {
  type ClientKind,
  type PerVariant,
  PublicationBatch,
  type SizedFrame,
  variantOf,
} from "../../src/protocol/publication-frames.ts";
import { TransientBatch } from "../../src/protocol/transient-frames.ts";
import { anyBody, anyEntries, NOW } from "../support/any-entries.ts";
import { delivered } from "../support/expand.ts";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep, steps } from "../support/random.ts";

const ENCODINGS = ["json", "proto"] as const;
const NO_EVENT = create(CloudEventSchema);

function stamp() {
  const encoded: PerVariant = [0, 0, 0, 0, 0, 0];
  return { id: () => "id", now: () => 7, counters: { encoded, decoded: 0 }, unencodable: () => {} };
}

/** All that extended clients get of some frames. What nobody knows is not for them. */
function messagesOf(encoding: Encoding, frames: readonly SizedFrame[] | undefined): Message[] {
  if (frames === undefined) throw new Error("there are no frames");
  return frames.flatMap(({ data, bytes }) => {
    expectEqual(bytes, typeof data === "string" ? utf8Length(data) : data.length);
    const messages = delivered(codecFor(encoding).decodeOutbound(data)) ?? [];
    return messages.map((message) => {
      return message.payload === undefined ? { ...message, payload: NO_EVENT } : message;
    });
  });
}

function expectSame(got: readonly Message[], wanted: readonly Message[]): void {
  expectEqual(got.length, wanted.length);
  got.forEach((message, index) => {
    const other = wanted[index] as Message;
    if (!equals(MessageSchema, message, other)) expect(message).toEqual(other);
  });
}

function kinds(encoding: Encoding) {
  const of = (kind: ClientKind) => variantOf(encoding, kind);
  return { compact: of("compact"), extended: of("extended") };
}

test("a compact frame holds what any other holds, from whichever message on", () => {
  let frames = 0;
  eachStep(2_500, (random) => {
    const entries = anyEntries(random);
    const made = stamp();
    const epoch = random.pick(["e1", '"ä']);
    const batch = new PublicationBatch(random.pick(["room", "ä"]), epoch, entries, made);
    const after = random.pick([0, batch.firstOffset, batch.lastOffset - 1]);
    const maxFrameBytes = random.pick([0, 0, 256, 1_024]);
    for (const encoding of ENCODINGS) {
      const { compact, extended } = kinds(encoding);
      const wanted = messagesOf(encoding, batch.frames(extended, after));
      const some = batch.frames(compact, after, maxFrameBytes) ?? [];
      const all = batch.frames(compact, 0) ?? [];
      frames += some.length + all.length;
      expectSame(messagesOf(encoding, some), wanted);
      for (const { bytes, data } of maxFrameBytes === 0 ? [] : some) {
        const many = delivered(codecFor(encoding).decodeOutbound(data))?.length !== 1;
        if (many && bytes > maxFrameBytes) expect(bytes).toBeLessThanOrEqual(maxFrameBytes);
      }
      expectSame(messagesOf(encoding, all), messagesOf(encoding, batch.frames(extended, 0)));
      expectEqual(made.counters.encoded[compact], entries.length);
    }
  });
  expect(frames).toBeGreaterThan(steps(10_000));
});

test("so does one of messages that are in no log", () => {
  eachStep(1_000, (random) => {
    const messages = Array.from({ length: 1 + random.int(4) }, () => {
      const time = random.pick([NOW, NOW + 3n, 0n]);
      return create(TransientSchema, { id: crypto.randomUUID(), time, body: anyBody(random) });
    });
    const batch = new TransientBatch(random.pick(["", "room"]), messages, stamp());
    for (const encoding of ENCODINGS) {
      const { compact, extended } = kinds(encoding);
      const maxFrameBytes = random.pick([0, 256]);
      const frames = batch.frames(compact, maxFrameBytes);
      expectSame(messagesOf(encoding, frames), messagesOf(encoding, batch.frames(extended)));
    }
  });
});

test.each(ENCODINGS)("a frame expands to no more than others hold: %s", (encoding) => {
  const { compact, extended } = kinds(encoding);
  const long = "a".repeat(5_000);
  const entriesOf = (count: number, type: string) =>
    Array.from({ length: count }, (_, index) => {
      const event = toBinary(CloudEventSchema, create(CloudEventSchema, { id: `${index}`, type }));
      return create(EntrySchema, { offset: BigInt(index + 1), time: NOW, body: { event } });
    });
  const shared = new PublicationBatch("room", "e1", entriesOf(100, long), stamp());
  const frames = shared.frames(compact, 0) ?? [];
  expect(messagesOf(encoding, frames)).toHaveLength(100);
  for (const frame of frames) {
    const messages = messagesOf(encoding, [frame]);
    expect(messages.length * long.length).toBeLessThan(MAX_JOINED_BYTES);
  }
  expect(frames.length).toBeLessThanOrEqual((shared.frames(extended, 0) ?? []).length + 1);
  const small = new PublicationBatch("room", "e1", entriesOf(250, "t"), stamp()).frames(compact, 0);
  const counts = small?.map((frame) => messagesOf(encoding, [frame]).length);
  expect(counts).toEqual([MAX_JOINED_MESSAGES, MAX_JOINED_MESSAGES, 50]);
  // One alone has no limit.
  const single = create(EntrySchema, {
    offset: 1n,
    body: {
      event: toBinary(CloudEventSchema, create(CloudEventSchema, { type: "b".repeat(1e5) })),
    },
  });
  expect(new PublicationBatch("room", "e1", [single], stamp()).frames(compact, 0)).toHaveLength(1);
});

test.each(ENCODINGS)(
  "an event that an encoding cannot carry stops only those who take it: %s",
  (encoding) => {
    const time = attribute({
      case: "ceTimestamp",
      value: create(TimestampSchema, { seconds: 253_402_300_800n }),
    });
    const told: number[] = [];
    const entries = [false, true, true, false].map((isBad, index) => {
      const event = create(CloudEventSchema, { id: "1", attributes: isBad ? { time } : {} });
      const body = { event: toBinary(CloudEventSchema, event) };
      return create(EntrySchema, { offset: BigInt(index + 1), body });
    });
    const batch = new PublicationBatch("room", "e1", entries, {
      ...stamp(),
      unencodable: (variant) => told.push(variant),
    });
    const { compact } = kinds(encoding);
    const carried = [0, 1, 2, 3].map((after) => batch.frames(compact, after)?.length);
    const none = encoding === "json" ? undefined : 1;
    expect(carried).toEqual([none, none, none, 1]);
    expect(told).toEqual(encoding === "json" ? [compact, compact] : []);
  },
);

test.each([
  ["some attributes are shared where others differ", 10, 300, true],
  ["many are not compared with each other", 40, 20, false],
  ["long ones are not, either", 10, 1_000, false],
])("%s", (_what, count, length, shared) => {
  const entries = ["a", "b"].map((subject, index) => {
    const names = Array.from({ length: count }, (__, i) => `n${i}`);
    const value = attribute({ case: "ceString", value: "x".repeat(length) });
    const attributes = {
      ...Object.fromEntries(names.map((name) => [name, value])),
      subject: attribute({ case: "ceString", value: subject }),
    };
    const event = toBinary(CloudEventSchema, create(CloudEventSchema, { id: "1", attributes }));
    return create(EntrySchema, { offset: BigInt(index + 1), time: NOW, body: { event } });
  });
  for (const encoding of ENCODINGS) {
    const { compact, extended } = kinds(encoding);
    const batch = new PublicationBatch("room", "e1", entries, stamp());
    const frames = batch.frames(compact, 0);
    expectSame(messagesOf(encoding, frames), messagesOf(encoding, batch.frames(extended, 0)));
    const bytes = frames?.reduce((sum, frame) => sum + frame.bytes, 0) ?? 0;
    expect(bytes > 2 * count * length).toBe(!shared);
  }
});

/** Publishes of one client as the SDK and the bench make them. */
function usual(count: number, text: string, attributes: CloudEvent["attributes"]): Entry[] {
  return Array.from({ length: count }, (_, index) => {
    const event = create(CloudEventSchema, {
      id: crypto.randomUUID(),
      source: "/clients/6d1ab9d6-5b3a-4b4e-9f0e-4b8f6f2f2b52",
      specVersion: "1.0",
      type: "message",
      attributes,
      data: { case: "textData", value: text },
    });
    const publisher = {
      clientId: "6d1ab9d6-5b3a-4b4e-9f0e-4b8f6f2f2b52",
      sessionId: "hYd82hd0Lq1f.0f2c6e9a-3c55-4c77-8a35-5c4f6a5d7b11",
      userId: "user-1",
    };
    const body = { event: toBinary(CloudEventSchema, event), publisher };
    return create(EntrySchema, { offset: BigInt(index + 10_001), time: NOW + BigInt(index), body });
  });
}

test.each([
  ["json", 50, 0.45],
  ["json", 1, 0.95],
  ["proto", 50, 0.6],
  ["proto", 1, 0.95],
] as const)("%s, %i messages of 128 bytes: at most %d of the bytes", (encoding, count, most) => {
  const attributes = {
    datacontenttype: attribute({ case: "ceString", value: "application/json" }),
  };
  const entries = usual(count, `"${"x".repeat(126)}"`, attributes);
  const batch = new PublicationBatch("chat.lobby", "hYd82hd0Lq1fAbCdEfGh", entries, stamp());
  const bytes = (kind: ClientKind) =>
    (batch.frames(variantOf(encoding, kind), 0) ?? []).reduce((sum, frame) => sum + frame.bytes, 0);
  expect(bytes("compact") / bytes("extended")).toBeLessThan(most);
});
