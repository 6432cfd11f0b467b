/**
 * The id of the event that a stream begins after, out of what a client knows: of a channel `EPOCH-OFFSET`, of a pattern
 * `*EPOCH-TIME` and `,CHANNEL=EPOCH-OFFSET` for the channels that were heard last.
 */
import { isPattern } from "../core/patterns.ts";
import type { Position, SubscriptionRequest } from "../wire/frames.ts";

/** Bounds of an id: N7 of SPEC.md. */
const MOST_CHANNELS = 32;
const MOST_BYTES = 2_048;

/** @returns empty for a stream that begins now */
export function eventId({ channel, since, positions = {} }: SubscriptionRequest): string {
  if (since === undefined) return "";
  if (!isPattern(channel)) return positionId(since);
  let id = `*${positionId(since)}`;
  for (const [name, position] of Object.entries(positions).slice(0, MOST_CHANNELS)) {
    const longer = `${id},${encodeURIComponent(name)}=${positionId(position)}`;
    if (longer.length > MOST_BYTES) break;
    id = longer;
  }
  return id;
}

/** What an id begins with that says nothing of where its client is in a pattern. */
export const LOST_PATTERN = "*?";

/** What the id of an event says of the pattern itself. */
export function patternPart(id: string): string {
  return id.replace(/,.*/, "");
}

function positionId({ epoch, offset = 0 }: Position): string {
  // A star begins the id of a pattern.
  return `${encodeURIComponent(epoch).replaceAll("*", "%2A")}-${offset}`;
}
