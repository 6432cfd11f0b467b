/** What a request for history asks for: the part of its URL after the question mark. */
import type { Position } from "../../engine/ports/broker.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import { positionId, readPosition } from "../events/event-id.ts";

/** Where a page begins: with what is kept, after all there is, or after a position. */
export type Start = "begin" | "now" | Position;

export interface HistoryQuery {
  readonly start: Start;
  /** Messages at most. */
  readonly limit: number;
  /** Whether an empty page waits for the next message. */
  readonly waits: boolean;
}

const BEGIN = "-1";
const NOW = "now";
/** So many digits that a later offset of the same epoch is a greater text: no offset that can be counted has more. */
const OFFSET_DIGITS = 16;

/**
 * Reads the query of a request.
 *
 * @throws MessagingError BAD_REQUEST for a value that says nothing, or for two of one name
 */
export function historyQuery(query: URLSearchParams): HistoryQuery {
  const offset = single(query, "offset");
  const live = single(query, "live");
  if (live !== undefined && live !== "long-poll") {
    const text = "live is long-poll; a stream of events is at /events";
    throw new MessagingError("BAD_REQUEST", text);
  }
  if (live !== undefined && offset === undefined) {
    throw new MessagingError("BAD_REQUEST", "a long poll names an offset");
  }
  return {
    start: startOf(offset),
    limit: limitOf(single(query, "limit")),
    waits: live !== undefined,
  };
}

/** A position as `offset` has it: the id of its message, with zeros before the number. */
export function offsetText({ epoch, offset }: Position): string {
  return positionId({ epoch, offset: `${offset}`.padStart(OFFSET_DIGITS, "0") });
}

function single(query: URLSearchParams, name: string): string | undefined {
  const [value, ...others] = query.getAll(name);
  if (others.length === 0) return value;
  throw new MessagingError("BAD_REQUEST", `${name} stands there more than once`);
}

function startOf(offset: string | undefined): Start {
  if (offset === undefined || offset === BEGIN) return "begin";
  if (offset === NOW) return "now";
  const position = readPosition(offset);
  if (position === undefined) {
    const text = "the offset is -1, now, or the id of a message, such as EPOCH-7";
    throw new MessagingError("BAD_REQUEST", text);
  }
  // One that cannot be counted lies beyond every head.
  const number = Math.min(Number(position.offset), Number.MAX_SAFE_INTEGER);
  return { epoch: position.epoch, offset: number };
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return MAX_BATCH_ENTRIES;
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= MAX_BATCH_ENTRIES) return limit;
  const range = `a whole number from 1 to ${MAX_BATCH_ENTRIES}`;
  throw new MessagingError("BAD_REQUEST", `the limit is ${range}`);
}
