/** What reads protobuf without the runtime: tags, and messages that are all of some bytes. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** The tag of a field that says how long it is. */
export function tag(field: number): number {
  return (field << 3) | WireType.LengthDelimited;
}

/** The next tag; 0, which is none, where it takes more bytes than any of those that are read here. */
export function nextTag(reader: BinaryReader): number {
  const start = reader.pos;
  const next = reader.uint32();
  return reader.pos - start > 2 ? 0 : next;
}

/**
 * What a reader finds in all of the bytes.
 *
 * @returns undefined where they are left to the runtime: they hold what is seldom, or wrong
 * @example
 * whole(bytes, readCloudEvent) ?? fromBinary(CloudEventSchema, bytes);
 */
export function whole<T>(
  bytes: Uint8Array,
  read: (reader: BinaryReader, end: number) => T | undefined,
): T | undefined {
  try {
    return read(new BinaryReader(bytes), bytes.length);
  } catch {
    return undefined;
  }
}
