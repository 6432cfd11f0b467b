/** The order of channel names, by the bytes of their UTF-8: that of every store, and not a language's own order of strings. */
import { readPattern } from "./patterns.ts";

/** Negative where the left name comes first, 0 for the same name. Neither holds a lone surrogate. */
export function compareNames(left: string, right: string): number {
  const end = Math.min(left.length, right.length);
  for (let i = 0; i < end; i++) {
    const [one, other] = [left.charCodeAt(i), right.charCodeAt(i)];
    if (one !== other) return rank(one) - rank(other);
  }
  return left.length - right.length;
}

/** A part of the order. */
export interface NameRange {
  /** Inclusive. */
  readonly first: string;
  /** Exclusive; undefined where there is no end. */
  readonly end: string | undefined;
}

/** Where the channels of a pattern, or of a name, lie. Others may lie there as well. */
export function nameRange(pattern: string): NameRange {
  const { words } = readPattern(pattern);
  const star = words.indexOf("*");
  const literal = (star < 0 ? words : words.slice(0, star)).join(".");
  // The character after the dot.
  return literal === "" ? { first: "", end: undefined } : { first: literal, end: `${literal}/` };
}

/** A unit of UTF-16 in the order of UTF-8: pairs of surrogates stand for what comes last. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}
