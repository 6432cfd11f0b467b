/**
 * What channels and pattern indexes have agreed on: which index knows of which channels and patterns, and
 * for how long a channel may publish on the answer of its index.
 */
import { isPattern } from "../../channels/names.ts";

/** Times of the agreement, in milliseconds. */
export interface LeaseTerms {
  /**
   * How long a channel may take messages on one answer of its index, counted from its question. The index
   * counts the same from its answer, which is later.
   */
  readonly leaseMs: number;
  /**
   * What an index waits beyond a lease that is over, because a clock may stand still while its object
   * works.
   */
  readonly marginMs: number;
}

export const LEASE_TERMS: LeaseTerms = { leaseMs: 60_000, marginMs: 5_000 };

/** Fixed for good: another number would have channels ask where nothing is registered. */
const INDEXES = 64;

/** The name of the index that a channel asks. */
export function indexOf(channel: string): string {
  return indexName(hash(firstWord(channel)) % INDEXES);
}

/** The indexes that know a pattern, or literal name: one, or all where any word may be the first. */
export function indexesOf(pattern: string): readonly string[] {
  if (!isPattern(firstWord(pattern))) return [indexOf(pattern)];
  return Array.from({ length: INDEXES }, (_, index) => indexName(index));
}

function indexName(index: number): string {
  return `index-${index}`;
}

function firstWord(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? name : name.slice(0, dot);
}

/** FNV-1a, by units of UTF-16. */
function hash(text: string): number {
  let mixed = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193);
  // Its low bits alone are poor.
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
