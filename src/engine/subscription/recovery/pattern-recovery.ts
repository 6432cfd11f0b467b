/**
 * What a subscriber of a pattern missed in one channel: after its position where it has one, else from
 * the time of the pattern's last acknowledgement on.
 */
import { matches } from "../../../channels/patterns.ts";
import type { ChannelRules } from "../../../channels/rules.ts";
import type { Position } from "../../ports/broker.ts";
import type { PatternSubscription } from "../hub.ts";
import type { ChannelsHost, ChannelsOwner } from "../ports.ts";
import type { RecoveryResult, ReplayBudget } from "./found.ts";
import { type LogReader, onlyGap, readPage, readRange, recover } from "./recovery.ts";

/** How far the clocks of two channels may lie apart, or one be set back, in milliseconds. */
const CLOCK_MARGIN_MS = 30_000;

/** What a channel says of itself before anything is replayed. */
export interface Head {
  readonly position: Position;
  /** The oldest entry of its history; its time in Unix milliseconds. */
  readonly oldest: { readonly offset: number; readonly time: number } | undefined;
}

/** Undefined where the channel does not answer. */
export async function readHead(reader: LogReader, channel: string): Promise<Head | undefined> {
  const page = await readPage(reader, channel, { limit: 1 });
  if (page === undefined) return undefined;
  const { position, entries } = page;
  const [entry] = entries;
  const oldest = entry && { offset: Number(entry.offset), time: Number(entry.time) };
  return { position, oldest };
}

/**
 * The same where deliveries come meanwhile: an answer may be overtaken by what a later log has delivered. Where the
 * node is in another log than the answer, the channel is asked until it says so again, or what the node knows.
 */
export async function currentHead(reader: LogReader, channel: string): Promise<Head | undefined> {
  let head = await readHead(reader, channel);
  for (;;) {
    const known = reader.broker.position(channel)?.epoch;
    const epoch = head?.position.epoch;
    if (head === undefined || known === undefined || known === epoch) return head;
    head = await readHead(reader, channel);
    if (head?.position.epoch === epoch) return head;
  }
}

/** When a client that comes back last heard of a pattern's channels, and what time it is; Unix milliseconds. */
export interface Absence {
  readonly from: number;
  readonly now: number;
}

/**
 * What was missed of a channel that the client has never seen. All of a log that began since is proof,
 * unless there was time enough to forget one before it; of an older one nobody can say what the client
 * has of it.
 *
 * @returns undefined where nothing was published since
 */
export async function recoverFromTime(
  reader: LogReader,
  channel: string,
  { position, oldest }: Head,
  { from, now }: Absence,
  budget: ReplayBudget,
  { recovery, positionTtlMs }: ChannelRules,
): Promise<RecoveryResult | undefined> {
  const { epoch, offset } = position;
  const start = { epoch, offset: 0 };
  const forgettable = now - from >= positionTtlMs;
  if (offset === 0) {
    // A log that is not kept may have begun again since.
    if (!recovery) return onlyGap("unavailable", undefined, start);
    return forgettable ? onlyGap("expired", undefined, start) : undefined;
  }
  if (!recovery) return onlyGap("unavailable", undefined, position);
  if (oldest !== undefined && oldest.offset === 1 && oldest.time >= from) {
    const found = await recover(
      reader,
      channel,
      { since: start, rewind: 0 },
      position,
      budget,
      true,
    );
    if (found.gap !== undefined || !forgettable) return found;
    return { ...found, gap: { reason: "expired", after: undefined, until: start } };
  }
  // What is only looked at is not replayed, and takes nothing away from other channels.
  const most = { ...budget };
  const found = await readRange(reader, channel, 0, position, most, from - CLOCK_MARGIN_MS);
  if (found.entries.length === 0 && found.gap === undefined) return undefined;
  const entries = found.entries.filter(({ time }) => Number(time) >= from);
  budget.messages -= entries.length;
  for (const { body } of entries) budget.bytes -= body?.event.length ?? 0;
  const first = Number(entries[0]?.offset ?? offset + 1);
  const limited = found.gap?.reason === "limit" && entries.length === found.entries.length;
  const reason = limited ? "limit" : "unavailable";
  return { entries, gap: { reason, after: undefined, until: { epoch, offset: first - 1 } } };
}

/** A pattern that was granted, and what its client wants to catch up with. */
export interface JoinedPattern {
  readonly subscription: PatternSubscription;
  readonly position: Position;
  readonly recovery: PatternRequest | undefined;
}

export interface PatternRequest {
  /** What the last acknowledgement of the pattern said; undefined where the client has none. */
  readonly since: Position | undefined;
  /** The last position that the client has of each channel. */
  readonly positions: ReadonlyMap<string, Position>;
}

/** The last position that the client has in the channel; where it has none, since when it was away. */
export type AskedByPatterns =
  | { readonly last: Position }
  | { readonly last?: undefined; readonly since: Position; readonly absence: Absence };

/**
 * What they ask together: of several positions the lowest, of several absences the longest, so that none of them lacks
 * what another one has. Undefined where none of them asks.
 */
export function askedByPatterns(
  channel: string,
  patterns: Iterable<JoinedPattern>,
): AskedByPatterns | undefined {
  let seen: Position | undefined;
  let unseen: (AskedByPatterns & { readonly since: Position }) | undefined;
  for (const { subscription, position, recovery } of patterns) {
    if (recovery === undefined || !matches(subscription.pattern, channel)) continue;
    const { since, positions } = recovery;
    const last = positions.get(channel);
    if (last !== undefined) {
      const isLower = last.epoch === seen?.epoch && last.offset < seen.offset;
      if (seen === undefined || isLower) seen = last;
    }
    if (since !== undefined && since.offset < (unseen?.since.offset ?? Number.POSITIVE_INFINITY)) {
      unseen = { since, absence: { from: since.offset, now: position.offset } };
    }
  }
  return seen === undefined ? unseen : { last: seen };
}

/** What a channel offers a session: none recovers what it may not read. */
export function rulesFor(
  { authorizer, rules }: ChannelsHost,
  { client }: ChannelsOwner,
  channel: string,
): ChannelRules {
  const all = rules.of(channel);
  if (client.admitted) return all;
  const refusal = authorizer.refusal(client.subject, "history", channel);
  return refusal === undefined ? all : { ...all, recovery: false };
}
