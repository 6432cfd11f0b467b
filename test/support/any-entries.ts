/** Entries of a log with anything in them that makes a difference to those who write or read them. */
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { attribute } from "../../src/protocol/cloudevents.ts";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type Entry,
  EntrySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Publisher,
  PublisherSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SeededRandom } from "./random.ts";

export const NOW = 1_800_000_000_000n;
const DAY_MS = 86_400_000n;
/** Data that says to be JSON, and is: written as `JSON.stringify` does. */
export const CANONICAL_TEXTS = [
  ...["{}", "[]", "null", "true", "0", "-1.5", "1e+300", '""', '"ä\u2028\\n"', '"\\ud800"'],
  ...['{"n":1,"text":"a\\"\\\\"}', '[[],{"a":[1,null]}]', `${"[".repeat(20)}${"]".repeat(20)}`],
  `{"long":"${"x".repeat(300)}"}`,
];
/** Data that says so, and is another text when it is read and written again, or none that can stand in a frame. */
export const OTHER_TEXTS = [
  ...["", " {}", "{} ", '{"a": 1}', "1.0", "-0", "1e400", "12345678901234567890", "{", "undefined"],
  ...['{"a":1,"a":2}', '{"b":1,"1":2}', '"\\u0061"', '"\\/"', '{"__proto__":{"a":1}}', "1}],["],
  `${"[".repeat(21)}${"]".repeat(21)}`,
];
const JSON_TEXTS = [...CANONICAL_TEXTS, ...OTHER_TEXTS];

/** Few values, so that messages share some. */
function anyAttribute(random: SeededRandom): CloudEventAttributeValue {
  return attribute(
    random.pick<CloudEventAttributeValue["attr"]>([
      { case: "ceString", value: random.pick(["", "text/plain", "a\u0000ä\u{1f600}"]) },
      { case: "ceUri", value: "https://example.com/s" },
      { case: "ceUriRef", value: "" },
      { case: "ceBoolean", value: random.pick([true, false]) },
      { case: "ceInteger", value: random.pick([0, -1]) },
      { case: "ceBytes", value: random.pick([new Uint8Array(), Uint8Array.of(0, 255)]) },
      { case: "ceTimestamp", value: create(TimestampSchema, { seconds: 5n, nanos: 10 }) },
      { case: undefined },
    ]),
  );
}

function anyEvent(random: SeededRandom): CloudEvent {
  const names = ["time", "datacontenttype", "dataschema", "Über", ""].filter(() =>
    random.chance(0.5),
  );
  const attributes = Object.fromEntries(names.map((name) => [name, anyAttribute(random)]));
  if (random.chance(0.02)) {
    for (let i = 0; i < 40; i++) attributes[`a${i}`] = attribute({ case: "ceInteger", value: i });
  }
  const isJson = random.chance(0.5);
  if (isJson) {
    const value = random.pick([
      "application/json",
      "application/x+json; charset=utf-8",
      "text/json",
    ]);
    attributes["datacontenttype"] = attribute({ case: "ceString", value });
  }
  const any = create(AnySchema, { typeUrl: "example.com/app.Note", value: Uint8Array.of(1) });
  const data: CloudEvent["data"][] = [
    { case: undefined },
    { case: "textData", value: random.pick(["", "ä", '"\\', "a".repeat(300)]) },
    { case: "binaryData", value: random.pick([new Uint8Array(), Uint8Array.of(0, 255)]) },
    { case: "protoData", value: any },
  ];
  return create(CloudEventSchema, {
    id: random.pick(["", "1", crypto.randomUUID()]),
    source: random.pick(["", "/a", "/a", "/b"]),
    specVersion: random.pick(["", "1.0", "1.0", "1.0"]),
    type: random.pick(["", "t", "t"]),
    attributes,
    data: isJson ? { case: "textData", value: random.pick(JSON_TEXTS) } : random.pick(data),
  });
}

function anyPublisher(random: SeededRandom): Publisher | undefined {
  if (random.chance(0.1)) return undefined;
  const [clientId, userId, sessionId] = [random.pick(["", "c"]), random.pick(["", "u"]), "s"];
  return create(PublisherSchema, random.pick([{}, { clientId, userId, sessionId }]));
}

export function anyBody(random: SeededRandom) {
  const publisher = anyPublisher(random);
  const texts = '{"__proto__":"p","trace":"1","k":"\\u0000"}';
  return {
    event: written(random, anyEvent(random)),
    ...(publisher === undefined ? {} : { publisher }),
    metadata: random.pick([{}, {}, { trace: random.pick(["1", "2"]) }, JSON.parse(texts)]),
  };
}

/** Nearly always as this server writes it. Others may have written it in another order, or with what is not known here. */
function written(random: SeededRandom, event: CloudEvent): Uint8Array {
  const bytes = toBinary(CloudEventSchema, event);
  if (random.chance(0.02)) return Buffer.concat([bytes, Buffer.from("\x92\x03\x01a", "latin1")]);
  if (random.chance(0.02)) return Buffer.concat([Buffer.from("\x22\x01z", "latin1"), bytes]);
  return bytes;
}

export function anyEntries(random: SeededRandom): Entry[] {
  const first = random.pick([1, 99, 2 ** 40]);
  return Array.from({ length: 1 + random.int(random.pick([2, 6])) }, (_, index) =>
    create(EntrySchema, {
      offset: BigInt(first + index),
      time: random.pick([NOW, NOW + 3n, NOW - 1n, NOW + 60n * DAY_MS, 0n]),
      body: random.chance(0.02) ? {} : anyBody(random),
    }),
  );
}
