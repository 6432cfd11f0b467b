/**
 * Whatever arrives, the codec returns a message or says BAD_REQUEST, and what it returns can be
 * written again. Where a message cannot take a way, this file says which and why.
 */
import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, type DescMessage, equals, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { canonicalEvent, dataBytes, eventForJson } from "../../src/protocol/cloudevents.ts";
import { type Codec, codecFor, type Frame } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntrySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  InboundMessageSchema,
  OutboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { PublicationBatch, type Variant } from "../../src/protocol/publication-frames.ts";
import { eachStep, type SeededRandom, steps } from "../random.ts";
import { decodeStrictV1 } from "../strict-v1.ts";
import {
  anyFrame,
  hostileFrames,
  MAX_SHARED_NESTING,
  nestedJson,
  randomEvent,
  structs,
} from "./fuzz-frames.ts";

const STEPS = 10_000;
/** A longer run may take longer; what hangs is found by HANG_MS. */
const TIMEOUT_MS = 60_000 + 10 * steps(STEPS);
/** A decoder that takes this long for one frame hangs; no honest machine is that slow. */
const HANG_MS = 5_000;
const MAX_HEAP_GROWTH = 64 * 1024 * 1024;

const json = codecFor("json");
const proto = codecFor("proto");

const survives = [
  survival(
    InboundMessageSchema,
    (codec, frame) => codec.decodeInbound(frame),
    (codec, message) => codec.encodeInbound(message),
  ),
  survival(
    OutboundMessageSchema,
    (codec, frame) => codec.decodeOutbound(frame),
    (codec, message) => codec.encodeOutbound(message),
  ),
];

test("random and mutated frames become messages that encode again, or BAD_REQUEST", {
  timeout: TIMEOUT_MS,
}, () => {
  let accepted = 0;
  const before = settledHeap();
  eachStep(STEPS, (random) => {
    const frame = anyFrame(random);
    for (const codec of [json, proto]) {
      for (const survive of survives) if (survive(codec, frame) !== undefined) accepted++;
    }
  });
  expect(settledHeap() - before).toBeLessThan(MAX_HEAP_GROWTH);
  expect(accepted).toBeGreaterThan(0);
});

test("an event from anywhere is BAD_REQUEST or goes to subscribers of every kind", {
  timeout: TIMEOUT_MS,
}, () => {
  let delivered = 0;
  eachStep(STEPS, (random) => {
    const events = random.chance(0.5) ? [randomEvent(random)] : decodedEvents(anyFrame(random));
    delivered += deliver(random, events);
  });
  expect(delivered).toBeGreaterThan(0);
});

test.each(hostileFrames())("%s: a message or BAD_REQUEST", (_, frame) => {
  for (const codec of [json, proto]) for (const survive of survives) survive(codec, frame);
});

test("a protobuf frame with a second Struct, which is slow to read, is BAD_REQUEST", () => {
  expect(orBadRequest(() => proto.decodeInbound(structs(1)))).toBeDefined();
  expect(orBadRequest(() => proto.decodeInbound(structs(2)))).toBeUndefined();
});

test("an attribute named __proto__ is refused or kept, as any other", () => {
  const frame = '{"publish":{"attributes":{"__proto__":{"ce_string":"x"}}}}';
  const event = eventsIn(json.decodeInbound(frame))[0] as CloudEvent;
  const canonical = orBadRequest(() => canonicalEvent(event));
  if (canonical !== undefined) expect(Object.keys(canonical.attributes)).toEqual(["__proto__"]);
});

test("what JSON takes, protobuf can carry, however deep", () => {
  const metadata = nestedJson(MAX_SHARED_NESTING + 1);
  const frame = `{"survey_response":{"error":{"metadata":${metadata}}}}`;
  const message = orBadRequest(() => json.decodeInbound(frame));
  if (message !== undefined) proto.decodeInbound(proto.encodeInbound(message));
});

/** The properties of one direction. The function returns the message where there is one. */
function survival<Desc extends DescMessage>(
  schema: Desc,
  decode: (codec: Codec, frame: Frame) => MessageShape<Desc>,
  encode: (codec: Codec, message: MessageShape<Desc>) => Frame,
): (codec: Codec, frame: Frame) => MessageShape<Desc> | undefined {
  const same = (left: MessageShape<Desc>, right: MessageShape<Desc>) => {
    if (!equals(schema, left, right) && !isDeepStrictEqual(left, right)) {
      throw new Error("a message changes when it is encoded and decoded");
    }
  };
  return (codec, frame) => {
    const message = orBadRequest(() => decode(codec, frame));
    if (message === undefined) return undefined;
    const text = codec === json || typeof frame === "string" ? textOf(frame) : undefined;

    const again = orBadRequest(() => decode(proto, encode(proto, message)));
    // JSON that nests deeper than protobuf can makes a message that only JSON can carry.
    if (again === undefined && (text === undefined || nesting(text) < MAX_SHARED_NESTING)) {
      throw new Error("what was encoded as protobuf does not decode");
    }
    // JSON can hold lone surrogates; in UTF-8 they become U+FFFD.
    if (again !== undefined && (text === undefined || hasNoSurrogate(text))) same(again, message);

    const written = orUnwritable(() => encode(json, message));
    // An Any without a type has no JSON form either, but the runtime writes it as {}.
    const untyped = eventsIn(message).some(
      ({ data }) => data.case === "protoData" && data.value.typeUrl === "",
    );
    if (written !== undefined && !untyped) same(decode(json, written), message);
    return message;
  };
}

/** The value, or undefined for BAD_REQUEST. Nothing else may be thrown, and soon. */
function orBadRequest<T>(action: () => T): T | undefined {
  const start = performance.now();
  try {
    return action();
  } catch (error) {
    if (error instanceof MessagingError && error.code === "BAD_REQUEST") return undefined;
    throw error;
  } finally {
    const took = performance.now() - start;
    if (took > HANG_MS) expect.fail(`one frame took ${Math.round(took)} ms`);
  }
}

/**
 * The value, or undefined where JSON has no form for it: an Any of a type that nobody registered, a
 * Timestamp outside the years 1 to 9999, a number in a Struct that is not finite. The first two do
 * not get past the door: `canonicalEvent` refuses the time, `eventForJson` turns the Any into bytes.
 */
function orUnwritable<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof Error && /google\.protobuf\.(Any|Timestamp|Value)/.test(error.message)) {
      return undefined;
    }
    throw error;
  }
}

/** Delivers what passes the door and returns how many events that were. */
function deliver(random: SeededRandom, events: readonly CloudEvent[]): number {
  const channel = random.pick(["chat.room", "\u00e4.\u{1f600}", 'a"b\\c', "__proto__"]);
  const canonical = events.flatMap((event) => {
    const untouched = structuredClone(event);
    const made = orBadRequest(() => canonicalEvent(event));
    expect(isDeepStrictEqual(event, untouched), "canonicalEvent changes its input").toBe(true);
    return made ?? [];
  });
  for (const event of canonical) {
    if (!equals(CloudEventSchema, canonicalEvent(event), event)) {
      throw new Error("canonicalEvent changes what is canonical");
    }
  }
  if (canonical.length === 0) return 0;
  const entries = canonical.map((event, index) =>
    create(EntrySchema, {
      offset: BigInt(index + 1),
      time: 1_700_000_000_000n,
      body: {
        event: toBinary(CloudEventSchema, event),
        publisher: { userId: random.pick(["", "u", '"\\']) },
        metadata: random.chance(0.5) ? {} : JSON.parse('{"__proto__":"p","k":"\\u0000"}'),
      },
    }),
  );
  const batch = new PublicationBatch(channel, "epoch", entries, {
    id: () => "id",
    now: () => 1_700_000_000_000,
    counters: { encoded: [0, 0, 0, 0], decoded: 0 },
    unencodable(_, error) {
      throw error;
    },
  });
  for (const variant of [0, 1, 2, 3] as const) expectDelivery(batch, variant, canonical);
  return canonical.length;
}

function expectDelivery(batch: PublicationBatch, variant: Variant, sent: readonly CloudEvent[]) {
  const frames = (batch.frames(variant, 0) ?? []).map(({ data }) => data);
  if (variant === 0 || variant === 2) {
    const payloads = frames.flatMap((frame) => {
      const { envelope } = decodeStrictV1(frame);
      if (envelope.case !== "publication") throw new Error(`${envelope.case}`);
      return envelope.value.messages.map(({ payload }) => payload);
    });
    const seen = payloads.map((event) => [event?.id, event?.source, event?.type, event?.data]);
    const wanted = sent.map((event) => {
      return [event.id, batch.channel, event.type, { case: "binaryData", value: dataBytes(event) }];
    });
    expect(isDeepStrictEqual(plain(seen), plain(wanted)), "a v1 client gets another event").toBe(
      true,
    );
    return;
  }
  const codec = variant === 1 ? json : proto;
  const messages = frames.flatMap((frame) => {
    const { envelope } = codec.decodeOutbound(frame);
    if (envelope.case !== "publication") throw new Error(`${envelope.case}`);
    return envelope.value.messages;
  });
  expect(messages.length).toBe(sent.length);
  messages.forEach((message, index) => {
    const body = batch.entries[index]?.body;
    const event = sent[index] as CloudEvent;
    const wanted = codec === json ? eventForJson(event) : event;
    const got = message.payload ?? create(CloudEventSchema);
    const right = equals(CloudEventSchema, got, wanted);
    expect(right, "an extended client gets another event").toBe(true);
    expect(isDeepStrictEqual(message.metadata, body?.metadata), "metadata").toBe(true);
  });
}

/** Bytes as arrays: the encodings give buffers of different classes. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? [...part] : part)),
  );
}

function decodedEvents(frame: Frame): CloudEvent[] {
  return [json, proto].flatMap((codec) => [
    ...eventsIn(orBadRequest(() => codec.decodeInbound(frame))),
    ...eventsIn(orBadRequest(() => codec.decodeOutbound(frame))),
  ]);
}

/** Every CloudEvent anywhere in a message. */
function eventsIn(value: unknown): CloudEvent[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  if ("$typeName" in value && value.$typeName === CloudEventSchema.typeName) {
    return [value as CloudEvent];
  }
  return Object.values(value).flatMap(eventsIn);
}

/** The text that a JSON decoder took; bytes that are not UTF-8 it must not have taken. */
function textOf(frame: Frame): string {
  if (typeof frame === "string") return frame;
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(frame);
}

function hasNoSurrogate(text: string): boolean {
  return text.isWellFormed() && !/\\u[dD][89a-fA-F]/.test(text);
}

/** How deep the brackets of a text go, those inside strings included. */
function nesting(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const character of text) {
    if (character === "{" || character === "[") deepest = Math.max(deepest, ++depth);
    else if (character === "}" || character === "]") depth--;
  }
  return deepest;
}

/** Bytes of the heap that are in use after a collection. */
function settledHeap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
