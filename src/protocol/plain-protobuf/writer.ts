/**
 * Writes messages by hand into one shared memory. The runtime allocates memory for each message, which costs more than
 * the writing.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** A message that is larger is the last one in its memory, so that a large one does not keep it for good. */
const MAX_KEPT_BYTES = 64 * 1024;

let shared = new BinaryWriter();

/**
 * The bytes of one message.
 *
 * @param write puts its fields into the writer; calls no other `written`
 * @example
 * written((writer) => writeText(writer, 1, "a")); // 0a 01 61
 */
export function written(write: (writer: BinaryWriter) => void): Uint8Array<ArrayBuffer> {
  try {
    write(shared);
    const bytes = shared.finish();
    if (bytes.length > MAX_KEPT_BYTES) shared = new BinaryWriter();
    return bytes;
  } catch (error) {
    // What was begun is in there.
    shared = new BinaryWriter();
    throw error;
  }
}

/** A text that is left out where it is empty. */
export function writeText(writer: BinaryWriter, field: number, text: string): void {
  if (text !== "") writer.tag(field, WireType.LengthDelimited).string(text);
}

/** A number that is left out where it is 0. */
export function writeUint64(writer: BinaryWriter, field: number, value: bigint): void {
  if (value !== 0n) writer.tag(field, WireType.Varint).uint64(value);
}

/** A map of texts. */
export function writeTexts(
  writer: BinaryWriter,
  field: number,
  texts: Readonly<Record<string, string>>,
): void {
  for (const name of Object.keys(texts)) {
    writer.tag(field, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name);
    writer.tag(2, WireType.LengthDelimited).string(texts[name] as string);
    writer.join();
  }
}
