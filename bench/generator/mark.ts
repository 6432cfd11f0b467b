/**
 * The mark in each publish: a fixed prefix, when it was due, and its number. Its length divides by three, so that it is
 * found in base64 as well, where the data begins with it.
 */

const PREFIX = "~mark~";
/** Of the time and of the number: 30 bits each, for which integers are enough. */
const DIGITS = 6;
const RADIX = 32;
const MARK_LENGTH = PREFIX.length + 2 * DIGITS;
/** Ticks after which the time begins anew: 107 seconds. Numbers do not. */
const SPAN = RADIX ** DIGITS;
/** Ticks in a millisecond. */
export const TICKS = 10_000;

/** @param at as `performance.now()` counts in this process */
export function markOf(at: number, sequence: number): string {
  const [time, number] = [Math.floor(at * TICKS) % SPAN, sequence].map((value) =>
    value.toString(RADIX).padStart(DIGITS, "0"),
  );
  return `${PREFIX}${time}${number}`;
}

/** Ticks since a mark was due. */
export function ticksSince(time: number, now: number): number {
  const ticks = (Math.floor(now * TICKS) % SPAN) - time;
  return ticks < 0 ? ticks + SPAN : ticks;
}

/** How marks stand in what a client receives. */
export interface Writing {
  readonly prefix: Buffer;
  readonly length: number;
  time(data: Buffer, at: number): number;
  sequence(data: Buffer, at: number): number;
}

const VALUES = new Uint8Array(256);
for (let value = 0; value < RADIX; value++) VALUES[value.toString(RADIX).charCodeAt(0)] = value;

function number(data: Buffer, from: number): number {
  let value = 0;
  for (let at = from; at < from + DIGITS; at++) {
    value = (value << 5) | (VALUES[data[at] as number] as number);
  }
  return value;
}

const PLAIN: Writing = {
  prefix: Buffer.from(PREFIX),
  length: MARK_LENGTH,
  time: (data, at) => number(data, at + PREFIX.length),
  sequence: (data, at) => number(data, at + PREFIX.length + DIGITS),
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
