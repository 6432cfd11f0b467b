/**
 * What the fuzz tests throw at the decoders: frames of v0.1.1 with something done to them, noise,
 * and frames made to hurt.
 */
import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Frame } from "../../src/protocol/codec.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { MAX_MESSAGE_BYTES } from "../../src/protocol/limits.ts";
import type { SeededRandom } from "../support/random.ts";
import { frameOf, vectors } from "../support/vectors.ts";

/** How deep a Struct may nest in both encodings. A level costs JSON one step and protobuf two. */
export const MAX_SHARED_NESTING = 48;

const corpus: readonly Frame[] = [
  ...vectors("client_to_server"),
  ...vectors("server_to_client"),
].map(frameOf);

/** An event as a decoder may return it; some of its parts the door must refuse. */
export function randomEvent(random: SeededRandom): CloudEvent {
  const text = () => random.pick(["", "a", "\u00e4", "\u{1f600}", "\u0000", '"\\</', "\ufeff"]);
  const anyText = () => (random.chance(0.02) ? "\ud800x" : text());
  const seconds = () => random.pick([0n, 1n, -62_135_596_800n, 253_402_300_799n, 253_402_300_800n]);
  const value = () =>
    random.pick([
      () => ({ case: "ceBoolean" as const, value: random.chance(0.5) }),
      () => ({ case: "ceInteger" as const, value: random.pick([0, -(2 ** 31), 2 ** 31 - 1]) }),
      () => ({ case: "ceString" as const, value: anyText() }),
      () => ({ case: "ceBytes" as const, value: random.bytes(random.int(4)) }),
      () => ({ case: "ceUri" as const, value: anyText() }),
      () => ({ case: "ceUriRef" as const, value: anyText() }),
      () => ({
        case: "ceTimestamp" as const,
        value: { seconds: seconds(), nanos: random.pick([0, 1, 999_999_999]) },
      }),
      () => (random.chance(0.1) ? { case: undefined } : { case: "ceString" as const, value: "s" }),
    ])();
  const names = ["id", "specversion", "datacontenttype", "dataschema", "time", "A1", "a_b", ""];
  const attributes = Object.fromEntries(
    Array.from({ length: random.int(4) }, () => [
      random.chance(0.1) ? anyText() : random.pick(names),
      { attr: value() },
    ]),
  );
  const data = random.pick([
    { case: undefined },
    { case: "binaryData" as const, value: random.bytes(random.int(40)) },
    { case: "textData" as const, value: anyText() },
    { case: "protoData" as const, value: { typeUrl: anyText(), value: random.bytes(3) } },
  ]);
  const [id, source, type, specVersion] = [anyText(), anyText(), anyText(), random.pick(["", "2"])];
  return create(CloudEventSchema, { id, source, type, specVersion, attributes, data });
}

/** Noise, or a vector to which up to four things were done. */
export function anyFrame(random: SeededRandom): Frame {
  if (random.chance(0.1)) return random.bytes(random.int(300));
  if (random.chance(0.1)) return randomText(random);
  return mutated(random, baseFrame(random));
}

/** A frame to which up to four things were done. */
export function mutated(random: SeededRandom, frame: Frame): Frame {
  let changed = frame;
  for (let count = random.int(4); count >= 0; count--) {
    changed =
      typeof changed === "string" ? mutateText(random, changed) : mutateBytes(random, changed);
  }
  return changed;
}

function baseFrame(random: SeededRandom): Frame {
  if (random.chance(0.98)) return random.pick(corpus);
  return random.pick(hostile)[1];
}

function randomText(random: SeededRandom): string {
  const pieces = ["{", "}", "[", "]", ",", ":", '"', "\\", "id", "publish", '"pong":{}', "1", "-"];
  return Array.from({ length: random.int(60) }, () =>
    random.chance(0.1) ? String.fromCharCode(random.int(0x10000)) : random.pick(pieces),
  ).join("");
}

const VALUES = [
  ...['"\\ud800"', '"\ud800"', '"\\u0000\ufeff"', '""', '"2024-02-30T00:00:00Z"', "null", "true"],
  ...['"9999-12-31T23:59:59.999999999Z"', '"0000-01-01T00:00:00Z"', '"=="', '"_-8"', "{}", "[]"],
  ...["1e999", "-1", "-0", "0.5", "2147483648", "18446744073709551616", '"-1"', '"NaN"', "NaN"],
  ...['{"@type":"type.googleapis.com/x"}', '{"__proto__":{"ce_string":"x"}}', '{"":{}}'],
  JSON.stringify("x".repeat(5_000)),
  "[".repeat(500),
  nestedJson(47),
  nestedJson(90),
  nestedJson(5_000),
];
const MEMBERS = [
  ...['"__proto__":{"ceString":"x"},', '"__proto__":"x",', '"constructor":1,', '"pong":{},'],
  ...['"metadata":{"__proto__":"x","\\ud800":"y"},', '"time":"1e3",', '"unknown":[{"a":[]}],'],
  ...['"protoData":{},', '"text_data":"x",', '"attributes":{"a":{}},', '"id":1,'],
];
const JSON_VALUE = /"(?:[^"\\]|\\.)*"(?!\s*:)|-?\d[\d.eE+-]*|true|false|null|\{\}/g;

function mutateText(random: SeededRandom, text: string): string {
  const [at, length] = [random.int(text.length + 1), random.int(20)];
  const [head, tail] = [text.slice(0, at), text.slice(at)];
  switch (random.int(10)) {
    case 0:
      return head;
    case 1:
      return head + tail.slice(length);
    case 2:
      return head + tail.slice(0, length) + tail;
    case 3: {
      const other = random.pick(corpus);
      return typeof other === "string" ? head + other.slice(random.int(other.length)) : head;
    }
    case 4:
      return head + String.fromCharCode(random.int(0x10000)) + tail.slice(1);
    case 5:
    case 6: {
      const brace = text.indexOf("{", at);
      return text.slice(0, brace + 1) + random.pick(MEMBERS) + text.slice(brace + 1);
    }
    default: {
      const places = [...text.matchAll(JSON_VALUE)];
      if (places.length === 0) return text;
      const { index, 0: old } = random.pick(places);
      return text.slice(0, index) + random.pick(VALUES) + text.slice(index + old.length);
    }
  }
}

const HUGE_VARINTS = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

function mutateBytes(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  const [at, length] = [random.int(bytes.length + 1), random.int(20)];
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.int(7)) {
    case 0:
      return head;
    case 1:
      return joined(head, tail.subarray(0, length), tail);
    case 2: {
      const other = random.pick(corpus);
      return typeof other === "string" ? head : joined(head, other.subarray(random.int(at + 1)));
    }
    case 3:
      return joined(head, random.pick(HUGE_VARINTS), tail);
    case 4: {
      // A length prefix that tells of more, or less, than there is.
      const tag = ((random.int(21) + 1) << 3) | WireType.LengthDelimited;
      return joined(head, [(tag & 0x7f) | 0x80, tag >> 7, random.int(64)], tail);
    }
    case 5:
      return joined(head, random.bytes(length), tail.subarray(random.int(length + 1)));
    default: {
      const flipped = bytes.slice();
      for (let count = random.int(8); count >= 0; count--) {
        const index = random.int(flipped.length);
        flipped[index] = (flipped[index] ?? 0) ^ (1 << random.int(8));
      }
      return flipped;
    }
  }
}

/** What no mutation finds by chance, at the size a frame may have and beyond. */
export function hostileFrames(): [string, Frame][] {
  const half = MAX_MESSAGE_BYTES / 2;
  const metadata = (value: string) => `{"survey_response":{"error":{"metadata":${value}}}}`;
  const attribute = (value: string) => `{"publish":{"attributes":{"a":${value}}}}`;
  return [
    ["open arrays", "[".repeat(MAX_MESSAGE_BYTES)],
    ["open objects", '{"a":'.repeat(MAX_MESSAGE_BYTES / 5)],
    ["nested arrays", "[".repeat(half) + "]".repeat(half)],
    ["nested arrays in an unknown key", `{"x":${"[".repeat(half - 4)}${"]".repeat(half - 4)}}`],
    ["nested objects in metadata", metadata(nestedJson(10_000))],
    ["nested arrays in metadata", metadata(`{"a":${"[".repeat(9_000)}${"]".repeat(9_000)}}`)],
    ["deep but allowed metadata", metadata(nestedJson(MAX_SHARED_NESTING))],
    ["a long string", JSON.stringify({ id: "x".repeat(MAX_MESSAGE_BYTES) })],
    ["many keys", metadata(`{${Array.from({ length: 6_000 }, (_, i) => `"${i}":0`).join()}}`)],
    ["__proto__ in a map", '{"metadata":{"__proto__":"x","a":"y"},"pong":{},"ping":{}}'],
    ["__proto__ in a Struct", metadata('{"__proto__":{"polluted":true}}')],
    [
      "lone surrogates",
      '{"id":"\\ud800","metadata":{"\\udc00":"\ud800"},"publish":{"id":"\ud800"}}',
    ],
    ["an integer out of range", attribute('{"ce_integer":2147483648}')],
    ["a fraction", attribute('{"ce_integer":0.5}')],
    ["a time out of range", '{"time":"18446744073709551616"}'],
    ["a number that is infinite", metadata('{"a":1e999}')],
    ["a timestamp out of range", attribute('{"ce_timestamp":"10000-01-01T00:00:00Z"}')],
    ["an Any", '{"publish":{"proto_data":{"@type":"type.googleapis.com/google.protobuf.Any"}}}'],
    ["text that is not UTF-8", Uint8Array.from('{"id":"\u00ff"}', (text) => text.charCodeAt(0))],
    ["a nested Struct as protobuf", deepStruct(10_000)],
    ["a deep but allowed Struct as protobuf", deepStruct(MAX_SHARED_NESTING)],
    ["nested groups", new Uint8Array(MAX_MESSAGE_BYTES).fill((30 << 3) | WireType.StartGroup)],
    ["a varint without end", new Uint8Array(MAX_MESSAGE_BYTES).fill(0xff)],
    ["zeros", new Uint8Array(MAX_MESSAGE_BYTES)],
    ["NaN in a Struct", structOf((writer) => writer.tag(2, WireType.Bit64).double(Number.NaN))],
    ["a Struct's value without kind", structOf(() => {})],
    [
      "a timestamp out of range as protobuf",
      deepField([16, 5, 2, 7], (writer) => {
        writer
          .tag(1, WireType.Varint)
          .int64(1n << 62n)
          .tag(2, WireType.Varint)
          .int32(-1);
      }),
    ],
    [
      "an Any as protobuf",
      deepField([16, 8], (writer) => {
        writer.tag(1, WireType.LengthDelimited).string("type.googleapis.com/x");
      }),
    ],
    [
      "an Any without type as protobuf",
      deepField([16, 8], (writer) => {
        writer.tag(2, WireType.LengthDelimited).string("x");
      }),
    ],
  ];
}

const hostile = hostileFrames();

export function nestedJson(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

/** A message inside fields, outermost first; `fill` writes the innermost. */
function deepField(path: readonly number[], fill: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  for (const number of path) writer.tag(number, WireType.LengthDelimited).fork();
  fill(writer);
  for (const _ of path) writer.join();
  return writer.finish();
}

/** survey_response.error.metadata with one value. */
function structOf(fill: (writer: BinaryWriter) => void): Uint8Array {
  return deepField([21, 3, 4, 1, 2], fill);
}

/** An error whose metadata stands there so many times, always empty. */
export function structs(count: number): Uint8Array {
  return deepField([21, 3], (writer) => {
    for (let i = 0; i < count; i++) writer.tag(4, WireType.LengthDelimited).bytes(new Uint8Array());
  });
}

/** A Struct in a Struct, so many times; the innermost value is `false`. */
function deepStruct(depth: number): Uint8Array {
  const more = Array.from({ length: depth - 1 }, () => [5, 1, 2]).flat();
  return deepField([21, 3, 4, 1, 2, ...more], (writer) =>
    writer.tag(4, WireType.Varint).bool(false),
  );
}

function joined(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
