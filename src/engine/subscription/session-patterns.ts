/**
 * The patterns of one session: hearing of their channels with the broker's and the authorizer's consent,
 * catching up with what was missed in each of them, leaving them.
 */
import { checkChannel } from "../../channels/names.ts";
import { PatternMap } from "../../channels/pattern-map.ts";
import { checkPattern, matches } from "../../channels/patterns.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { Subscription as SubscriptionMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_PATTERN_CHANNELS } from "../../protocol/limits.ts";
import { background } from "../background.ts";
import type { Position } from "../ports/broker.ts";
import type { ChannelSubscription } from "./channel-subscription.ts";
import type { PatternSubscription } from "./hub.ts";
import { higher, type Origin } from "./listener.ts";
import {
  channelOf,
  type DroppedRange,
  type OverflowedItem,
  PatternFeed,
  PatternReplayBuffer,
} from "./pattern-feed.ts";
import type { ChannelsHost, ChannelsOwner, JoinTerms } from "./ports.ts";
import { positionOf } from "./positions.ts";
import { budgetOf, type ReplayBudget } from "./recovery/found.ts";
import {
  type AskedByPatterns,
  askedByPatterns,
  currentHead,
  type Head,
  type JoinedPattern,
  type PatternRequest,
  recoverFromTime,
  rulesFor,
} from "./recovery/pattern-recovery.ts";
import { type LogReader, readRange, recover } from "./recovery/recovery.ts";
import { type Replay, readPresence, replay } from "./recovery/replay.ts";

/** What one look at many channels asks at the same time. */
const ASKED_TOGETHER = 32;
/** What is let out in one step of all that was held back. */
const LET_OUT_TOGETHER = 64;
/** Where a channel is that has not answered. */
const NOWHERE: Position = { epoch: "", offset: 0 };

/** The channels that the session has by itself, beside its patterns. */
export interface OwnChannels {
  has(channel: string): boolean;
  /** Brings what patterns that catch up ask of one. Resolves with false where the session has it by patterns alone. */
  catchUp(channel: string): Promise<boolean>;
  /** What the request may replay. */
  readonly budget: ReplayBudget;
}

export class SessionPatterns {
  readonly #host: ChannelsHost;
  readonly #owner: ChannelsOwner;
  readonly #patterns = new Map<string, PatternSubscription>();
  readonly #feed: PatternFeed;
  /** Those that are acknowledged and catch up, and the channels of each that need no more. */
  readonly #behind = new Map<JoinedPattern, Set<string>>();
  /** Settles when nothing is held back any more; undefined while nothing is. */
  #released: PromiseWithResolvers<void> | undefined;

  constructor(host: ChannelsHost, owner: ChannelsOwner) {
    this.#host = host;
    this.#owner = owner;
    this.#feed = new PatternFeed(owner, host.hub.tally);
  }

  get names(): Iterable<string> {
    return this.#patterns.keys();
  }

  /** Those that the broker has registered. */
  *granted(): Iterable<PatternSubscription> {
    for (const subscription of this.#patterns.values()) {
      if (subscription.granted) yield subscription;
    }
  }

  /** Whether no session of the node has had one of them for longer. */
  get leads(): boolean {
    for (const pattern of this.names) {
      if (this.#host.hub.firstOfPattern(pattern) === this.#owner) return true;
    }
    return false;
  }

  has(pattern: string): boolean {
    return this.#patterns.has(pattern);
  }

  /** Whether what is published to a channel reaches the session by one of them. */
  covers(channel: string): boolean {
    for (const { pattern, live } of this.#patterns.values()) {
      if (live && matches(pattern, channel)) return true;
    }
    return false;
  }

  /** Where the replay of a channel ended, where its live messages are not past it yet. */
  floor(channel: string): Position | undefined {
    return this.#feed.floor(channel);
  }

  /** Resolves when all that came of a channel has been given out; undefined where it has. */
  givenOut(channel: string): Promise<void> | undefined {
    return this.covers(channel) ? this.#released?.promise : undefined;
  }

  /** Makes a pattern live again after a sleep. */
  restore(pattern: string, origin: Origin): void {
    const subscription = { pattern, origin, granted: true, live: true, feed: this.#feed };
    this.#patterns.set(pattern, subscription);
    this.#host.hub.addPattern(subscription);
  }

  /**
   * Registers a pattern with the broker. Nothing comes of it until `settle`.
   *
   * @throws MessagingError
   */
  async join(entry: SubscriptionMessage, terms: JoinTerms): Promise<JoinedPattern | undefined> {
    const { channel: pattern, token } = entry;
    checkPattern(pattern);
    const recovery = patternRequest(entry, terms);
    const origin = await terms.authorize(pattern, token);
    if (this.#owner.ended) return undefined;
    const before = this.#patterns.get(pattern);
    const subscription = before ?? {
      pattern,
      origin,
      granted: false,
      live: false,
      feed: this.#feed,
    };
    subscription.origin = higher(subscription.origin, origin);
    if (before === undefined) {
      this.#host.hub.beginPattern(subscription);
      this.#patterns.set(pattern, subscription);
    }
    try {
      const { position } = await this.#host.broker.subscribePattern(pattern);
      if (this.#owner.ended) return undefined;
      if (!subscription.granted) subscription.heardFrom = position;
      subscription.granted = true;
      return { subscription, position, recovery };
    } catch (error) {
      if (before === undefined) this.leave(pattern);
      throw error;
    }
  }

  leave(pattern: string): void {
    const { hub, broker } = this.#host;
    if (!this.#patterns.delete(pattern)) return;
    for (const one of this.#behind.keys()) {
      if (one.subscription.pattern === pattern) this.#behind.delete(one);
    }
    if (hub.removePattern(this.#owner, pattern)) broker.unsubscribePattern(pattern);
    // Another session has to remember now how far this node is.
    else hub.firstOfPattern(pattern)?.changed();
  }

  leaveAll(): void {
    this.#released?.resolve();
    for (const pattern of [...this.#patterns.keys()]) this.leave(pattern);
  }

  /**
   * A subscription to a channel itself has ended, and the session has the channel by a pattern from now
   * on: it goes on where that one was.
   */
  takeOver({ channel, floor, buffer }: ChannelSubscription): void {
    if (!this.covers(channel)) return;
    const feed = this.#feed;
    if (floor !== undefined) feed.setFloor(channel, floor);
    const lost = buffer?.takeLostPresence() === true;
    const dropped = buffer?.takeDropped();
    if (dropped !== undefined) {
      feed.gap(channel, { reason: "unavailable", after: undefined, until: dropped });
    }
    for (const item of buffer?.items ?? []) feed.take(item);
    if (!lost) return;
    const { logger } = this.#host;
    if (feed.buffer !== undefined) feed.buffer.add({ channel, lost });
    else
      background(this.#tellPresence(channel), logger, "presence of a channel that was taken over");
  }

  /** Lets patterns that were granted bring what is published; what they missed must come first. */
  begin(joined: readonly JoinedPattern[]): void {
    for (const one of joined) {
      one.subscription.live = true;
      if (one.recovery === undefined) continue;
      this.#behind.set(one, new Set());
      this.#feed.buffer ??= new PatternReplayBuffer();
      this.#released ??= Promise.withResolvers();
    }
  }

  /** Whether patterns that catch up ask for what was missed of a channel. */
  asks(channel: string): boolean {
    return this.#asked(channel) !== undefined;
  }

  /** What they ask together; they ask it once. */
  takeAsked(channel: string): AskedByPatterns | undefined {
    const asked = this.#asked(channel);
    for (const [{ subscription }, done] of this.#behind) {
      if (matches(subscription.pattern, channel)) done.add(channel);
    }
    return asked;
  }

  /** Whether a pattern that does not catch up has brought all of a channel since a position in time. */
  hasBrought(channel: string, since: Position): boolean {
    for (const pattern of this.#heardBefore(since)) if (matches(pattern, channel)) return true;
    return false;
  }

  #asked(channel: string): AskedByPatterns | undefined {
    const asking = [...this.#behind].filter(([, done]) => !done.has(channel));
    return askedByPatterns(
      channel,
      asking.map(([one]) => one),
    );
  }

  /**
   * Lets each pattern that `begin` was given catch up with what was asked for, then lets out what came in
   * meanwhile.
   */
  async settle(joined: readonly JoinedPattern[], own: OwnChannels): Promise<void> {
    const behind = joined.filter(({ recovery }) => recovery !== undefined);
    if (behind.length === 0) return;
    for (const one of behind) {
      if (this.#owner.ended) return;
      await this.#recover(one, own);
    }
    for (const one of behind) this.#behind.delete(one);
    await this.#flushBuffer();
  }

  /**
   * The patterns that have brought all since a position. One that has begun later, with the same request or before it,
   * has brought nothing of the time between.
   */
  *#heardBefore(since: Position | undefined): Iterable<string> {
    const behind = new Set([...this.#behind.keys()].map(({ subscription }) => subscription));
    for (const subscription of this.#patterns.values()) {
      const { pattern, live, heardFrom } = subscription;
      if (!live || behind.has(subscription) || heardFrom === undefined) continue;
      if (heardFrom.epoch === since?.epoch && heardFrom.offset <= since.offset) yield pattern;
    }
  }

  async #recover(one: JoinedPattern, own: OwnChannels): Promise<void> {
    const { subscription, position, recovery } = one;
    const { pattern } = subscription;
    const { since, positions } = recovery ?? { since: undefined, positions: new Map() };
    const active = await this.#active(pattern, since);
    const others = new PatternMap<true>();
    for (const other of this.#heardBefore(since)) others.set(other, true);
    const all = [...new Set([...positions.keys(), ...active.channels])];
    for (let i = 0; i < all.length; i += ASKED_TOGETHER) {
      const some = all.slice(i, i + ASKED_TOGETHER);
      const together = await this.#host.turns.run(() =>
        some.filter((channel) => {
          if (this.#behind.get(one)?.has(channel) === true) return false;
          // What others have brought was not missed.
          return positions.has(channel) || others.match(channel).length === 0;
        }),
      );
      const isOwn = together.map((channel) => own.has(channel));
      const heads = await Promise.all(
        together.map((channel, k) => (isOwn[k] ? undefined : this.#head(channel))),
      );
      // What one request may replay is shared: one after the other.
      for (const [k, channel] of together.entries()) {
        if (this.#owner.ended || !this.#behind.has(one)) return;
        if (await own.catchUp(channel)) continue;
        const head = isOwn[k] ? await this.#head(channel) : heads[k];
        const asked = this.takeAsked(channel);
        if (asked !== undefined) await this.#catchUp(channel, head, asked, own.budget);
      }
    }
    if (this.#owner.ended || !this.#behind.has(one)) return;
    const { gap } = active;
    const told = gap && { reason: gap, after: since, until: position };
    this.#owner.tellRecovered(pattern, position, told);
  }

  async #head(channel: string): Promise<Head | undefined> {
    const head = await currentHead(this.#reader, channel);
    // What has come by now of another log is of one that has been lost.
    if (head !== undefined) this.#feed.buffer?.discard(channel, head.position.epoch);
    return head;
  }

  async #active(pattern: string, since: Position | undefined) {
    if (since === undefined) return { channels: [], gap: "unavailable" as const };
    const { broker, logger, turns } = this.#host;
    try {
      return await turns.run(() => broker.activeChannels(pattern, since, MAX_PATTERN_CHANNELS));
    } catch (error) {
      logger.warn("active channels cannot be read", { error: String(error) });
      return { channels: [], gap: "unavailable" as const };
    }
  }

  async #catchUp(
    channel: string,
    head: Head | undefined,
    asked: AskedByPatterns,
    budget: ReplayBudget,
  ): Promise<void> {
    const { last } = asked;
    if (this.#isOver(channel)) return;
    if (head === undefined) {
      const until = last ?? NOWHERE;
      this.#owner.tellRecovered(channel, until, { reason: "unavailable", after: last, until });
      return;
    }
    const { position } = head;
    const rules = rulesFor(this.#host, this.#owner, channel);
    const request = { since: last, rewind: 0 };
    const found =
      asked.last === undefined
        ? await recoverFromTime(this.#reader, channel, head, asked.absence, budget, rules)
        : await recover(this.#reader, channel, request, position, budget, rules.recovery);
    if (found === undefined || this.#isOver(channel)) return;
    this.#feed.setFloor(channel, position);
    const { entries } = found;
    await this.#replay({ channel, epoch: position.epoch, entries });
    if (!this.#isOver(channel)) this.#owner.tellRecovered(channel, position, found.gap);
  }

  /** Whether nothing more of a channel is for the client: rules take patterns away at any time. */
  #isOver(channel: string): boolean {
    return this.#owner.ended || !this.covers(channel);
  }

  /** Lets out what was held back, in its order, unless another request catches up; what was too much is read again. */
  async #flushBuffer(): Promise<void> {
    const feed = this.#feed;
    for (;;) {
      if (this.#owner.ended || this.#behind.size > 0) return;
      if (feed.buffer?.takeOverflow() === true) {
        await this.#tellOverflow();
        continue;
      }
      const next = await this.#host.turns.run(() => this.#flushSome());
      if (next === "enough") continue;
      if (next === undefined) {
        // What has come since the last look is held as well.
        if (feed.buffer?.empty === false) continue;
        break;
      }
      if ("lost" in next) await this.#tellPresence(next.channel);
      else await this.#reread(next.range);
    }
    feed.buffer = undefined;
    this.#released?.resolve();
    this.#released = undefined;
  }

  /**
   * Lets out some of what is held.
   *
   * @returns what has to be read before the rest goes out, `enough` where there is more, undefined where
   * nothing is left
   */
  #flushSome(): OverflowedItem | "enough" | undefined {
    for (let count = 0; count < LET_OUT_TOGETHER; count++) {
      if (this.#owner.ended || this.#behind.size > 0) return "enough";
      const item = this.#feed.buffer?.take();
      if (item === undefined) return undefined;
      // The pattern that brought it may have been left.
      if (!this.covers(channelOf(item))) continue;
      if ("range" in item || "lost" in item) return item;
      this.#feed.take(item, true);
    }
    return "enough";
  }

  /** So much came that not even its channels could be remembered: there may be any. */
  async #tellOverflow(): Promise<void> {
    const { broker, logger, turns } = this.#host;
    for (const { pattern, live } of [...this.#patterns.values()]) {
      if (!live || !this.#patterns.has(pattern)) continue;
      const until = await turns
        .run(() => broker.subscribePattern(pattern))
        .then(
          ({ position }) => position,
          (error: unknown) => {
            logger.warn("the time of a pattern cannot be read", { error: String(error) });
            return NOWHERE;
          },
        );
      if (this.#owner.ended) return;
      this.#owner.tellGap(pattern, { reason: "limit", after: undefined, until });
    }
  }

  async #tellPresence(channel: string): Promise<void> {
    const notice = await readPresence(this.#host, channel);
    if (notice === undefined || this.#isOver(channel)) return;
    this.#feed.buffer?.discardNotices(channel, notice.generation);
    this.#feed.presence(channel, notice, true);
  }

  async #reread({ channel, epoch, after, until }: DroppedRange): Promise<void> {
    const floor = this.#feed.floor(channel);
    const from = floor?.epoch === epoch ? Math.max(after, floor.offset) : after;
    if (from >= until) return;
    const end = { epoch, offset: until };
    const budget = budgetOf(this.#host.settings);
    const { entries, gap } = await readRange(this.#reader, channel, from, end, budget);
    if (this.#isOver(channel)) return;
    if (gap !== undefined) this.#owner.tellGap(channel, gap);
    await this.#replay({ channel, epoch, entries });
  }

  async #replay(found: Replay): Promise<void> {
    const isOver = (): boolean => this.#isOver(found.channel);
    await replay(this.#host, isOver, this.#feed, found);
  }

  get #reader(): LogReader {
    const { broker, logger, turns, reads } = this.#host;
    return { broker, logger, turns, reads, over: () => this.#owner.ended };
  }
}

/** What an entry asks to catch up with, or undefined. */
function patternRequest(
  { channel: pattern, recover, since, rewind, positions }: SubscriptionMessage,
  { extended, recovery }: JoinTerms,
): PatternRequest | undefined {
  if (!extended) return undefined;
  if (rewind > 0) throw new MessagingError("BAD_REQUEST", "a pattern cannot be rewound");
  const known = Object.entries(positions);
  if (!recover && since === undefined && known.length === 0) return undefined;
  if (!recovery) {
    throw new MessagingError("BAD_REQUEST", "recovery needs the capability recovery");
  }
  for (const [channel] of known) {
    checkChannel(channel);
    if (matches(pattern, channel)) continue;
    throw new MessagingError(
      "BAD_REQUEST",
      "a position is of a channel that the pattern is not for",
    );
  }
  return {
    since: since === undefined || since.epoch === "" ? undefined : positionOf(since),
    positions: new Map(known.map(([channel, position]) => [channel, positionOf(position)])),
  };
}
