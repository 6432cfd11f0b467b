/** What is written by hand is what the schema says. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  encodeDelivery,
  encodeEntry,
  encodeHistory,
  encodePresenceChange,
  encodeReadResponse,
  encodeTransient,
} from "../../src/objects/calls/internal-codec.ts";
import {
  DeliverRequestSchema,
  EntrySchema,
  HistoryResponseSchema,
  PresenceChangeSchema,
  ReadResponseSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";

function bytes<Schema extends DescMessage>(
  schema: Schema,
  init: MessageInitShape<Schema>,
): Uint8Array {
  return toBinary(schema, create(schema, init));
}

const LARGE = 2 ** 52 + 1;
/** An EntryBody with metadata. */
const BODY = new Uint8Array([26, 8, 10, 1, 97, 18, 3, 98, 99, 100]);
const entry = (offset: number) =>
  ({ offset: BigInt(offset), time: 7n, body: { metadata: { a: "bcd" } } }) as const;
const row = (offset: number) => ({ offset, key: "k", time: 7, body: BODY });

const names = { userId: "ü", clientId: "phone", sessionId: "" };
const anonymous = { userId: "", clientId: "", sessionId: "s" };
const changes = [names, anonymous].flatMap((member) =>
  [true, false].map((joined) => ({ member: { ...member, time: 9 }, joined, generation: LARGE })),
);
const change = (index: number) => {
  const { member, joined, generation } = changes[index] as (typeof changes)[number];
  return { member: { ...member, time: 9n }, joined, generation: BigInt(generation) };
};

test("entries", () => {
  for (const offset of [1, LARGE]) {
    expect(encodeEntry(row(offset))).toEqual(bytes(EntrySchema, entry(offset)));
  }
});

test("presence changes", () => {
  changes.forEach((one, index) => {
    expect(encodePresenceChange(one)).toEqual(bytes(PresenceChangeSchema, change(index)));
  });
});

test("deliveries", () => {
  const names = { channel: "a.ü", registration: "r", epoch: "e" };
  for (const prev of [0, 1, LARGE]) {
    for (const presenceLost of [false, true]) {
      const undeliveredTime = presenceLost ? LARGE : 0;
      const whole = { ...names, prev, presenceLost, undeliveredTime };
      const numbers = { prev: BigInt(prev), undeliveredTime: BigInt(undeliveredTime) };
      expect(
        encodeDelivery({
          ...whole,
          entries: [encodeEntry(row(1)), encodeEntry(row(2))],
          presence: changes.map(encodePresenceChange),
          transients: [encodeTransient("t", LARGE, BODY)],
        }),
      ).toEqual(
        bytes(DeliverRequestSchema, {
          ...whole,
          ...numbers,
          entries: [entry(1), entry(2)],
          presence: changes.map((_, index) => change(index)),
          transients: [{ id: "t", time: BigInt(LARGE), body: entry(1).body }],
        }),
      );
      expect(encodeDelivery({ ...whole, entries: [], presence: [], transients: [] })).toEqual(
        bytes(DeliverRequestSchema, { ...whole, ...numbers }),
      );
    }
  }
});

test("what was read", () => {
  expect(encodeReadResponse("e", [encodeEntry(row(3))])).toEqual(
    bytes(ReadResponseSchema, { epoch: "e", entries: [entry(3)] }),
  );
});

test("pages of history", () => {
  for (const more of [false, true]) {
    for (const reason of ["", "expired"]) {
      for (const offset of [0, LARGE]) {
        const page = { position: { epoch: "e", offset }, first: offset + 1, reason, more };
        expect(encodeHistory({ ...page, entries: [encodeEntry(row(3))] })).toEqual(
          bytes(HistoryResponseSchema, {
            position: { epoch: "e", offset: BigInt(offset) },
            first: BigInt(offset + 1),
            reason,
            entries: [entry(3)],
            more,
          }),
        );
      }
    }
  }
});
