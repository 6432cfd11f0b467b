/** What a subscription owes its client because patterns of the same request would have brought it. */
import { matches } from "../../channels/patterns.ts";
import type { Position } from "../ports/broker.ts";
import type { Absence } from "./pattern-recovery.ts";
import type { JoinedPattern } from "./session-patterns.ts";

/** What patterns of a request say of a channel that the same request asks for by itself. */
export type AskedByPattern = { readonly since: Position } | { readonly absence: Absence };

/**
 * What a subscription to a channel has to catch up with that has asked for nothing, where patterns of its request would
 * have caught up with the channel: it is the one that brings the channel now. Undefined where none would.
 */
export function askedByPatterns(
  channel: string,
  patterns: readonly JoinedPattern[],
): AskedByPattern | undefined {
  let absence: Absence | undefined;
  for (const { subscription, position, recovery } of patterns) {
    if (recovery === undefined || !matches(subscription.pattern, channel)) continue;
    const since = recovery.positions.get(channel);
    if (since !== undefined) return { since };
    const from = recovery.since?.offset;
    // Whoever was away for the shorter time of two has missed no more.
    if (from !== undefined && from > (absence?.from ?? -1))
      absence = { from, now: position.offset };
  }
  return absence && { absence };
}
