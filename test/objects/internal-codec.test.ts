/** What is written and read by hand is what the schema says. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  encodeDelivery,
  encodeEntry,
  encodeHistory,
  encodePresenceChange,
  encodePublished,
  encodePublishes,
  encodeReadResponse,
  encodeTransient,
} from "../../src/objects/calls/internal-codec.ts";
import {
  readDelivery,
  readPublished,
  readPublishes,
} from "../../src/objects/calls/internal-reader.ts";
import { errorMessage, MessagingError } from "../../src/protocol/errors.ts";
import {
  DeliverRequestSchema,
  EntrySchema,
  HistoryResponseSchema,
  PresenceChangeSchema,
  PublishRequestSchema,
  PublishResponseSchema,
  ReadResponseSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

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

const TEXTS = ["", "a", "room.1", "ä\u0000\u{1f600}", "__proto__", "a".repeat(127), "ä".repeat(64)];
const NUMBERS = [0n, 1n, 127n, 128n, BigInt(LARGE), 2n ** 64n - 1n];
const BYTES = [new Uint8Array(), Uint8Array.of(0, 255), new Uint8Array(200)];

function anyOf<T>(random: SeededRandom, make: () => T): T[] {
  return Array.from({ length: random.pick([0, 1, 1, 3]) }, make);
}

function anyDelivery(random: SeededRandom): Uint8Array {
  const text = () => random.pick(TEXTS);
  const body = () => ({
    event: random.pick(BYTES),
    metadata: random.chance(0.2) ? { [text()]: text() } : {},
    ...(random.chance(0.8) && {
      publisher: { clientId: text(), userId: text(), sessionId: text() },
    }),
  });
  const known = random.chance(0.9);
  return bytes(DeliverRequestSchema, {
    channel: text(),
    registration: text(),
    epoch: text(),
    prev: random.pick(NUMBERS),
    entries: anyOf(random, () => ({
      offset: random.pick(NUMBERS),
      time: random.pick(NUMBERS),
      ...(random.chance(0.9) && { body: body() }),
    })),
    presence: known ? [] : anyOf(random, () => change(0)),
    presenceLost: !known && random.chance(0.5),
    undeliveredTime: random.pick(NUMBERS),
    transients: known ? [] : anyOf(random, () => ({ id: text(), time: 1n, body: body() })),
  });
}

function anyItems(random: SeededRandom) {
  const item = () => ({
    $typeName: "messageloop.internal.v1.PublishItem" as const,
    key: random.pick(TEXTS),
    body: random.pick(BYTES),
    transient: random.chance(0.2),
  });
  return {
    items: anyOf(random, item),
    region: random.pick(TEXTS),
    registration: random.pick(TEXTS),
  };
}

function anyAnswer(random: SeededRandom): Uint8Array {
  const result = () => ({
    offset: random.pick(NUMBERS),
    duplicate: random.chance(0.2),
    ...(random.chance(0.1) && { error: { code: random.pick(TEXTS) } }),
  });
  const delivery = random.chance(0.7)
    ? { delivery: fromBinary(DeliverRequestSchema, anyDelivery(random)) }
    : {};
  return bytes(PublishResponseSchema, {
    epoch: random.pick(TEXTS),
    results: anyOf(random, result),
    ...delivery,
  });
}

/** The same message, or one of which a byte is another, is missing or is there twice, or which ends too early. */
function damaged(random: SeededRandom, message: Uint8Array): Uint8Array {
  const at = random.int(message.length + 1);
  switch (random.pick(["whole", "byte", "cut", "missing", "twice", "joined"] as const)) {
    case "byte":
      return message.length === 0 ? message : message.with(at % message.length, random.int(256));
    case "cut":
      return message.slice(0, at);
    case "missing":
      return Buffer.concat([message.slice(0, at), message.slice(at + 1)]);
    case "twice":
      return Buffer.concat([message.slice(0, at), message.slice(Math.max(0, at - 1))]);
    case "joined":
      return Buffer.concat([message, message.slice(at)]);
    default:
      return message;
  }
}

function outcome<T>(read: () => T): T | "refused" {
  try {
    return read();
  } catch {
    return "refused";
  }
}

test("what is read is what the runtime reads, and what it refuses is refused", () => {
  let refused = 0;
  eachStep(5_000, (random) => {
    const delivery = damaged(random, anyDelivery(random));
    const expected = outcome(() => fromBinary(DeliverRequestSchema, delivery));
    if (expected === "refused") refused += 1;
    expectEqual(
      outcome(() => readDelivery(delivery)),
      expected,
    );
    const publishes = damaged(random, bytes(PublishRequestSchema, anyItems(random)));
    const wanted = outcome(() => fromBinary(PublishRequestSchema, publishes));
    expectEqual(
      outcome(() => readPublishes(publishes)),
      wanted,
    );
    const answer = damaged(random, anyAnswer(random));
    const answered = outcome(() => fromBinary(PublishResponseSchema, answer));
    expectEqual(
      outcome(() => readPublished(answer)),
      answered,
    );
  });
  expect(refused).toBeGreaterThan(500);
});

test("publishes", () => {
  eachStep(500, (random) => {
    const { items, region, registration } = anyItems(random);
    const expected = bytes(PublishRequestSchema, { items, region, registration });
    expect(encodePublishes(items, region, registration)).toEqual(expected);
  });
});

test("answers to publishes", () => {
  const refusal = new MessagingError("UNAVAILABLE", "not now", { metadata: { retry_after_ms: 7 } });
  const published = [
    { offset: 0, duplicate: false },
    { offset: 1, duplicate: true },
    { offset: LARGE, duplicate: false },
  ];
  const results = published.map(({ offset, duplicate }) => ({ offset: BigInt(offset), duplicate }));
  for (const epoch of ["", "e"]) {
    const delivery =
      epoch === "" ? undefined : bytes(DeliverRequestSchema, { channel: "a", epoch });
    expect(encodePublished(epoch, [...published, refusal], delivery)).toEqual(
      bytes(PublishResponseSchema, {
        epoch,
        results: [...results, { error: errorMessage(refusal) }],
        ...(delivery === undefined ? {} : { delivery: { channel: "a", epoch } }),
      }),
    );
  }
});
