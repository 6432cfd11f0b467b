/**
 * A look at protobuf bytes before the runtime reads them, for what it takes for something else or suffers
 * from. It reads a known field by its number alone, in any wire type; such a field counts
 * as unknown here. And a frame with more than one Struct is slow to read, so that there may be one.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

const STRUCT = "google.protobuf.Struct";
const MAX_DEPTH = 100;
/** A number that no message has, for tags of two bytes and more. */
const NOBODYS = 2_047;

/** What may stand under the field numbers of a message. */
interface Shape {
  readonly fields: (FieldShape | undefined)[];
  /** The entry of a map, which the runtime does not count as a level of nesting. */
  readonly entry: boolean;
  /** A number of tags of one byte that the message does not have. */
  spare: number;
}

interface FieldShape {
  readonly wireType: WireType;
  /** Numbers may stand in a list one by one or all together. */
  readonly packable: boolean;
  /** Undefined for what is no message. */
  readonly inner: Shape | undefined;
  /** Whether it is a Struct of its own, and not one inside another's values, which are read fast. */
  readonly struct: boolean;
}

const shapes = new WeakMap<DescMessage, Shape>();

/**
 * The frame as the runtime reads it rightly: fields of another wire type than their own have got a number
 * that is unknown. Nearly every frame comes back as it is, without a copy.
 *
 * @throws Error when a field leaves the message around it, when messages nest too deep, or when a second
 * Struct stands in the frame.
 */
export function wellShaped(schema: DescMessage, frame: Uint8Array): Uint8Array {
  const walk: Walk = { reader: new BinaryReader(frame), frame, copy: undefined, structs: 0 };
  walkMessage(walk, shapeOf(schema), frame.length, 0);
  return walk.copy ?? frame;
}

interface Walk {
  readonly reader: BinaryReader;
  readonly frame: Uint8Array;
  /** Made for the first field that is renamed. */
  copy: Uint8Array | undefined;
  structs: number;
}

function walkMessage(walk: Walk, shape: Shape, end: number, depth: number): void {
  if (depth > MAX_DEPTH) throw new Error("the message nests too deep");
  const { reader } = walk;
  while (reader.pos < end) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    const field = shape.fields[number];
    if (field === undefined) {
      reader.skip(wireType, number, MAX_DEPTH - depth);
    } else if (wireType !== field.wireType && !(field.packable && isPacked(wireType))) {
      rename(walk, shape, start, reader.pos, wireType);
      skipRenamed(walk, shape, number, wireType, depth);
    } else if (field.inner === undefined) {
      reader.skip(wireType, number);
    } else {
      const innerEnd = reader.uint32() + reader.pos;
      if (innerEnd > end) throw new Error(`field ${number} leaves its message`);
      if (field.struct) {
        walk.structs += 1;
        if (walk.structs > 1) throw new Error("a Struct stands twice");
      }
      walkMessage(walk, field.inner, innerEnd, depth + (field.inner.entry ? 0 : 1));
    }
  }
  if (reader.pos !== end) throw new Error("a field leaves its message");
}

function isPacked(wireType: WireType): boolean {
  return wireType === WireType.LengthDelimited;
}

/** Gives the tag at a place a number that the message does not have, in as many bytes as it takes. */
function rename(walk: Walk, shape: Shape, start: number, end: number, wireType: WireType): void {
  walk.copy ??= walk.frame.slice();
  let rest = ((end - start === 1 ? shape.spare : NOBODYS) << 3) | wireType;
  for (let at = start; at < end; at++) {
    walk.copy[at] = (rest & 0x7f) | (at < end - 1 ? 0x80 : 0);
    rest >>>= 7;
  }
}

/** Passes the value of a renamed field; the end of a group has to have the new number as well. */
function skipRenamed(
  walk: Walk,
  shape: Shape,
  number: number,
  wireType: WireType,
  depth: number,
): void {
  const { reader } = walk;
  if (wireType !== WireType.StartGroup) {
    reader.skip(wireType, number);
    return;
  }
  for (;;) {
    const start = reader.pos;
    const [inside, type] = reader.tag();
    if (type === WireType.EndGroup) {
      if (inside !== number) throw new Error("a group has another end");
      rename(walk, shape, start, reader.pos, type);
      return;
    }
    reader.skip(type, inside, MAX_DEPTH - depth);
  }
}

function shapeOf(schema: DescMessage): Shape {
  const known = shapes.get(schema);
  if (known !== undefined) return known;
  const shape: Shape = { fields: [], entry: false, spare: 0 };
  // Before its fields: messages hold each other.
  shapes.set(schema, shape);
  for (const field of schema.fields) shape.fields[field.number] = fieldShape(schema, field);
  shape.spare = spareOf(shape);
  return shape;
}

function fieldShape(schema: DescMessage, field: DescField): FieldShape {
  const value = valueShape(field.message, field.scalar, field.enum !== undefined);
  if (field.fieldKind === "map") {
    const entry: Shape = { fields: [], entry: true, spare: 3 };
    entry.fields[1] = valueShape(undefined, field.mapKey, false);
    entry.fields[2] = value;
    return { wireType: WireType.LengthDelimited, packable: false, inner: entry, struct: false };
  }
  const inValue = schema.typeName.startsWith("google.protobuf.");
  return {
    ...value,
    packable: field.fieldKind === "list" && value.wireType !== WireType.LengthDelimited,
    struct: field.message?.typeName === STRUCT && !inValue,
  };
}

function valueShape(
  message: DescMessage | undefined,
  scalar: ScalarType | undefined,
  isEnum: boolean,
): FieldShape {
  const inner = message && shapeOf(message);
  const wireType =
    message === undefined ? wireTypeOf(isEnum ? undefined : scalar) : WireType.LengthDelimited;
  return { wireType, packable: false, inner, struct: false };
}

function wireTypeOf(scalar: ScalarType | undefined): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

function spareOf({ fields }: Shape): number {
  for (let number = 1; number < 16; number++) if (fields[number] === undefined) return number;
  throw new RangeError("a message has every number of one byte");
}
