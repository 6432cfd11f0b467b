/** Compact frames whose beginning was read before. */
import { expand, headOf } from "../wire/compact.ts";
import type { OutboundFrame, WireCompact } from "../wire/frames.ts";
import { exact } from "../wire/values.ts";
import { read } from "./reader.ts";

/** The tag of `compact` in a frame, in its two bytes. */
const COMPACT = [0xe2, 0x02] as const;
/** The tags of what the frames of a publisher to a channel have in common: channel, epoch, replay and contexts. */
const LASTING: ReadonlySet<number> = new Set([0x0a, 0x12, 0x28, 0x32]);
const REPLAY = 0x28;
const MOST_HEADS = 16;

/** What nearly all frames begin with, in its bytes. */
let heads: readonly { readonly bytes: Uint8Array; readonly head: WireCompact }[] = [];

/**
 * A frame as a server writes compact ones, of which all is read that does not stand in the head of one before; undefined of any
 * other.
 *
 * @throws RangeError for bytes that are no message
 */
export function readByHead(frame: Uint8Array): OutboundFrame | undefined {
  if (frame[0] !== COMPACT[0] || frame[1] !== COMPACT[1]) return undefined;
  const [length, start] = varint(frame, 2);
  if (start + length !== frame.length) return undefined;
  let end = start;
  while (LASTING.has(frame[end] ?? 0)) {
    const [value, after] = varint(frame, end + 1);
    end = frame[end] === REPLAY ? after : after + value;
  }
  const {
    channel,
    epoch,
    replay,
    contexts,
    offset = 0,
    time = 0,
    messages = [],
  } = read(frame.subarray(end), "Compact") as WireCompact;
  // Written in another order: what comes later counts.
  if (channel ?? epoch ?? replay ?? contexts) return undefined;
  let known = heads.find(({ bytes }) => isAt(bytes, frame, start, end));
  if (known === undefined) {
    const bytes = frame.slice(start, end);
    known = { bytes, head: headOf(read(bytes, "Compact")) };
    heads = [known, ...heads.slice(0, MOST_HEADS - 1)];
  }
  return { publication: expand(known.head, messages, exact(offset), exact(time)) };
}

function isAt(bytes: Uint8Array, frame: Uint8Array, start: number, end: number): boolean {
  let equal = bytes.length === end - start;
  for (let i = 0; equal && i < bytes.length; i++) equal = bytes[i] === frame[start + i];
  return equal;
}

/** An integer, and where it ends; beyond all bytes where it is none of a length. */
function varint(bytes: Uint8Array, start: number): readonly [value: number, end: number] {
  let value = 0;
  let at = start;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[at++] ?? 0x80;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
  return [0, Number.POSITIVE_INFINITY];
}
