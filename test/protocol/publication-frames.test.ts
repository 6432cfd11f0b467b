import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  EntryBodySchema,
  EntrySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { PublicationBatch, variantOf } from "../../src/protocol/publication-frames.ts";

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
    counters: { encoded: [0, 0, 0, 0], decoded: 0 },
    unencodable: (variant) => told.push(variant),
  });
  const json = variantOf("json", true);
  expect(batch.frames(json, 0)).toBeUndefined();
  expect(batch.frames(json, 1)).toBeUndefined();
  expect(batch.frames(json, 2)).toHaveLength(1);
  expect(batch.frames(variantOf("proto", true), 0)).toHaveLength(1);
  expect(told, "told once, whoever meets it").toEqual([json]);
});

test("behind one event that JSON cannot carry there may be another", () => {
  const told: number[] = [];
  const batch = new PublicationBatch("room", "e", [entry(1, YEAR_10000), entry(2, YEAR_10000)], {
    id: () => "id",
    now: () => 0,
    counters: { encoded: [0, 0, 0, 0], decoded: 0 },
    unencodable: (variant) => told.push(variant),
  });
  const v1 = variantOf("json", false);
  expect(batch.frames(v1, 0)).toBeUndefined();
  expect(batch.frames(v1, 1)).toBeUndefined();
  expect(batch.frames(v1, 2)).toEqual([]);
  expect(told).toEqual([v1, v1]);
});
