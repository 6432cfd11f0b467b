/** How many bytes something takes on the wire. */
import type { Frame } from "./frames.ts";

const utf8 = new TextEncoder();
/** What is encoded to be measured is written here, so that no memory is made for it. */
const scratch = new Uint8Array(1 << 14);

/**
 * The bytes of a text as UTF-8. A text longer than the scratch memory is measured in pieces.
 *
 * @example
 * utf8Length("ä"); // 2
 */
export function utf8Length(text: string): number {
  const { read, written } = utf8.encodeInto(text, scratch);
  return read < text.length ? written + utf8Length(text.slice(read)) : written;
}

/** The bytes of a frame on the wire, which flow control counts. */
export function frameLength(frame: Frame): number {
  return typeof frame === "string" ? utf8Length(frame) : frame.length;
}
