/** [SPEC-F3] A known field of another wire type is ignored as an unknown one is, wherever it stands. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { wellShaped } from "../../src/protocol/wire-shape.ts";

/** A message somewhere in a frame: the numbers of the fields that lead there, and its own fields. */
interface Place {
  readonly name: string;
  readonly path: readonly number[];
  readonly fields: readonly { readonly number: number; readonly wireType: WireType }[];
}

/** Every kind of message that a client may send, by the first way that leads there. */
function places(): Place[] {
  const found: Place[] = [];
  const seen = new Set<string>();
  const visit = (schema: DescMessage, path: readonly number[]): void => {
    if (seen.has(schema.typeName)) return;
    seen.add(schema.typeName);
    const fields = schema.fields.map((field) => ({
      number: field.number,
      wireType: wireTypeOf(field),
    }));
    found.push({ name: schema.typeName, path, fields });
    for (const field of schema.fields) {
      const inside = [...path, field.number];
      if (field.fieldKind === "map") {
        const name = `${schema.typeName}.${field.name}`;
        const value =
          field.message === undefined ? wireTypeOf(field, false) : WireType.LengthDelimited;
        const entry = [
          { number: 1, wireType: WireType.LengthDelimited },
          { number: 2, wireType: value },
        ];
        found.push({ name, path: inside, fields: entry });
        if (field.message !== undefined) visit(field.message, [...inside, 2]);
      } else if (field.message !== undefined) visit(field.message, inside);
    }
  };
  visit(InboundMessageSchema, []);
  return found;
}

function wireTypeOf(field: DescField, whole = true): WireType {
  const delimited = [ScalarType.STRING, ScalarType.BYTES];
  if (field.message !== undefined || (whole && field.fieldKind === "map"))
    return WireType.LengthDelimited;
  if (field.scalar !== undefined && delimited.includes(field.scalar))
    return WireType.LengthDelimited;
  return field.scalar === ScalarType.DOUBLE ? WireType.Bit64 : WireType.Varint;
}

const WIRE_TYPES = [
  WireType.Varint,
  WireType.Bit64,
  WireType.LengthDelimited,
  WireType.StartGroup,
  WireType.Bit32,
];

/** A field of any wire type. A group holds what would be a field of the message outside of it. */
function writeField(writer: BinaryWriter, number: number, wireType: WireType, long: boolean): void {
  const tag = (type: WireType): void => {
    const value = (number << 3) | type;
    // A tag may take more bytes than it needs.
    const bytes = [value & 0x7f, value >> 7];
    if (long) writer.raw(Uint8Array.of((bytes[0] ?? 0) | 0x80, (bytes[1] ?? 0) | 0x80, 0));
    else writer.uint32(value);
  };
  tag(wireType);
  if (wireType === WireType.Varint) writer.raw(Uint8Array.of(0x85, 0x01));
  else if (wireType === WireType.Bit64) writer.fixed64(7);
  else if (wireType === WireType.Bit32) writer.fixed32(7);
  else if (wireType === WireType.LengthDelimited) writer.bytes(Uint8Array.of(1, 2, 3));
  else {
    writer.tag(1, WireType.LengthDelimited).string("inside");
    writer.tag(3, WireType.StartGroup).tag(3, WireType.EndGroup);
    tag(WireType.EndGroup);
  }
}

function frameAt(path: readonly number[], fill: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string("the id");
  for (const number of path) writer.tag(number, WireType.LengthDelimited).fork();
  fill(writer);
  for (const _ of path) writer.join();
  writer.tag(2, WireType.LengthDelimited).string("the channel");
  return writer.finish();
}

test.each(places())("$name", ({ path, fields }) => {
  const codec = codecFor("proto");
  const without = codec.decodeInbound(frameAt(path, () => {}));
  expect([without.id, without.channel]).toEqual(["the id", "the channel"]);
  let tried = 0;
  for (const { number, wireType } of fields) {
    for (const other of WIRE_TYPES.filter((type) => type !== wireType)) {
      for (const long of [false, true]) {
        const frame = frameAt(path, (writer) => writeField(writer, number, other, long));
        const before = frame.slice();
        expect([number, other, codec.decodeInbound(frame)]).toEqual([number, other, without]);
        expect(frame).toEqual(before);
        tried += 1;
      }
    }
  }
  expect(tried).toBe(fields.length * 8);
});

test("a frame without such a field is not copied", () => {
  const frame = frameAt([16], (writer) => writer.tag(1, WireType.LengthDelimited).string("event"));
  expect(wellShaped(InboundMessageSchema, frame)).toBe(frame);
});

test.each([
  ["a length beyond the frame", Uint8Array.of(0x0a, 0x7f)],
  ["a length beyond its message", Uint8Array.of(0x62, 0x02, 0x0a, 0x7f, 0x0a, 0x00)],
  ["a group with another end", Uint8Array.of(0x0b, 0x14)],
  ["a group without an end", Uint8Array.of(0x0b)],
  ["an end without a group", Uint8Array.of(0x0c)],
  ["a wire type that there is none", Uint8Array.of(0x0e)],
  ["field number 0", Uint8Array.of(0x00, 0x00)],
])("%s is BAD_REQUEST", (_, frame) => {
  expect(() => codecFor("proto").decodeInbound(frame)).toThrow("Failed to decode message");
});
