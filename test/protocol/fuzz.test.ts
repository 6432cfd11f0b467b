/**
 * Whatever arrives, the codec returns a message or says BAD_REQUEST, and what it returns can be
 * written again. Where a message cannot take a way, this file says which and why.
 */
import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, equals, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { canonicalEvent, dataBytes, eventForJson } from "../../src/protocol/cloudevents.ts";
import { codecFor, type Frame } from "../../src/protocol/codec.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntrySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  isCompact,
  isJson,
  isV1,
  PublicationBatch,
  VARIANTS,
  type Variant,
} from "../../src/protocol/publication-frames.ts";
import { delivered } from "../support/expand.ts";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep, type SeededRandom, steps } from "../support/random.ts";
import { decodeStrictV1 } from "../support/strict-v1.ts";
import {
  anyFrame,
  hostileFrames,
  MAX_SHARED_NESTING,
  nestedJson,
  randomEvent,
  structs,
} from "./fuzz-frames.ts";
import { eventsIn, orBadRequest, survives } from "./survival.ts";

const STEPS = 10_000;
/** A longer run may take longer; what hangs is found by HANG_MS. */
const TIMEOUT_MS = 60_000 + 10 * steps(STEPS);
const MAX_HEAP_GROWTH = 64 * 1024 * 1024;

const json = codecFor("json");
const proto = codecFor("proto");

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

/** Delivers what passes the door and returns how many events that were. */
function deliver(random: SeededRandom, events: readonly CloudEvent[]): number {
  const channel = random.pick(["chat.room", "\u00e4.\u{1f600}", 'a"b\\c', "__proto__"]);
  const canonical = events.flatMap((event) => {
    const untouched = structuredClone(event);
    const made = orBadRequest(() => canonicalEvent(event));
    expectEqual(
      isDeepStrictEqual(event, untouched),
      true,
      () => "canonicalEvent changes its input",
    );
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
    counters: { encoded: [0, 0, 0, 0, 0, 0], decoded: 0 },
    unencodable(_, error) {
      throw error;
    },
  });
  for (const variant of VARIANTS.keys()) expectDelivery(batch, variant as Variant, canonical);
  return canonical.length;
}

function expectDelivery(batch: PublicationBatch, variant: Variant, sent: readonly CloudEvent[]) {
  const frames = (batch.frames(variant, 0) ?? []).map(({ data }) => data);
  if (isV1(variant)) {
    const payloads = frames.flatMap((frame) => {
      const { envelope } = decodeStrictV1(frame);
      if (envelope.case !== "publication") throw new Error(`${envelope.case}`);
      return envelope.value.messages.map(({ payload }) => payload);
    });
    const right =
      payloads.length === sent.length &&
      sent.every((event, index) => {
        const got = payloads[index];
        return (
          got?.id === event.id &&
          got.source === batch.channel &&
          got.type === event.type &&
          got.data.case === "binaryData" &&
          // The encodings give buffers of different classes.
          Buffer.compare(got.data.value, dataBytes(event)) === 0
        );
      });
    expectEqual(right, true, () => "a v1 client gets another event");
    return;
  }
  const codec = isJson(variant) ? json : proto;
  const messages = frames.flatMap((frame) => {
    const message = codec.decodeOutbound(frame);
    const kind = isCompact(variant) ? "compact" : "publication";
    if (message.envelope.case !== kind) throw new Error(`${message.envelope.case}`);
    return delivered(message) ?? [];
  });
  expectEqual(messages.length, sent.length);
  messages.forEach((message, index) => {
    const body = batch.entries[index]?.body;
    const event = sent[index] as CloudEvent;
    const wanted = codec === json ? eventForJson(event) : event;
    const got = message.payload ?? create(CloudEventSchema);
    const right = equals(CloudEventSchema, got, wanted);
    expectEqual(right, true, () => "an extended client gets another event");
    expectEqual(isDeepStrictEqual(message.metadata, body?.metadata), true, () => "metadata");
  });
}

function decodedEvents(frame: Frame): CloudEvent[] {
  return [json, proto].flatMap((codec) => [
    ...eventsIn(orBadRequest(() => codec.decodeInbound(frame))),
    ...eventsIn(orBadRequest(() => codec.decodeOutbound(frame))),
  ]);
}

/** Bytes of the heap that are in use after a collection. */
function settledHeap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
