/** What protobuf JSON does not allow is BAD_REQUEST, and what it allows is taken, in every form. */
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import type { InboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";

const json = codecFor("json");
const proto = codecFor("proto");

/** Undefined where a text is no message; the same on a JSON and on a protobuf connection. */
function decoded(text: string): InboundMessage | undefined {
  const [left, right] = [json, proto].map((codec) => {
    try {
      return codec.decodeInbound(text);
    } catch (error) {
      if (error instanceof MessagingError && error.code === "BAD_REQUEST") return undefined;
      throw error;
    }
  });
  expect(right).toEqual(left);
  return left;
}

const attribute = (value: string) => `{"publish":{"attributes":{"a":${value}}}}`;
const since = (value: string) =>
  `{"connect":{"subscriptions":[{"positions":{"a":{"epoch":"e","offset":${value}}}}]}}`;

/** Frames around one value: which values are none, and which are. */
const PLACES: readonly [string, (value: string) => string, bad: string[], good: string[]][] = [
  [
    "a whole number of 32 bits",
    (value) => attribute(`{"ce_integer":${value}}`),
    [
      ...['"0x10"', '"0b1"', '"0o7"', '""', '" "', '" 1"', '"1 "', '"+1"', '"01"', '"1."', '".5"'],
      ...[
        '"-"',
        '"1e"',
        '"1_0"',
        '"NaN"',
        '"Infinity"',
        "0.5",
        '"0.5"',
        "2147483648",
        "true",
        "[]",
      ],
    ],
    ["0", '"0"', "-1", '"-1"', "1e3", '"1e3"', "1.0", '"1.0"', '"-2147483648"', "2147483647"],
  ],
  [
    "a whole number of 32 bits without a sign",
    (value) => `{"subscribe":{"subscriptions":[{"rewind":${value}}]}}`,
    ['"0x10"', '"+1"', '"1 "', '""', '"-1"', "-1", "4294967296"],
    ["0", "4294967295", '"4294967295"'],
  ],
  [
    "a whole number of 64 bits",
    since,
    [
      ...['"0x10"', '"0b1"', '"0o7"', '""', '" "', '" 1"', '"1\\n"', '"+1"', '"01"', '"-1"', "-1"],
      ...["0.5", '"18446744073709551616"', '"1e400"', "true", "{}"],
    ],
    ["0", '"0"', "1e3", '"18446744073709551615"', "18446744073709551615", "9007199254740993"],
  ],
  [
    "bytes",
    (value) => `{"publish":{"binary_data":${value}}}`,
    [
      ...[
        '"A"',
        '"A="',
        '"A==="',
        '"AAA=="',
        '"=AAA"',
        '"AA=A"',
        '"QQ==QQ=="',
        '"QUJD\\n"',
        '"Q Q="',
      ],
      ...['"+_AA"', '"-/AA"', '"===="', '"="', '"AAAAA"', '"QQ==="', "1", '"\u00e4"'],
    ],
    ['""', '"QQ=="', '"QQ"', '"QUJD"', '"QUI="', '"QUI"', '"-_-_"', '"+/+/"', '"-_8"', '"-_8="'],
  ],
  [
    "a time",
    (value) => attribute(`{"ce_timestamp":${value}}`),
    [
      ...[
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-13-01",
        "2024-00-10",
        "2024-01-00",
      ].map((date) => `"${date}T00:00:00Z"`),
      ...["24:00:00", "23:60:00", "23:59:60", "99:00:00"].map((time) => `"2024-01-01T${time}Z"`),
      ...["+24:00", "+23:60", "-99:99", "+0100", "", "z"].map(
        (zone) => `"2024-01-01T00:00:00${zone}"`,
      ),
      ...[
        '"2024-01-01 00:00:00Z"',
        '"2024-01-01"',
        '"10000-01-01T00:00:00Z"',
        '"0000-12-31T23:59:59Z"',
      ],
      ...['"2024-01-01T00:00:00.Z"', '"2024-01-01T00:00:00.1234567890Z"', "0", '""'],
    ],
    [
      ...['"2024-02-29T00:00:00Z"', '"2000-02-29T00:00:00Z"', '"9999-12-31T23:59:59.999999999Z"'],
      ...['"0001-01-01T00:00:00Z"', '"2024-06-30T23:59:59+14:00"', '"2024-06-30T23:59:59.5-23:59"'],
    ],
  ],
  [
    "a number of a Struct",
    (value) => `{"survey_response":{"error":{"metadata":{"a":[{"b":${value}}]}}}}`,
    ["1e999", "-1e999"],
    ["1e308", "0", '"1e999"', "null"],
  ],
];

test.each(PLACES)("[SPEC-F4] %s: what is none is BAD_REQUEST", (_, frame, bad) => {
  for (const value of bad) expect([value, decoded(frame(value))]).toEqual([value, undefined]);
});

test.each(PLACES)("[SPEC-F4] %s: every form of one is taken", (_, frame, _bad, good) => {
  for (const value of good)
    expect([value, typeof decoded(frame(value))]).toEqual([value, "object"]);
});

test("the largest number of 64 bits is the largest, as a number and as a text", () => {
  for (const value of ["18446744073709551615", '"18446744073709551615"']) {
    const { envelope } = decoded(since(value)) ?? {};
    const [entry] = envelope?.case === "connect" ? envelope.value.subscriptions : [];
    expect(entry?.positions["a"]?.offset).toBe(2n ** 64n - 1n);
  }
});

test("no form of a client's clock is a reason to refuse", () => {
  const forms = [
    "-1",
    "0.5",
    "1e400",
    '"18446744073709551616"',
    '"now"',
    '"0x10"',
    "{}",
    "[]",
    "true",
  ];
  for (const time of [...forms, "null", '""']) {
    expect([time, decoded(`{"id":"1","time":${time},"ping":{}}`)?.id]).toEqual([time, "1"]);
  }
  expect(decoded('{"time":"17","ping":{}}')?.time).toBe(17n);
  expect(decoded('{"time":17,"ping":{}}')?.time).toBe(17n);
});

test("[SPEC-F4] a repeated key takes its last value, at every depth", () => {
  const text =
    '{"id":"1","id":"2","publish":{"source":"a"},"publish":{"id":"3","\\u0069d":"4","text_data":"a","text_data":"b"}}';
  const message = decoded(text);
  expect(message?.id).toBe("2");
  const event = message?.envelope.case === "publish" ? message.envelope.value : undefined;
  expect([event?.id, event?.source, event?.data.value]).toEqual(["4", "", "b"]);
});
