/** What patterns that catch up ask of one channel. */
import { matches } from "../../channels/patterns.ts";
import type { ChannelRules } from "../../channels/rules.ts";
import type { Position } from "../ports/broker.ts";
import type { Absence } from "./pattern-recovery.ts";
import type { ChannelsHost } from "./ports.ts";
import type { JoinedPattern, PatternRequest } from "./session-patterns.ts";

/** The last position that the client has in the channel; where it has none, since when it was away. */
export type AskedByPatterns = Pick<PatternRequest, "mayReadHistory"> &
  (
    | { readonly last: Position }
    | { readonly last?: undefined; readonly since: Position; readonly absence: Absence }
  );

/**
 * What they ask together: of several positions the lowest, of several absences the longest, so that none of them lacks
 * what another one has. Undefined where none of them asks.
 */
export function askedByPatterns(
  channel: string,
  patterns: Iterable<JoinedPattern>,
): AskedByPatterns | undefined {
  let seen: (AskedByPatterns & { readonly last: Position }) | undefined;
  let unseen: (AskedByPatterns & { readonly since: Position }) | undefined;
  for (const { subscription, position, recovery } of patterns) {
    if (recovery === undefined || !matches(subscription.pattern, channel)) continue;
    const { since, positions, mayReadHistory } = recovery;
    const last = positions.get(channel);
    if (last !== undefined) {
      const isLower = last.epoch === seen?.last.epoch && last.offset < seen.last.offset;
      if (seen === undefined || isLower) seen = { last, mayReadHistory };
    }
    if (since !== undefined && since.offset < (unseen?.since.offset ?? Number.POSITIVE_INFINITY)) {
      unseen = { since, absence: { from: since.offset, now: position.offset }, mayReadHistory };
    }
  }
  return seen ?? unseen;
}

/** What a channel offers a session: none recovers what it may not read. */
export function rulesFor(
  { rules }: ChannelsHost,
  channel: string,
  { mayReadHistory }: AskedByPatterns,
): ChannelRules {
  const all = rules.of(channel);
  return mayReadHistory(channel) ? all : { ...all, recovery: false };
}
