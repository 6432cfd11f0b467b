import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  EntryBodySchema,
  EntrySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type PerVariant,
  PublicationBatch,
  SharedFrame,
  VARIANTS,
  variantOf,
} from "../../src/protocol/publication-frames.ts";
import { delivered } from "../support/expand.ts";

const YEAR_10000 = 253_402_300_800n;

function entry(offset: number, seconds = 0n) {
  const attributes = { time: { attr: { case: "ceTimestamp" as const, value: { seconds } } } };
  const event = { id: `${offset}`, source: "/a", type: "t", specVersion: "1.0", attributes };
  const bytes = toBinary(CloudEventSchema, create(CloudEventSchema, event));
  return create(EntrySchema, {
    offset: BigInt(offset),
    body: create(EntryBodySchema, { event: bytes }),
  });
}

test("an event that JSON cannot carry stops only JSON sessions that have to take it", () => {
  const told: number[] = [];
  const batch = new PublicationBatch("room", "e", [entry(1), entry(2, YEAR_10000), entry(3)], {
    id: () => "id",
    now: () => 0,
    counters: { encoded: [0, 0, 0, 0, 0, 0], decoded: 0 },
    unencodable: (variant) => told.push(variant),
  });
  const json = variantOf("json", "extended");
  expect(batch.frames(json, 0)).toBeUndefined();
  expect(batch.frames(json, 1)).toBeUndefined();
  expect(batch.frames(json, 2)).toHaveLength(1);
  expect(batch.frames(variantOf("proto", "extended"), 0)).toHaveLength(1);
  expect(told, "told once, whoever meets it").toEqual([json]);
});

test("behind one event that JSON cannot carry there may be another", () => {
  const told: number[] = [];
  const batch = new PublicationBatch("room", "e", [entry(1, YEAR_10000), entry(2, YEAR_10000)], {
    id: () => "id",
    now: () => 0,
    counters: { encoded: [0, 0, 0, 0, 0, 0], decoded: 0 },
    unencodable: (variant) => told.push(variant),
  });
  const v1 = variantOf("json", "v1");
  expect(batch.frames(v1, 0)).toBeUndefined();
  expect(batch.frames(v1, 1)).toBeUndefined();
  expect(batch.frames(v1, 2)).toEqual([]);
  expect(told).toEqual([v1, v1]);
});

const STAMP = {
  id: () => "id",
  now: () => 7,
  counters: { encoded: [0, 0, 0, 0, 0, 0] as PerVariant, decoded: 0 },
  unencodable: () => {},
};

test.each(VARIANTS)(
  "what comes out of the log says so to extended clients, and is the same otherwise: $encoding $kind",
  ({ encoding, kind }) => {
    const extended = kind !== "v1";
    const told = [true, false].map((replay) => {
      const batch = new PublicationBatch("room", "e", [entry(1), entry(2)], STAMP, replay);
      const [frame] = batch.frames(variantOf(encoding, kind), 0) ?? [];
      const messages = delivered(codecFor(encoding).decodeOutbound(frame?.data ?? ""));
      return messages?.map(({ replay, ...rest }) => ({ replay, rest }));
    });
    expect(told.map((messages) => messages?.map(({ replay }) => replay))).toEqual([
      [extended, extended],
      [false, false],
    ]);
    const [replayed, live] = told.map((messages) => messages?.map(({ rest }) => rest));
    expect(replayed).toEqual(live);
  },
);

test("a batch knows about how much memory it takes", () => {
  const batch = new PublicationBatch("room", "e", [entry(1), entry(2)], STAMP);
  const events = batch.entries.reduce((sum, { body }) => sum + (body?.event.length ?? 0), 0);
  expect(batch.bytes).toBe(events + 2 * 256);
});

test("a frame that many get is made once for each encoding that one of them takes", () => {
  const made: string[] = [];
  const shared = new SharedFrame((encoding) => {
    made.push(encoding);
    return encoding === "json" ? "\u00e4" : Uint8Array.of(1, 2, 3);
  });
  expect(made).toEqual([]);
  const frame = shared.frame("json");
  expect(shared.frame("json")).toBe(frame);
  expect(frame).toMatchObject({ bytes: 2, urgent: false });
  expect(shared.frame("proto").bytes).toBe(3);
  expect(made).toEqual(["json", "proto"]);
});
