/**
 * Which sessions of this node listen to what, by channel and by pattern. The hub resolves a channel to its listeners, each session
 * once however many of its subscriptions match; it knows nothing of logs, brokers or sockets. A session that is
 * subscribed to a channel by itself takes it from there, whatever its patterns. What a session begins to listen to
 * takes a place among those that the node may have.
 */
import { made } from "../../channels/maps.ts";
import { PatternMap } from "../../channels/pattern-map.ts";
import type { MemberSession } from "../../channels/presence.ts";
import { SmallMap } from "../../channels/small-map.ts";
import type { LogGap, Position } from "../ports/broker.ts";
import type { ChannelSubscription } from "./channel-subscription.ts";
import type { Listener, Origin, Subscriber, Tally } from "./listener.ts";
import type { Beginner, NewChannels } from "./new-channels.ts";
import type { PatternFeed } from "./pattern-feed.ts";

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

/** The sessions of one channel or pattern, in the order in which they came. */
class Interested<Interest> extends SmallMap<Subscriber, Interest> {
  /** How many of them follow presence. Counted, since each registration of thousands of sessions asks for it. */
  followers = 0;

  override set(subscriber: Subscriber, interest: Interest): void {
    if (subscriber.followsPresence && !this.has(subscriber)) this.followers += 1;
    super.set(subscriber, interest);
  }

  override delete(subscriber: Subscriber): boolean {
    if (!super.delete(subscriber)) return false;
    if (subscriber.followsPresence) this.followers -= 1;
    return true;
  }
}

type PatternListeners = Interested<PatternSubscription>;

/** Which channels a node hears, for hosts and programs. */
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
  /** What listeners have written. */
  readonly tally: Tally = { delivered: 0 };
  readonly #newChannels: NewChannels;
  readonly #channels = new Map<string, Interested<ChannelSubscription>>();
  readonly #patterns = new PatternMap<PatternListeners>();
  #subscriptions = 0;
  /** Looks at all patterns of a channel; each session is met once in each. */
  #looks = 0;

  constructor(newChannels: NewChannels) {
    this.#newChannels = newChannels;
  }

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
    return this.tally.delivered;
  }

  /**
   * Counts a channel that a session uses, if it is new to the node.
   *
   * @throws MessagingError RATE_LIMITED where the session has begun too many
   */
  uses(channel: string, beginner: Beginner): void {
    if (!this.hasDirectSubscriber(channel)) this.#newChannels.count(channel, beginner);
  }

  /**
   * Begins a session's interest in a channel.
   *
   * @param beginner counts the channel if it is new; undefined where that is not the doing of the session's client
   * @throws MessagingError RATE_LIMITED where the session has begun too many, or the node has room for none
   */
  begin(subscription: ChannelSubscription, beginner: Beginner | undefined): void {
    if (!this.hasDirectSubscriber(subscription.channel)) {
      if (beginner !== undefined) this.#newChannels.count(subscription.channel, beginner);
      this.#newChannels.checkRoom(this.size + this.patternCount);
    }
    this.add(subscription);
  }

  /** Adds or replaces a session's interest in a channel. */
  add(subscription: ChannelSubscription): void {
    const { channel, subscriber } = subscription;
    const subscribers = made(this.#channels, channel, () => new Interested());
    this.#put(subscribers, subscriber, subscription);
  }

  /** Removes it. Returns true when that was the channel's last subscriber here. */
  remove(subscriber: Subscriber, channel: string): boolean {
    if (!this.#drop(this.#channels.get(channel), subscriber)) return false;
    return this.#channels.delete(channel);
  }

  /** @throws MessagingError RATE_LIMITED where the node has room for none */
  beginPattern(subscription: PatternSubscription): void {
    if (!this.hasPattern(subscription.pattern)) {
      this.#newChannels.checkRoom(this.size + this.patternCount);
    }
    this.addPattern(subscription);
  }

  /** Adds a session's interest in a pattern. */
  addPattern(subscription: PatternSubscription): void {
    const { pattern, feed } = subscription;
    const listeners = made(this.#patterns, pattern, () => new Interested());
    this.#put(listeners, feed.subscriber, subscription);
  }

  /** Removes it. Returns true when that was the pattern's last subscriber here. */
  removePattern(subscriber: Subscriber, pattern: string): boolean {
    if (!this.#drop(this.#patterns.get(pattern), subscriber)) return false;
    return this.#patterns.delete(pattern);
  }

  /** The patterns that anyone here wants. */
  *patterns(): Iterable<string> {
    for (const [pattern] of this.#patterns) yield pattern;
  }

  hasPattern(pattern: string): boolean {
    return this.#patterns.has(pattern);
  }

  /** Whether a session with this pattern follows the presence of its channels. */
  hasPatternPresenceFollower(pattern: string): boolean {
    return hasFollower(this.#patterns.get(pattern));
  }

  /** The session that has had a pattern for the longest time. */
  firstOfPattern(pattern: string): Subscriber | undefined {
    for (const subscriber of this.#patterns.get(pattern)?.keys() ?? []) return subscriber;
    return undefined;
  }

  /** Whether anyone here is subscribed to the channel, by itself or by a pattern. */
  hasAnySubscriber(channel: string): boolean {
    return this.hasDirectSubscriber(channel) || this.#matching(channel).length > 0;
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
    for (const listeners of this.#matching(channel)) {
      for (const subscriber of listeners.keys()) return subscriber;
    }
    return undefined;
  }

  /** What the channel's batches, gaps and notices are handed to, each session once. */
  listeners(channel: string): readonly Listener[] {
    const found: Listener[] = [];
    const own = this.#channels.get(channel);
    if (own !== undefined) for (const [, subscription] of own) found.push(subscription);
    const all = this.#matching(channel);
    if (all.length === 0) return found;
    this.#looks += 1;
    const look = this.#looks;
    for (const listeners of all) {
      for (const [subscriber, { live, feed }] of listeners) {
        if (!live || feed.met === look) continue;
        feed.met = look;
        if (!own?.has(subscriber)) found.push(feed);
      }
    }
    return found;
  }

  /** The sessions here that want the channel, each once. */
  subscribers(channel: string): readonly Subscriber[] {
    return this.listeners(channel).map(({ subscriber }) => subscriber);
  }

  /** Whether a subscription here has begun, by name or by a pattern: it may be owed what is on the way. */
  hasActiveSubscriber(channel: string): boolean {
    for (const { floor } of this.#channels.get(channel)?.values() ?? []) {
      if (floor !== undefined) return true;
    }
    return this.#matching(channel).length > 0;
  }

  /** The sessions here that are present in the channel. */
  *members(channel: string): Iterable<MemberSession> {
    for (const [{ id, userId, clientId }, { member }] of this.#channels.get(channel) ?? []) {
      if (member) yield { sessionId: id, userId, clientId };
    }
  }

  /** Whether a session here follows the presence of the channel. */
  hasPresenceFollower(channel: string): boolean {
    return hasFollower(this.#channels.get(channel));
  }

  /** Reports to everyone with a pattern that channels may have been missed which nobody here knows. */
  patternGap(pattern: string, gap: LogGap): void {
    for (const [subscriber, { live }] of this.#patterns.get(pattern) ?? []) {
      if (live) subscriber.tellGap(pattern, gap);
    }
  }

  #put<Interest>(all: Interested<Interest>, one: Subscriber, its: Interest): void {
    if (!all.has(one)) this.#subscriptions += 1;
    all.set(one, its);
  }

  /** Takes an interest away. Returns whether it was there, and the last one. */
  #drop(all: Interested<unknown> | undefined, one: Subscriber): boolean {
    if (all?.delete(one) !== true) return false;
    this.#subscriptions -= 1;
    return all.size === 0;
  }

  #matching(channel: string): readonly PatternListeners[] {
    return this.#patterns.size === 0 ? NOBODY : this.#patterns.match(channel);
  }
}

function hasFollower(all: Interested<unknown> | undefined): boolean {
  return all !== undefined && all.followers > 0;
}
