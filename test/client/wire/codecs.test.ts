/** The SDK's own codecs against the generated schema and the codecs of the server. */
import {
  create,
  type DescField,
  type DescMessage,
  equals,
  fromBinary,
  fromJson,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { StructSchema, TimestampSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { fromWireEvent } from "../../../src/client/core/cloud-event.ts";
import { protobuf } from "../../../src/client/protobuf/codec.ts";
import { SHAPES } from "../../../src/client/protobuf/schema.ts";
import { write } from "../../../src/client/protobuf/writer.ts";
import type { Frame, InboundFrame, OutboundFrame } from "../../../src/client/wire/frames.ts";
import { json } from "../../../src/client/wire/json.ts";
import { codecFor, encodeJson } from "../../../src/protocol/codec.ts";
import {
  type Compact,
  CompactSchema,
  InboundMessageSchema,
  type OutboundMessage,
  OutboundMessageSchema,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { delivered, whole } from "../../support/expand.ts";
import { expectEqual } from "../../support/expect-equal.ts";
import { type SeededRandom, seed, seededRandom, steps } from "../../support/random.ts";

const TEXTS = ["", "a", "ä", "\u{1f600}", "\u0000", '"\\</', "x".repeat(200)];
/** What JSON has no form for, and what becomes something else when it is read. */
const APART: ReadonlySet<string> = new Set(["proto_data", "compact"]);
const INTEGERS = [0, 1, 127, 128, 300, 2 ** 28, 2 ** 31, 2 ** 35 + 7, 2 ** 53 - 1];

/** A message with anything in it that a peer may send, but for what JSON has no form for; `structs` are left to be made. */
function randomMessage(
  desc: DescMessage,
  random: SeededRandom,
  structs: { left: number },
  depth = 0,
): Message {
  if (desc.typeName === TimestampSchema.typeName) {
    const seconds = BigInt(random.pick([0, 1, -1, -62_135_596_800, 253_402_300_799]));
    return create(TimestampSchema, { seconds, nanos: random.pick([0, 1, 5_000, 120_000_000]) });
  }
  const message = reflect(desc);
  for (const member of desc.members) {
    const skipped = !random.chance(depth === 0 || desc.typeName.endsWith("Value") ? 1 : 0.6);
    if (skipped && member.kind !== "oneof") continue;
    const field =
      member.kind === "oneof"
        ? random.pick(member.fields.filter(({ name }) => !APART.has(name)))
        : member;
    if (field.fieldKind === "list") {
      const list = message.get(field);
      for (let i = random.int(3); i > 0; i--) list.add(scalarOf(field, random, structs, depth));
    } else if (field.fieldKind === "map") {
      const map = message.get(field);
      for (let i = random.int(3); i > 0; i--) {
        map.set(random.pick(TEXTS), scalarOf(field, random, structs, depth));
      }
    } else if (field.message?.typeName === StructSchema.typeName) {
      structs.left -= 1;
      if (structs.left < 0) continue;
      Object.assign(message.message, { [field.localName]: randomStruct(random) });
    } else message.set(field, scalarOf(field, random, structs, depth));
  }
  return message.message;
}

function scalarOf(
  field: DescField,
  random: SeededRandom,
  structs: { left: number },
  depth: number,
): never {
  return value() as never;

  function value(): unknown {
    if (field.message?.typeName === ValueSchema.typeName) {
      return reflect(ValueSchema, fromJson(ValueSchema, randomValue(random) as never));
    }
    if (field.message !== undefined) {
      return reflect(field.message, randomMessage(field.message, random, structs, depth + 1));
    }
    switch (field.scalar) {
      case ScalarType.STRING:
        return random.pick(TEXTS);
      case ScalarType.BYTES:
        return random.bytes(random.int(40));
      case ScalarType.BOOL:
        return random.chance(0.5);
      case ScalarType.UINT64:
        return BigInt(random.pick(INTEGERS));
      case ScalarType.UINT32:
        return random.pick(INTEGERS) % 2 ** 32;
      case ScalarType.INT32:
        return random.pick([0, -1, 1, -(2 ** 31), 2 ** 31 - 1]);
      default:
        throw new Error(`${field.name} is of an unknown type`);
    }
  }
}

function randomStruct(random: SeededRandom, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Array.from({ length: random.int(4) }, () => [random.pick(TEXTS), randomValue(random, depth)]),
  );
}

function randomValue(random: SeededRandom, depth = 0): unknown {
  return random.pick([
    () => null,
    () => random.pick([0, -1.5, 1e300, 7]),
    () => random.pick(TEXTS),
    () => random.chance(0.5),
    () => (depth > 2 ? 1 : randomStruct(random, depth + 1)),
    () => Array.from({ length: random.int(3) }, () => (depth > 2 ? 1 : randomValue(random, depth))),
  ])();
}

test("the table of the protobuf codec is that of the proto file", () => {
  const seen = new Set<string>();
  const compare = (desc: DescMessage, name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const shape = SHAPES.get(name);
    for (const field of desc.fields) {
      const own = shape?.get(field.name);
      expect(own, `${desc.typeName}.${field.name}`).toBeDefined();
      if (own === undefined) continue;
      const many = { list: "*", map: "%", message: "", scalar: "", enum: "?" }[field.fieldKind];
      expect([own.number, own.many], field.name).toEqual([field.number, many]);
      expect(shape?.get(field.number)).toBe(own);
      const message = field.message;
      if (message === undefined) expect(own.type, field.name).toBe(letterOf(field));
      else if (message.typeName === TimestampSchema.typeName) expect(own.type).toBe("T");
      else if (message.typeName === StructSchema.typeName) expect(own.type).toBe("S");
      else if (message.typeName === ValueSchema.typeName) expect(own.type).toBe("V");
      else compare(message, own.type);
    }
    expect(shape?.size).toBe(desc.fields.length * 2);
  };
  compare(InboundMessageSchema, "Inbound");
  compare(OutboundMessageSchema, "Outbound");
  expect(seen).toEqual(new Set([...SHAPES.keys()]));
});

function letterOf(field: DescField): string | undefined {
  const letters: Partial<Record<ScalarType, string>> = {
    [ScalarType.STRING]: "s",
    [ScalarType.BYTES]: "b",
    [ScalarType.BOOL]: "t",
    [ScalarType.UINT64]: "u",
    [ScalarType.UINT32]: "u",
    [ScalarType.INT32]: "i",
  };
  return field.scalar === undefined ? undefined : letters[field.scalar];
}

test("what the server writes reads the same in JSON, in protobuf and by the generated schema", () => {
  for (let step = 0; step < steps(2_000); step++) {
    const random = seededRandom(seed() + step);
    const message = randomMessage(OutboundMessageSchema, random, { left: 100 }) as never;
    const text = encodeJson(OutboundMessageSchema, message);
    const bytes = toBinary(OutboundMessageSchema, message);
    const byJson = json.decode(text);
    const byProtobuf = protobuf.decode(bytes);
    const about = (): string => `step ${step}: ${text}`;
    expectEqual(byProtobuf, byJson, about);
    const again = fromBinary(OutboundMessageSchema, write(byJson, "Outbound"));
    expectEqual(equals(OutboundMessageSchema, again, message), true, about);
  }
});

test("a compact frame reads as the publication that it stands for, in both encodings", () => {
  let refused = 0;
  for (let step = 0; step < steps(2_000); step++) {
    const random = seededRandom(seed() + step);
    const value = randomMessage(CompactSchema, random, { left: 0 }) as Compact;
    for (const own of value.messages) {
      own.context = random.int(value.contexts.length + 1);
    }
    const message = create(OutboundMessageSchema, { envelope: { case: "compact", value } });
    const text = encodeJson(OutboundMessageSchema, message);
    const bytes = toBinary(OutboundMessageSchema, message);
    let expected: OutboundMessage;
    try {
      expected = whole(message);
      for (const { offset, time } of delivered(message) ?? []) {
        if (offset >= 2n ** 53n || time >= 2n ** 53n) throw new RangeError("not exact");
      }
    } catch {
      refused += 1;
      expect(() => json.decode(text), text).toThrow("cannot be read");
      expect(() => protobuf.decode(bytes), text).toThrow("cannot be read");
      continue;
    }
    const read = json.decode(text);
    expectEqual(protobuf.decode(bytes), read, () => text);
    const again = fromBinary(OutboundMessageSchema, write(asText(read), "Outbound"));
    expectEqual(equals(OutboundMessageSchema, again, expected), true, () => text);
  }
  expect(refused).toBeGreaterThan(0);
});

/** With the texts that stood in a compact frame as JSON. */
function asText({ publication }: OutboundFrame): OutboundFrame {
  const messages = publication?.messages?.map((message) => {
    const { json_data, ...payload } = message.payload ?? {};
    const text = json_data === undefined ? {} : { text_data: JSON.stringify(json_data) };
    return { ...message, payload: { ...payload, ...text } };
  });
  return { publication: messages ? { messages } : {} };
}

test("what the SDK writes is the same frame to the server in JSON and in protobuf", () => {
  for (let step = 0; step < steps(2_000); step++) {
    const random = seededRandom(seed() + step);
    // A server refuses frames with more than one: no client needs them.
    const message = randomMessage(InboundMessageSchema, random, { left: 1 }) as never;
    const frame = JSON.parse(encodeJson(InboundMessageSchema, message)) as InboundFrame;
    const bytes = toBinary(InboundMessageSchema, message);
    const about = (): string => `step ${step}`;
    const again = fromBinary(InboundMessageSchema, bytes);
    expectEqual(equals(InboundMessageSchema, again, message), true, about);
    const plain = plainOf(frame);
    const [byJson, byProtobuf] = [
      codecFor("json").decodeInbound(json.encode(plain)),
      codecFor("proto").decodeInbound(protobuf.encode(plain)),
    ];
    expectEqual(equals(InboundMessageSchema, byJson, message), true, about);
    expectEqual(byProtobuf, byJson, about);
    expectEqual(equals(InboundMessageSchema, byProtobuf, message), true, about);
  }
});

/** JSON's form as a frame: with numbers and bytes in the place of their texts. */
function plainOf(frame: InboundFrame): InboundFrame {
  const integers = new Set(["offset", "time", "bytes"]);
  const bytes = new Set(["binary_data", "ce_bytes"]);
  return JSON.parse(JSON.stringify(frame), (key, value: unknown) => {
    if (typeof value !== "string") return value;
    if (integers.has(key) && /^\d+$/.test(value)) return Number(value);
    return bytes.has(key) ? new Uint8Array(Buffer.from(value, "base64")) : value;
  }) as InboundFrame;
}

describe("protobuf", () => {
  test("a message of its own in an event stays what it is", () => {
    const value = new Uint8Array([1, 2, 3]);
    const publish = { id: "e", proto_data: { type_url: "x/y.Z", value } };
    const { envelope } = codecFor("proto").decodeInbound(protobuf.encode({ publish }));
    expect(envelope).toMatchObject({
      case: "publish",
      value: { data: { case: "protoData", value: { typeUrl: "x/y.Z", value } } },
    });
  });

  test("a message of its own in an event comes as its bytes, as on JSON connections", () => {
    const value = new Uint8Array([1, 2, 3]);
    const payload = {
      ...{ id: "e", attributes: { n: { attr: { case: "ceInteger", value: 7 } as const } } },
      data: { case: "protoData", value: { typeUrl: "x/y.Z", value } } as const,
    };
    const message = create(OutboundMessageSchema, {
      envelope: { case: "publication", value: { messages: [{ channel: "c", payload }] } },
    });
    const read = protobuf.decode(toBinary(OutboundMessageSchema, message));
    const plain = {
      id: "e",
      attributes: {
        n: { ce_integer: 7 },
        datacontenttype: { ce_string: "application/protobuf" },
        dataschema: { ce_uri: "x/y.Z" },
      },
      binary_data: value,
    };
    expect(read.publication?.messages).toEqual([{ channel: "c", payload: plain }]);
    expect(fromWireEvent(read.publication?.messages?.[0]?.payload ?? {})).toMatchObject({
      ...{ id: "e", n: 7, datacontenttype: "application/protobuf", dataschema: "x/y.Z" },
      data: value,
    });
  });

  test("unknown fields of every wire type are skipped, and known ones of another one as well", () => {
    const known = [0x0a, 1, 0x61];
    const unknown = [
      ...[0xa0, 0x3f, 1],
      ...[0xa1, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8],
      ...[0xa2, 0x3f, 2, 1, 2],
      ...[0xa5, 0x3f, 1, 2, 3, 4],
      ...[0x08, 5],
    ];
    expect(protobuf.decode(new Uint8Array([...unknown, ...known]))).toEqual({ id: "a" });
  });

  test("a text is read as it is, whatever was read before", () => {
    // Of the third the units are the bytes of the first.
    const texts = ["ä", "a", "Ã¤", "ä", "a", "b", "\ufeffa", "x".repeat(70), "x".repeat(71), "ä"];
    const read = texts.map((id) => protobuf.decode(write({ id }, "Outbound")).id);
    expect(read).toEqual(texts);
  });

  test("a large message is written with a longer length", () => {
    for (const length of [0, 127, 128, 16_383, 16_384, 70_000, 2_100_000]) {
      const publish = { text_data: "x".repeat(length), attributes: {} };
      const { envelope } = codecFor("proto").decodeInbound(protobuf.encode({ publish, id: "y" }));
      expect(envelope).toMatchObject({ value: { data: { value: publish.text_data } } });
    }
  });

  test.each([
    ["cut in a text", [0x0a, 5, 0x61]],
    ["cut in a message", [0x5a, 9, 0x0a]],
    ["cut in a publication", [0x92, 1, 9, 0x1a]],
    ["cut in a publication's message", [0x92, 1, 3, 0x1a, 9, 0x0a]],
    ["a message longer than its publication", [0x92, 1, 4, 0x1a, 1, 0x0a, 1, 0x61]],
    ["an event longer than its message", [0x92, 1, 7, 0x1a, 5, 0x22, 1, 0x0a, 1, 0x61]],
    ["a publisher cut short", [0x92, 1, 6, 0x1a, 4, 0x9a, 1, 2, 0x0a]],
    ["an integer without end", [0x18, ...Array.from({ length: 12 }, () => 0xff)]],
    ["a group", [0x0b]],
    ["text that is no UTF-8", [0x0a, 1, 0xff]],
  ])("%s is no frame", (_name, bytes) => {
    expect(() => protobuf.decode(new Uint8Array(bytes))).toThrow("cannot be read");
  });
});

test.each(["", "{", "[]x", "null", "1", '"pong"'])("%j is no frame in JSON", (text) => {
  expect(() => json.decode(text)).toThrow("cannot be read");
});

test("an offset beyond 2^53 - 1 is refused in both encodings", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  for (const offset of [`"${largest}"`, largest]) {
    expect(json.decode(`{"publish_ack":{"offset":${offset}}}`).publish_ack?.offset).toBe(largest);
  }
  for (const offset of ['"9007199254740992"', "9007199254740992", '"x"', '"1.5"']) {
    expect(() => json.decode(`{"publish_ack":{"offset":${offset}}}`)).toThrow("cannot be read");
    for (const name of ["offset", "time"]) {
      const text = `{"publication":{"messages":[{"channel":"c"},{"${name}":${offset}}]}}`;
      expect(() => json.decode(text)).toThrow("cannot be read");
    }
  }
  for (const offset of [2n ** 53n, 2n ** 64n - 1n]) {
    for (const message of [
      create(OutboundMessageSchema, { envelope: { case: "publishAck", value: { offset } } }),
      ...[{ offset }, { time: offset }].map((one) =>
        create(OutboundMessageSchema, {
          envelope: { case: "publication", value: { messages: [one] } },
        }),
      ),
    ]) {
      const bytes = toBinary(OutboundMessageSchema, message);
      expect(() => protobuf.decode(bytes)).toThrow("cannot be read");
    }
  }
});

/** A frame whose messages share a text. */
function sharing(text: string, messages: number): OutboundMessage {
  const value = create(CompactSchema, {
    ...{ channel: "c", epoch: "e", offset: 1n },
    contexts: [{ attributes: { length: { attr: { case: "ceString", value: text } } } }],
    messages: Array.from({ length: messages }, () => ({})),
  });
  return create(OutboundMessageSchema, { envelope: { case: "compact", value } });
}

test.each([
  ["many messages", "", 100, 101],
  ["much that is shared", "x".repeat(2 ** 17), 3, 5],
  ["one message may be of any length", "x".repeat(2 ** 20), 1, 2],
])("a compact frame that expands too far is refused: %s", (_what, text, most, tooMuch) => {
  for (const codec of [json, protobuf]) {
    const encoding = codec === json ? "json" : "proto";
    const read = (messages: number) => {
      const frame = codecFor(encoding).encodeOutbound(sharing(text, messages));
      return codec.decode(frame as Frame).publication?.messages?.length;
    };
    expect(read(most)).toBe(most);
    expect(() => read(tooMuch)).toThrow(
      expect.objectContaining({
        message: "the frame cannot be read",
        cause: expect.objectContaining({ message: "it expands too far" }),
      }),
    );
  }
});

test.each([
  '{"contexts":[{}],"messages":[null]}',
  '{"contexts":{"a":{}},"messages":[{}]}',
  '{"contexts":[{}],"messages":{"a":{}}}',
  '{"contexts":[{}],"messages":[{"later":"x"}]}',
  '{"contexts":[{}],"messages":[{"binary_data":"?"}]}',
])("a compact frame with %s is no frame", (compact) => {
  expect(() => json.decode(`{"compact":${compact}}`)).toThrow("cannot be read");
});

test.each(["[null]", '{"a":1}'])("messages that are %s are no frame", (messages) => {
  expect(() => json.decode(`{"publication":{"messages":${messages}}}`)).toThrow("cannot be read");
});

test("names in an application's metadata are its own", () => {
  const frame: OutboundFrame = json.decode(
    '{"error":{"code":"X","metadata":{"offset":"7","time":"x"}},"metadata":{"time":"noon"}}',
  );
  expect(frame).toEqual({
    error: { code: "X", metadata: { offset: "7", time: "x" } },
    metadata: { time: "noon" },
  });
});
