/**
 * Frames and events in protobuf that are written and read without the runtime: whatever one holds, both agree. The
 * runtime is the judge.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { attribute } from "../../src/protocol/cloudevents.ts";
import { codecFor, encodeJson } from "../../src/protocol/codec.ts";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type EntryBody,
  EntryBodySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type InboundMessage,
  InboundMessageSchema,
  type OutboundMessage,
  OutboundMessageSchema,
  type SubscriptionSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { plainOutbound as plainOutboundText } from "../../src/protocol/plain-json/outbound.ts";
import { bodyBytes } from "../../src/protocol/plain-protobuf/entry.ts";
import { eventBytes, eventOf } from "../../src/protocol/plain-protobuf/event.ts";
import { readInboundMessage } from "../../src/protocol/plain-protobuf/gen/read.ts";
import { plainOutbound } from "../../src/protocol/plain-protobuf/outbound.ts";
import { whole } from "../../src/protocol/plain-protobuf/reader.ts";
import { written } from "../../src/protocol/plain-protobuf/writer.ts";
import { wellShaped } from "../../src/protocol/wire-shape.ts";
import { anyEvent as anyEventOf } from "../support/any-events.ts";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

/** Around the lengths at which one byte says how long something is no more. */
const LONG = ["a".repeat(127), "a".repeat(128), "ä".repeat(64)];
const TEXTS = ["", "a", "room.1", "ä\u0000\u{1f600}", '"\\', "__proto__", ...LONG];
const BYTES = [new Uint8Array(), Uint8Array.of(0, 255), new Uint8Array(200)];

function anyText(random: SeededRandom): string {
  return random.pick(TEXTS);
}

function anyTexts(random: SeededRandom): Record<string, string> {
  const names = ["trace", "", "Über"].filter(() => random.next() < 0.2);
  return Object.fromEntries(names.map((name) => [name, anyText(random)]));
}

/** Nearly always with texts alone, or nothing of it would be read here. */
function anyEvent(random: SeededRandom): CloudEvent {
  return anyEventOf(random, { texts: TEXTS, bytes: BYTES, oddAttribute: 0.1, protoData: 0.05 });
}

function anySubscriptions(random: SeededRandom) {
  const count = Math.floor(random.next() * 3);
  return Array.from({ length: count }, () => ({
    channel: anyText(random),
    ephemeral: random.next() < 0.3,
    token: random.pick(["", "", "t"]),
  }));
}

/** What is asked of a subscription; seldom what only the runtime reads. */
function anyEntries(random: SeededRandom) {
  const since = { epoch: anyText(random), offset: random.pick([0n, 1n, 2n ** 64n - 1n]) };
  return anySubscriptions(random).map((one) => ({
    ...one,
    recover: random.next() < 0.3,
    rewind: random.pick([0, 1, 300, 2 ** 28 - 1, 2 ** 32 - 1]),
    ...(random.next() < 0.4 ? { since } : {}),
    ...(random.next() < 0.05 ? { positions: { "a.b": since } } : {}),
    ...(random.next() < 0.05 ? { error: { code: "X" } } : {}),
  }));
}

/** What is acknowledged of it. */
function anyAnswers(random: SeededRandom) {
  return anySubscriptions(random).map((one) => ({
    ...one,
    ...(random.next() < 0.6
      ? { position: { epoch: anyText(random), offset: random.pick([0n, 1n, 2n ** 53n]) } }
      : {}),
  }));
}

function anyBeginning(random: SeededRandom): InboundMessage {
  const subscriptions = anyEntries(random);
  const connect = {
    clientId: anyText(random),
    clientType: anyText(random),
    token: anyText(random),
    version: random.pick(["", "1"]),
    subscriptions,
    capabilities: random.pick([[], ["recovery"], ["a", "ä", ""]]),
    maxFrameBytes: random.pick([0, 1, 65_536, 2 ** 32 - 1]),
  };
  const envelope: MessageInitShape<typeof InboundMessageSchema>["envelope"] =
    random.next() < 0.5
      ? { case: "connect", value: connect }
      : { case: "subscribe", value: { subscriptions } };
  return create(InboundMessageSchema, { id: anyText(random), envelope });
}

function anyInbound(random: SeededRandom): InboundMessage {
  if (random.next() < 0.4) return anyBeginning(random);
  const kind = random.pick(["publish", "publish", "rpcRequest", "ping"] as const);
  return create(InboundMessageSchema, {
    id: anyText(random),
    channel: anyText(random),
    method: random.pick(["", "get"]),
    metadata: anyTexts(random),
    time: random.pick([0n, 1_800_000_000_000n, 2n ** 64n - 1n]),
    envelope: kind === "ping" ? { case: kind, value: {} } : { case: kind, value: anyEvent(random) },
    again: random.next() < 0.1,
  });
}

function anyOutbound(random: SeededRandom): OutboundMessage {
  const ack = {
    offset: random.pick([0n, 1n, 2n ** 53n]),
    epoch: random.pick(["", "e1"]),
    duplicate: random.pick([true, false]),
  };
  return create(OutboundMessageSchema, {
    id: anyText(random),
    metadata: anyTexts(random),
    time: random.pick([0n, 1_800_000_000_000n, 2n ** 64n - 1n]),
    envelope: random.pick<
      NonNullable<Parameters<typeof create<typeof OutboundMessageSchema>>[1]>["envelope"] & {}
    >([
      { case: "publishAck", value: ack },
      { case: "rpcReply", value: anyEvent(random) },
      { case: "pong", value: {} },
      { case: "subscribeAck", value: { subscriptions: anyAnswers(random) } },
      {
        case: "connected",
        value: {
          sessionId: anyText(random),
          subscriptions: anyAnswers(random),
          capabilities: random.pick([[], ["recovery"], ["a", "ä"]]),
          userId: anyText(random),
          maxMessageBytes: random.pick([0, 65_536, 2 ** 32 - 1]),
          pingIntervalMs: random.pick([0, 25_000]),
          creditBytes: random.pick([0n, 2n ** 53n]),
          dedupWindowMs: random.pick([0, 300_000]),
        },
      },
    ]),
  });
}

/** The same frame, or one in which a byte is another, is missing or is there twice, or which ends too early. */
function damaged(random: SeededRandom, frame: Uint8Array): Uint8Array {
  const at = Math.floor(random.next() * frame.length);
  switch (
    random.pick(["whole", "whole", "byte", "low", "cut", "missing", "twice", "joined"] as const)
  ) {
    case "byte":
      return frame.with(at, Math.floor(random.next() * 256));
    case "low":
      return frame.with(at, (frame[at] ?? 0) ^ (1 << Math.floor(random.next() * 8)));
    case "cut":
      return frame.slice(0, at);
    case "missing":
      return Buffer.concat([frame.slice(0, at), frame.slice(at + 1)]);
    case "twice":
      return Buffer.concat([frame.slice(0, at), frame.slice(Math.max(0, at - 1))]);
    case "joined":
      return Buffer.concat([frame, frame.slice(at)]);
    default:
      return frame;
  }
}

/** What the runtime makes of a frame; undefined for one that it refuses. */
function byRuntime(frame: Uint8Array): InboundMessage | undefined {
  try {
    const bytes = wellShaped(InboundMessageSchema, frame);
    return fromBinary(InboundMessageSchema, bytes, { readUnknownFields: false });
  } catch {
    return undefined;
  }
}

test("what is written is what the runtime writes, byte for byte", () => {
  eachStep(2_000, (random) => {
    const event = anyEvent(random);
    const bytes = toBinary(CloudEventSchema, event);
    expectEqual(eventBytes(event), bytes);
    const body = create(EntryBodySchema, {
      event: random.pick([bytes, new Uint8Array()]),
      metadata: anyTexts(random),
    }) as EntryBody;
    if (random.next() < 0.8) {
      const [clientId, userId, sessionId] = [anyText(random), anyText(random), anyText(random)];
      body.publisher = { $typeName: "messageloop.v1.Publisher", clientId, userId, sessionId };
    }
    expectEqual(bodyBytes(body), toBinary(EntryBodySchema, body));
    const message = anyOutbound(random);
    expectEqual(plainOutbound(message), toBinary(OutboundMessageSchema, message));
  });
});

test("an answer in JSON is what the runtime makes of it", () => {
  eachStep(1_000, (random) => {
    const message = anyOutbound(random);
    const { envelope } = message;
    if (envelope.case === "rpcReply" && envelope.value.data.case === "protoData") return;
    expectEqual(plainOutboundText(message), encodeJson(OutboundMessageSchema, message));
  });
});

test("what is read is what the runtime reads, and what it refuses is refused", () => {
  const { decodeInbound } = codecFor("proto");
  let read = 0;
  let refused = 0;
  eachStep(10_000, (random) => {
    const frame = damaged(random, toBinary(InboundMessageSchema, anyInbound(random)));
    if (whole(frame, readInboundMessage) !== undefined) read += 1;
    const expected = byRuntime(frame);
    if (expected === undefined) {
      refused += 1;
      expect(() => decodeInbound(frame), hexOf(frame)).toThrow("Failed to decode message");
    } else expectEqual(decodeInbound(frame), expected, () => hexOf(frame));
  });
  expect(read).toBeGreaterThan(2_000);
  expect(refused).toBeGreaterThan(1_000);
});

test("an event is read out of its bytes as the runtime reads it", () => {
  eachStep(1_000, (random) => {
    const bytes = toBinary(CloudEventSchema, anyEvent(random));
    expectEqual(eventOf(bytes), fromBinary(CloudEventSchema, bytes));
  });
});

test("fields that nobody knows are written as they came", () => {
  const unknown = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }];
  const event = create(CloudEventSchema, {
    id: "1",
    attributes: { a: { attr: { case: "ceString", value: "b" } } },
  });
  const inside = event.attributes["a"] as CloudEventAttributeValue;
  inside.$unknown = unknown;
  expect(eventBytes(event)).toEqual(toBinary(CloudEventSchema, event));
  event.$unknown = unknown;
  expect(eventBytes(event)).toEqual(toBinary(CloudEventSchema, event));
  const body = create(EntryBodySchema, { event: eventBytes(event), publisher: { clientId: "c" } });
  if (body.publisher !== undefined) body.publisher.$unknown = unknown;
  expect(bodyBytes(body)).toEqual(toBinary(EntryBodySchema, body));
  const message = create(OutboundMessageSchema, { id: "1", envelope: { case: "pong", value: {} } });
  message.$unknown = unknown;
  expect(plainOutbound(message)).toBeUndefined();
});

test("a name that would set a prototype is read as the runtime reads it", () => {
  const event = create(CloudEventSchema, { id: "1" });
  const value = attribute({ case: "ceString", value: "a" });
  Object.defineProperty(event.attributes, "__proto__", { value, enumerable: true });
  const message = create(InboundMessageSchema, { envelope: { case: "publish", value: event } });
  const decoded = codecFor("proto").decodeInbound(toBinary(InboundMessageSchema, message));
  const read = decoded.envelope.case === "publish" ? decoded.envelope.value.attributes : {};
  expect(Object.keys(read)).toEqual(["__proto__"]);
});

/** A publish of one event. */
function publishOf(event: MessageInitShape<typeof CloudEventSchema>): Uint8Array {
  const envelope = { case: "publish" as const, value: event };
  return toBinary(InboundMessageSchema, create(InboundMessageSchema, { envelope }));
}

test.each<[what: string, frame: Uint8Array]>([
  [
    "two events, which the runtime makes one of",
    Buffer.concat([publishOf({ id: "1" }), publishOf({ type: "t" })]),
  ],
  [
    "metadata under a name that would set a prototype",
    Buffer.concat([
      publishOf({ id: "1" }),
      Buffer.from("\x22\x0e\x0a\x09__proto__\x12\x01a", "latin1"),
    ]),
  ],
])("%s are read as the runtime reads them", (_, frame) => {
  const expected = byRuntime(frame);
  expect(expected).toBeDefined();
  const { metadata, envelope } = codecFor("proto").decodeInbound(frame);
  expect(envelope).toEqual(expected?.envelope);
  expect(Object.entries(metadata)).toEqual(Object.entries(expected?.metadata ?? {}));
});

test("a tag of more bytes than a tag may have is refused, whatever its number", () => {
  const tag = Buffer.from("\x8a\x80\x80\x80\x80\x00\x01a", "latin1");
  const frame = Buffer.concat([tag, publishOf({ id: "1" })]);
  expect(byRuntime(frame)).toBeUndefined();
  expect(() => codecFor("proto").decodeInbound(frame)).toThrow("Failed to decode message");
});

test.each([127, 128, 16_383, 16_384, 70_000])(
  "texts and data of %i bytes are written whole",
  (length) => {
    for (const unit of ["a", "ä"]) {
      const value = unit.repeat(length / unit.length);
      const event = create(CloudEventSchema, { id: value, data: { case: "textData", value } });
      const bytes = toBinary(CloudEventSchema, event);
      expect(Buffer.compare(eventBytes(event), bytes)).toBe(0);
      expect(eventOf(bytes)).toEqual(event);
    }
  },
);

test("what is seldom in an answer is left to the runtime", () => {
  const position = { epoch: "e", offset: 1n };
  const seldom: MessageInitShape<typeof SubscriptionSchema>[] = [
    { error: { code: "X" } },
    { recover: true },
    { since: position },
    { rewind: 1 },
    { positions: { a: position } },
  ];
  for (const one of seldom) {
    for (const name of ["connected", "subscribeAck"] as const) {
      const envelope = { case: name, value: { subscriptions: [one] } };
      const message = create(OutboundMessageSchema, { envelope });
      expect(plainOutbound(message)).toBeUndefined();
      expect(plainOutboundText(message)).toBeUndefined();
    }
  }
  const value = { publications: [{ messages: [] }] };
  const message = create(OutboundMessageSchema, { envelope: { case: "connected", value } });
  expect(plainOutbound(message)).toBeUndefined();
  expect(plainOutboundText(message)).toBeUndefined();
});

test("an error while one message is written leaves nothing in the next", () => {
  const refuses = () =>
    written((writer) => {
      writer.uint32(1).fork();
      throw new Error("refused");
    });
  expect(refuses).toThrow("refused");
  const two = written((writer) => {
    writer.uint32(2);
  });
  expect([...two]).toEqual([2]);
});

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 200)).toString("hex");
}
