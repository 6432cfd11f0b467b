/** How many bytes something takes on the wire. */
import type { Frame } from "./frames.ts";

const utf8 = new TextEncoder();

export function utf8Length(text: string): number {
  return utf8.encode(text).length;
}

export function frameLength(frame: Frame): number {
  return typeof frame === "string" ? utf8Length(frame) : frame.length;
}
