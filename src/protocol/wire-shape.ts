/**
 * A check of protobuf bytes for the one message that the runtime can be made to suffer from. It
 * copies a whole Struct each time the field that holds it stands again, so that a frame of 60 KiB
 * would keep a process for seconds. Of what clients send only `survey_response` holds a Struct.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** The first byte of the tag of field 21, and the low bits of its second. */
const TAG_START = 0xaa;
const TAG_REST = 0x01;
const STRUCT = "google.protobuf.Struct";
const MAX_DEPTH = 100;

/** Whether a `survey_response` can stand in a frame; nearly every frame says no at little cost. */
export function mayHoldStruct(frame: Uint8Array): boolean {
  let at = frame.indexOf(TAG_START);
  while (at >= 0) {
    if (((frame[at + 1] ?? 0) & 0x7f) === TAG_REST) return true;
    at = frame.indexOf(TAG_START, at + 1);
  }
  return false;
}

/**
 * @throws Error when a field has another wire type than its own, leaves the message around it, or
 * when a second Struct stands in the frame.
 */
export function checkShape(schema: DescMessage, frame: Uint8Array): void {
  walk(schema, new BinaryReader(frame), frame.length, 0, { structs: 0 });
}

interface Seen {
  structs: number;
}

function walk(
  schema: DescMessage,
  reader: BinaryReader,
  end: number,
  depth: number,
  seen: Seen,
): void {
  if (depth > MAX_DEPTH) throw new Error("the message nests too deep");
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = schema.fields.find((candidate) => candidate.number === number);
    if (field === undefined) {
      reader.skip(wireType, number, MAX_DEPTH);
      continue;
    }
    if (!mayHave(field, wireType)) throw new Error(`field ${number} has another wire type`);
    const inner = field.message;
    if (inner === undefined && field.fieldKind !== "map") {
      reader.skip(wireType, number);
      continue;
    }
    const innerEnd = reader.uint32() + reader.pos;
    if (innerEnd > end) throw new Error(`field ${number} leaves its message`);
    if (field.fieldKind === "map") walkEntry(inner, reader, innerEnd, depth + 1, seen);
    else if (inner !== undefined) {
      // Structs inside a Struct's values do not count: there the runtime copies nothing.
      if (inner.typeName === STRUCT && !schema.typeName.startsWith("google.protobuf.")) {
        seen.structs += 1;
        if (seen.structs > 1) throw new Error("a Struct stands twice");
      }
      walk(inner, reader, innerEnd, depth + 1, seen);
    }
  }
  if (reader.pos !== end) throw new Error("a field leaves its message");
}

/** An entry of a map: its key is field 1, its value field 2. */
function walkEntry(
  value: DescMessage | undefined,
  reader: BinaryReader,
  end: number,
  depth: number,
  seen: Seen,
): void {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number !== 2 || value === undefined) {
      reader.skip(wireType, number, MAX_DEPTH);
      continue;
    }
    if (wireType !== WireType.LengthDelimited) throw new Error("a map has another wire type");
    const innerEnd = reader.uint32() + reader.pos;
    if (innerEnd > end) throw new Error("a map's value leaves its entry");
    walk(value, reader, innerEnd, depth, seen);
  }
  if (reader.pos !== end) throw new Error("a map's entry leaves its message");
}

function mayHave(field: DescField, wireType: WireType): boolean {
  if (field.fieldKind === "map" || field.message !== undefined) {
    return wireType === WireType.LengthDelimited;
  }
  // Numbers may be packed in lists; which number type it is does not matter to a check of lengths.
  const bytes = field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES;
  return bytes
    ? wireType === WireType.LengthDelimited
    : field.fieldKind === "list" || wireType !== WireType.LengthDelimited;
}
