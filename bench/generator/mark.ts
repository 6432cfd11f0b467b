/**
 * The mark in each publish: a fixed prefix, when it was due, and its number. Its length divides by three, so that it is
 * found in base64 as well, where the data begins with it.
 */

const PREFIX = "~mark~";
const TIME_DIGITS = 7;
const SEQUENCE_DIGITS = 8;
const RADIX = 32;
const MARK_LENGTH = PREFIX.length + TIME_DIGITS + SEQUENCE_DIGITS;
/** Ticks after which the time begins anew: an hour. */
const TIME_SPAN = RADIX ** TIME_DIGITS;
/** Ticks in a millisecond. */
export const TICKS = 10_000;

/** @param at as `performance.now()` counts in this process */
export function markOf(at: number, sequence: number): string {
  const time = Math.floor(at * TICKS) % TIME_SPAN;
  return (
    PREFIX +
    time.toString(RADIX).padStart(TIME_DIGITS, "0") +
    sequence.toString(RADIX).padStart(SEQUENCE_DIGITS, "0")
  );
}

/** Ticks since a mark was due. */
export function ticksSince(time: number, now: number): number {
  const ticks = (Math.floor(now * TICKS) % TIME_SPAN) - time;
  return ticks < 0 ? ticks + TIME_SPAN : ticks;
}

/** How marks stand in what a client receives. */
export interface Writing {
  readonly prefix: Buffer;
  readonly length: number;
  time(data: Buffer, at: number): number;
  sequence(data: Buffer, at: number): number;
}

const DIGITS = new Uint8Array(256);
for (let digit = 0; digit < RADIX; digit++) {
  DIGITS[digit.toString(RADIX).charCodeAt(0)] = digit;
}

function digits(data: Buffer, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * RADIX + (DIGITS[data[at] ?? 0] ?? 0);
  return value;
}

const PLAIN: Writing = {
  prefix: Buffer.from(PREFIX),
  length: MARK_LENGTH,
  time: (data, at) => digits(data, at + PREFIX.length, at + PREFIX.length + TIME_DIGITS),
  sequence: (data, at) => digits(data, at + PREFIX.length + TIME_DIGITS, at + MARK_LENGTH),
};

const decoded = Buffer.alloc(MARK_LENGTH);
function decode(data: Buffer, at: number): Buffer {
  decoded.write(data.toString("latin1", at, at + BASE64.length), "base64");
  return decoded;
}

const BASE64: Writing = {
  prefix: Buffer.from(Buffer.from(PREFIX).toString("base64")),
  length: (MARK_LENGTH / 3) * 4,
  time: (data, at) => PLAIN.time(decode(data, at), 0),
  sequence: (data, at) => PLAIN.sequence(decode(data, at), 0),
};

export const WRITINGS: readonly Writing[] = [PLAIN, BASE64];
