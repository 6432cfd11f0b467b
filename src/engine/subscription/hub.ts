/**
 * Who on this node listens to what, by channel and by pattern. The hub resolves a channel to sessions and
 * hands them a batch, each once however many of its subscriptions match; it knows nothing of brokers or
 * sockets. A session that is subscribed to a channel by itself takes it from there, whatever its patterns.
 */
import { PatternMap } from "../../channels/pattern-map.ts";
import type { Member, MemberSession } from "../../channels/presence.ts";
import { SmallMap } from "../../channels/small-map.ts";
import type { Encoding } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import type { PublicationBatch, SizedFrame, Variant } from "../../protocol/publication-frames.ts";
import type { TransientBatch } from "../../protocol/transient-frames.ts";
import type { LogGap, Position } from "../ports/broker.ts";
import type { PatternFeed, PatternItem } from "./pattern-feed.ts";
import type { PresenceNotice, ReplayBuffer } from "./replay-buffer.ts";

/** What the hub needs of a session. */
export interface Subscriber {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly encoding: Encoding;
  readonly variant: Variant;
  /** Whether it hears of joins and leaves. */
  readonly followsPresence: boolean;
  /** Whether it may know who is in a channel. */
  mayFollowPresence(channel: string): boolean;
  /** Bytes that frames have to keep to where they can be divided; 0 where the client has not asked. */
  readonly maxFrameBytes: number;
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
  /** Tells of missing messages, where the client knows such a thing. */
  tellGap(channel: string, gap: LogGap): void;
  /** What its host must remember has changed. */
  changed(): void;
}

/**
 * Whose doing a subscription is: the client has asked for it, its token or its authenticator has given it, or the
 * application has subscribed the session. Each stands above those before.
 */
export const ORIGINS = ["client", "given", "server"] as const;
export type Origin = (typeof ORIGINS)[number];

/** That of two which stands above the other. */
export function higher(left: Origin, right: Origin): Origin {
  return ORIGINS.indexOf(left) > ORIGINS.indexOf(right) ? left : right;
}

/** One session's interest in one channel. */
export interface Subscription {
  readonly channel: string;
  origin: Origin;
  ephemeral: boolean;
  /** Whether the broker has been told that the session is present in the channel. */
  member: boolean;
  /** Live entries at or below this offset are not for this session. Undefined until registered. */
  floor: Position | undefined;
  /** Presence changes at or below this generation are not for this session. */
  generation: number;
  /** What waits until the session has been told all that comes before; undefined once live. */
  buffer: ReplayBuffer | undefined;
}

/** One session's interest in the channels of one pattern. */
export interface PatternSubscription {
  readonly pattern: string;
  origin: Origin;
  /** Whether the broker has registered it. */
  granted: boolean;
  /** Whether it has been acknowledged; until then nothing comes of it. */
  live: boolean;
  /** From which time of the server on the session has heard it; undefined until it is granted, and after a sleep. */
  heardFrom?: Position;
  /** The same for all patterns of a session. */
  readonly feed: PatternFeed;
}

/** The sessions of one pattern, those first who came first. */
type PatternListeners = SmallMap<Subscriber, PatternSubscription>;

/** Who hears what on a node, for hosts and programs. */
export type Audience = Pick<
  Hub,
  | "delivered"
  | "has"
  | "hasActiveSubscriber"
  | "hasAnySubscriber"
  | "hasDirectSubscriber"
  | "hasPattern"
  | "hasPatternPresenceFollower"
  | "hasPresenceFollower"
  | "members"
  | "patternCount"
  | "patterns"
  | "size"
  | "subscribers"
  | "subscriptions"
>;

const NOBODY: readonly PatternListeners[] = [];

export class Hub {
  readonly #channels = new Map<string, SmallMap<Subscriber, Subscription>>();
  readonly #patterns = new PatternMap<PatternListeners>();
  #subscriptions = 0;
  #delivered = 0;
  /** Looks at all patterns of a channel; each session is met once in each. */
  #looks = 0;

  /** Number of channels with at least one subscriber. */
  get size(): number {
    return this.#channels.size;
  }

  /** Number of patterns with at least one subscriber. */
  get patternCount(): number {
    return this.#patterns.size;
  }

  /** Number of subscriptions, over all channels and patterns. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** Messages written to sessions since the start: one per message and subscriber. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Adds or replaces a session's interest in a channel. */
  add(subscriber: Subscriber, subscription: Subscription): void {
    let subscribers = this.#channels.get(subscription.channel);
    if (subscribers === undefined) {
      subscribers = new SmallMap();
      this.#channels.set(subscription.channel, subscribers);
    }
    if (!subscribers.has(subscriber)) this.#subscriptions += 1;
    subscribers.set(subscriber, subscription);
  }

  /** Removes it. Returns true when that was the channel's last subscriber here. */
  remove(subscriber: Subscriber, channel: string): boolean {
    const subscribers = this.#channels.get(channel);
    if (subscribers === undefined || !subscribers.delete(subscriber)) return false;
    this.#subscriptions -= 1;
    if (subscribers.size > 0) return false;
    this.#channels.delete(channel);
    return true;
  }

  /** Adds a session's interest in a pattern. */
  addPattern(subscriber: Subscriber, subscription: PatternSubscription): void {
    let listeners = this.#patterns.get(subscription.pattern);
    if (listeners === undefined) {
      listeners = new SmallMap();
      this.#patterns.set(subscription.pattern, listeners);
    }
    if (!listeners.has(subscriber)) this.#subscriptions += 1;
    listeners.set(subscriber, subscription);
  }

  /** Removes it. Returns true when that was the pattern's last subscriber here. */
  removePattern(subscriber: Subscriber, pattern: string): boolean {
    const listeners = this.#patterns.get(pattern);
    if (listeners === undefined || !listeners.delete(subscriber)) return false;
    this.#subscriptions -= 1;
    if (listeners.size > 0) return false;
    this.#patterns.delete(pattern);
    return true;
  }

  /** The patterns that anyone here wants. */
  *patterns(): Iterable<string> {
    for (const [pattern] of this.#patterns) yield pattern;
  }

  hasPattern(pattern: string): boolean {
    return this.#patterns.has(pattern);
  }

  /** Whether a session with this pattern wants to hear who comes to its channels and goes. */
  hasPatternPresenceFollower(pattern: string): boolean {
    for (const { followsPresence } of this.#patterns.get(pattern)?.keys() ?? []) {
      if (followsPresence) return true;
    }
    return false;
  }

  /** The session that has had a pattern for the longest time. */
  firstOfPattern(pattern: string): Subscriber | undefined {
    for (const subscriber of this.#patterns.get(pattern)?.keys() ?? []) return subscriber;
    return undefined;
  }

  /** Whether anyone here is subscribed to the channel, by itself or by a pattern. */
  hasAnySubscriber(channel: string): boolean {
    return this.hasDirectSubscriber(channel) || this.#listeners(channel).length > 0;
  }

  /** Whether anyone here is subscribed to the channel by its name. */
  hasDirectSubscriber(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** @deprecated Use `hasDirectSubscriber`. */
  has(channel: string): boolean {
    return this.hasDirectSubscriber(channel);
  }

  /** The session that has been subscribed to the channel for the longest time, else by a pattern. */
  first(channel: string): Subscriber | undefined {
    for (const subscriber of this.#channels.get(channel)?.keys() ?? []) return subscriber;
    for (const listeners of this.#listeners(channel)) {
      for (const subscriber of listeners.keys()) return subscriber;
    }
    return undefined;
  }

  /** The sessions here that want the channel, each once. */
  subscribers(channel: string): readonly Subscriber[] {
    const found = new Set(this.#channels.get(channel)?.keys());
    for (const [subscriber] of this.#byPattern(channel)) found.add(subscriber);
    return [...found];
  }

  /** Whether a subscription here has begun, by name or by a pattern: it may be owed what is on the way. */
  hasActiveSubscriber(channel: string): boolean {
    for (const { floor } of this.#channels.get(channel)?.values() ?? []) {
      if (floor !== undefined) return true;
    }
    return this.#listeners(channel).length > 0;
  }

  /** The sessions here that are present in the channel. */
  *members(channel: string): Iterable<MemberSession> {
    for (const [{ id, userId, clientId }, { member }] of this.#channels.get(channel) ?? []) {
      if (member) yield { sessionId: id, userId, clientId };
    }
  }

  /** Whether a session here wants to hear who comes to the channel and goes. */
  hasPresenceFollower(channel: string): boolean {
    for (const subscriber of this.#channels.get(channel)?.keys() ?? []) {
      if (subscriber.followsPresence) return true;
    }
    return false;
  }

  /** Writes a batch to everyone who wants it, in one synchronous sweep. */
  broadcast(batch: PublicationBatch): void {
    // A session that ends in the sweep leaves the map, which its iteration allows.
    for (const [subscriber, subscription] of this.#channels.get(batch.channel) ?? []) {
      if (subscription.buffer !== undefined) subscription.buffer.add({ batch });
      else this.#write(subscriber, subscription, batch);
    }
    const all = this.#listeners(batch.channel);
    if (all.length > 0) this.#broadcastByPattern(batch, all);
  }

  /** As `#byPattern`, without anything made for each session: this is the hot path. */
  #broadcastByPattern(batch: PublicationBatch, all: readonly PatternListeners[]): void {
    const exact = this.#channels.get(batch.channel);
    this.#looks += 1;
    const look = this.#looks;
    for (let i = 0; i < all.length; i++) {
      for (const [subscriber, { live, feed }] of all[i] ?? []) {
        if (!live || feed.met === look) continue;
        feed.met = look;
        if (exact?.has(subscriber)) continue;
        if (feed.buffer !== undefined) feed.buffer.add({ batch });
        else this.feed(subscriber, feed, batch);
      }
    }
  }

  /** Writes a batch to a session that has the channel by a pattern. */
  feed(subscriber: Subscriber, feed: PatternFeed, batch: PublicationBatch): void {
    this.#frames(subscriber, batch, feed.after(batch));
  }

  /** Hands messages outside of the log to everyone who wants their channel. */
  transmit(transients: TransientBatch): void {
    const { channel } = transients;
    for (const [subscriber, { buffer }] of this.#channels.get(channel) ?? []) {
      if (buffer !== undefined) buffer.add({ transients });
      else this.hand(subscriber, transients);
    }
    for (const [subscriber, feed] of this.#byPattern(channel)) {
      if (feed.buffer !== undefined) feed.buffer.add({ transients });
      else this.hand(subscriber, transients);
    }
  }

  /** Writes messages outside of the log to one subscriber. */
  hand(subscriber: Subscriber, transients: TransientBatch): void {
    const frames = transients.frames(subscriber.variant, subscriber.maxFrameBytes);
    if (frames === undefined) {
      subscriber.close(DISCONNECTS.inappropriateProtocol);
      return;
    }
    for (const frame of frames) subscriber.write(frame);
    this.#delivered += transients.messages.length;
  }

  /** Tells everyone who is behind it that a part of the log cannot be had. */
  gap(channel: string, gap: LogGap): void {
    for (const [subscriber, subscription] of this.#channels.get(channel) ?? []) {
      if (subscription.buffer !== undefined) subscription.buffer.add({ gap });
      else skip(subscriber, subscription, gap);
    }
    for (const [subscriber, feed] of this.#byPattern(channel)) {
      if (feed.buffer !== undefined) feed.buffer.add({ channel, gap });
      else feedGap(subscriber, feed, channel, gap);
    }
  }

  /** Tells everyone with a pattern that channels may have been missed which nobody here knows. */
  patternGap(pattern: string, gap: LogGap): void {
    for (const [subscriber, { live }] of this.#patterns.get(pattern) ?? []) {
      if (live) subscriber.tellGap(pattern, gap);
    }
  }

  /** Tells everyone who follows presence. */
  notify(channel: string, notice: PresenceNotice): void {
    for (const [subscriber, subscription] of this.#channels.get(channel) ?? []) {
      if (!hearsOfMembers(subscriber, channel)) continue;
      if (subscription.buffer !== undefined) subscription.buffer.add({ notice });
      else notify(subscriber, subscription, notice);
    }
    for (const [subscriber, feed] of this.#byPattern(channel)) {
      if (!hearsOfMembers(subscriber, channel)) continue;
      if (feed.buffer !== undefined) feed.buffer.add({ channel, notice });
      else feedNotice(subscriber, notice);
    }
  }

  /** Writes a batch to one subscriber alone. */
  replay(subscriber: Subscriber, batch: PublicationBatch): void {
    this.#frames(subscriber, batch, 0);
  }

  /**
   * Lets a session's patterns have what a subscription to the channel itself has buffered and will not
   * deliver any more.
   */
  passBufferToPatterns(
    subscriber: Subscriber,
    { channel, buffer }: Subscription,
    feed: PatternFeed,
  ): void {
    const dropped = buffer?.takeDropped();
    if (dropped !== undefined) {
      this.#toFeed(subscriber, feed, {
        channel,
        gap: { reason: "unavailable", after: undefined, until: dropped },
      });
    }
    for (const item of buffer?.items ?? []) {
      const ofChannel = "batch" in item || "transients" in item ? item : { channel, ...item };
      this.#toFeed(subscriber, feed, ofChannel);
    }
  }

  #toFeed(subscriber: Subscriber, feed: PatternFeed, item: PatternItem): void {
    if (feed.buffer !== undefined) feed.buffer.add(item);
    else if ("batch" in item) this.feed(subscriber, feed, item.batch);
    else if ("transients" in item) this.hand(subscriber, item.transients);
    else if ("gap" in item) feedGap(subscriber, feed, item.channel, item.gap);
    else if ("notice" in item) feedNotice(subscriber, item.notice);
  }

  #listeners(channel: string): readonly PatternListeners[] {
    return this.#patterns.size === 0 ? NOBODY : this.#patterns.match(channel);
  }

  /** The sessions that have a channel by patterns alone, each once. */
  *#byPattern(channel: string): Iterable<[Subscriber, PatternFeed]> {
    const all = this.#listeners(channel);
    if (all.length === 0) return;
    const exact = this.#channels.get(channel);
    this.#looks += 1;
    const look = this.#looks;
    for (const listeners of all) {
      for (const [subscriber, { live, feed }] of listeners) {
        if (!live || feed.met === look) continue;
        feed.met = look;
        if (!exact?.has(subscriber)) yield [subscriber, feed];
      }
    }
  }

  /** Ends the buffering of a subscription: what came meanwhile goes out, from its floor on. */
  flushBuffer(subscriber: Subscriber, subscription: Subscription): void {
    const { buffer } = subscription;
    subscription.buffer = undefined;
    for (const item of buffer?.items ?? []) {
      if ("gap" in item) skip(subscriber, subscription, item.gap);
      else if ("notice" in item) notify(subscriber, subscription, item.notice);
      else if ("transients" in item) this.hand(subscriber, item.transients);
      // Another epoch is told by a gap: what comes without one is of a log that has been lost.
      else if (item.batch.epoch === subscription.floor?.epoch) {
        this.#write(subscriber, subscription, item.batch);
      }
    }
  }

  #write(subscriber: Subscriber, subscription: Subscription, batch: PublicationBatch): void {
    const { floor } = subscription;
    if (floor !== undefined && floor.epoch !== batch.epoch) {
      // The broker slept through the end of the log that the subscription began in.
      const until = { epoch: batch.epoch, offset: batch.firstOffset - 1 };
      skip(subscriber, subscription, { reason: "epoch_changed", after: floor, until });
    }
    this.#frames(subscriber, batch, subscription.floor?.offset ?? 0);
  }

  #frames(subscriber: Subscriber, batch: PublicationBatch, after: number): void {
    const frames = batch.frames(subscriber.variant, after, subscriber.maxFrameBytes);
    if (frames === undefined) {
      subscriber.close(DISCONNECTS.inappropriateProtocol);
      return;
    }
    for (let i = 0; i < frames.length; i++) subscriber.write(frames[i] as SizedFrame);
    if (frames.length > 0) {
      this.#delivered += batch.lastOffset - Math.max(after, batch.firstOffset - 1);
    }
  }
}

function hearsOfMembers(subscriber: Subscriber, channel: string): boolean {
  return subscriber.followsPresence && subscriber.mayFollowPresence(channel);
}

/** Tells a session that has a channel by a pattern of the part of a gap that is for it. */
export function feedGap(
  subscriber: Subscriber,
  feed: PatternFeed,
  channel: string,
  gap: LogGap,
): void {
  const part = feed.part(channel, gap);
  if (part !== undefined) subscriber.tellGap(channel, part);
}

/** Tells a session of who has come to a channel of its patterns or gone. */
export function feedNotice(subscriber: Subscriber, { member, frame }: PresenceNotice): void {
  if (member !== undefined && isMember(subscriber, member)) return;
  subscriber.write(frame.frame(subscriber.encoding, subscriber.maxFrameBytes));
}

/** Moves a subscription past a gap, and tells its session, unless it begins behind it. */
function skip(subscriber: Subscriber, subscription: Subscription, gap: LogGap): void {
  const { floor } = subscription;
  const { reason, until } = gap;
  if (floor?.epoch === until.epoch && floor.offset >= until.offset) return;
  // A hole in another log than the subscription's own is not its affair.
  if (reason !== "epoch_changed" && floor?.epoch !== until.epoch) return;
  subscription.floor = until;
  const later =
    gap.after?.epoch === floor?.epoch && (gap.after?.offset ?? 0) > (floor?.offset ?? 0);
  subscriber.tellGap(subscription.channel, { reason, after: later ? gap.after : floor, until });
}

function notify(
  subscriber: Subscriber,
  subscription: Subscription,
  { member, generation, frame }: PresenceNotice,
): void {
  // Who is told all anew, however old that is, needs every change behind it.
  if (member === undefined) subscription.generation = generation;
  else if (generation <= subscription.generation || isMember(subscriber, member)) return;
  subscriber.write(frame.frame(subscriber.encoding, subscriber.maxFrameBytes));
}

function isMember({ id, userId, clientId }: Subscriber, member: Member): boolean {
  if (userId === "" && clientId === "") return member.sessionId === id;
  return member.userId === userId && member.clientId === clientId;
}
