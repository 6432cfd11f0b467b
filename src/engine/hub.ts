/**
 * Who on this node listens to what. The hub resolves a channel to sessions and hands them a batch;
 * it knows nothing of brokers or sockets.
 */
import { SmallMap } from "../channels/small-map.ts";
import type { Encoding } from "../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import { MAX_HELD_BYTES } from "../protocol/limits.ts";
import type {
  PublicationBatch,
  SharedFrame,
  SizedFrame,
  Variant,
} from "../protocol/publication-frames.ts";
import type { LogGap, Member, MemberSession, Position } from "./ports.ts";

/** What the hub needs of a session. */
export interface Subscriber {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly encoding: Encoding;
  readonly variant: Variant;
  /** Whether it hears of joins and leaves. */
  readonly followsPresence: boolean;
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
  /** Tells of missing messages, where the client knows such a thing. */
  tellGap(channel: string, gap: LogGap): void;
  /** What its host must remember has changed. */
  changed(): void;
}

/** One session's interest in one channel. */
export interface Subscription {
  readonly channel: string;
  ephemeral: boolean;
  /** Whether the broker has been told that the session is present in the channel. */
  member: boolean;
  /** Live entries at or below this offset are not for this session. Undefined until registered. */
  floor: Position | undefined;
  /** Presence changes at or below this generation are not for this session. */
  generation: number;
  /** What waits until the session has been told all that comes before; undefined once live. */
  held: Hold | undefined;
}

/** A notice of presence, which goes to everyone but the member it is about. */
export interface PresenceNotice {
  /** Undefined for a notice about all. */
  readonly member: Member | undefined;
  readonly generation: number;
  readonly frame: SharedFrame;
}

/** What a subscription holds back, bounded: past the bound its messages are read from the log again. */
export class Hold {
  #items: HeldItem[] = [];
  #bytes = 0;
  #dropped: Position | undefined;

  /** Whether messages were dropped: then the log has to be read before the rest goes out. */
  get overflowed(): boolean {
    return this.#dropped !== undefined;
  }

  /** The last message that was dropped since the last call. */
  takeDropped(): Position | undefined {
    const dropped = this.#dropped;
    this.#dropped = undefined;
    return dropped;
  }

  add(item: HeldItem): void {
    this.#items.push(item);
    if (!("batch" in item)) return;
    this.#bytes += item.batch.bytes;
    if (this.#bytes <= MAX_HELD_BYTES) return;
    const { epoch, lastOffset } = item.batch;
    this.#dropped = { epoch, offset: lastOffset };
    // Reading the log finds what gaps there are by itself, except that it begins anew.
    this.#items = this.#items.filter((held) => "notice" in held || beginning(held) !== undefined);
    this.#bytes = 0;
  }

  /** Whether a gap has told that a log of this epoch begins. */
  announced(epoch: string): boolean {
    return this.#items.some((held) => beginning(held) === epoch);
  }

  /** Forgets what came before the log that the subscription begins in, where that was told. */
  beginIn(epoch: string): void {
    const start = this.#items.findLastIndex((held) => beginning(held) === epoch);
    if (start < 0) return;
    this.#items = this.#items.filter((held, index) => index >= start || "notice" in held);
    const dropped = this.#dropped?.epoch ?? epoch;
    if (dropped !== epoch && !this.announced(dropped)) this.#dropped = undefined;
  }

  /** What is held, in the order in which it came. */
  get items(): readonly HeldItem[] {
    return this.#items;
  }
}

type HeldItem =
  | { readonly batch: PublicationBatch }
  | { readonly gap: LogGap }
  | { readonly notice: PresenceNotice };

/** The epoch of a log that begins with what is held. */
function beginning(held: HeldItem): string | undefined {
  return "gap" in held && held.gap.reason === "epoch_changed" ? held.gap.until.epoch : undefined;
}

export class Hub {
  readonly #channels = new Map<string, SmallMap<Subscriber, Subscription>>();
  #subscriptions = 0;
  #delivered = 0;

  /** Number of channels with at least one subscriber. */
  get size(): number {
    return this.#channels.size;
  }

  /** Number of subscriptions, over all channels. */
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

  /** Whether anyone here wants the channel. */
  has(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** The session that has been subscribed to the channel for the longest time. */
  first(channel: string): Subscriber | undefined {
    for (const subscriber of this.#channels.get(channel)?.keys() ?? []) return subscriber;
    return undefined;
  }

  /** The sessions here that want the channel. */
  subscribers(channel: string): readonly Subscriber[] {
    return [...(this.#channels.get(channel)?.keys() ?? [])];
  }

  /** Whether a session here listens already, and may be owed what is on the way. */
  listens(channel: string): boolean {
    for (const { floor } of this.#channels.get(channel)?.values() ?? []) {
      if (floor !== undefined) return true;
    }
    return false;
  }

  /** The sessions here that are present in the channel. */
  *members(channel: string): Iterable<MemberSession> {
    for (const [{ id, userId, clientId }, { member }] of this.#channels.get(channel) ?? []) {
      if (member) yield { sessionId: id, userId, clientId };
    }
  }

  /** Whether a session here wants to hear who comes to the channel and goes. */
  follows(channel: string): boolean {
    for (const subscriber of this.#channels.get(channel)?.keys() ?? []) {
      if (subscriber.followsPresence) return true;
    }
    return false;
  }

  /** Writes a batch to everyone who wants it, in one synchronous sweep. */
  broadcast(batch: PublicationBatch): void {
    const subscribers = this.#channels.get(batch.channel);
    if (subscribers === undefined) return;
    // A session that ends in the sweep leaves the map, which its iteration allows.
    for (const [subscriber, subscription] of subscribers) {
      if (subscription.held !== undefined) subscription.held.add({ batch });
      else this.#write(subscriber, subscription, batch);
    }
  }

  /** Tells everyone who is behind it that a part of the log cannot be had. */
  gap(channel: string, gap: LogGap): void {
    for (const [subscriber, subscription] of this.#channels.get(channel) ?? []) {
      if (subscription.held !== undefined) subscription.held.add({ gap });
      else skip(subscriber, subscription, gap);
    }
  }

  /** Tells everyone who follows presence. */
  notify(channel: string, notice: PresenceNotice): void {
    for (const [subscriber, subscription] of this.#channels.get(channel) ?? []) {
      if (!subscriber.followsPresence) continue;
      if (subscription.held !== undefined) subscription.held.add({ notice });
      else notify(subscriber, subscription, notice);
    }
  }

  /** Writes a batch to one subscriber alone. */
  replay(subscriber: Subscriber, batch: PublicationBatch): void {
    this.#frames(subscriber, batch, 0);
  }

  /** Ends the hold of a subscription: what came meanwhile goes out, from its floor on. */
  release(subscriber: Subscriber, subscription: Subscription): void {
    const held = subscription.held;
    subscription.held = undefined;
    for (const item of held?.items ?? []) {
      if ("gap" in item) skip(subscriber, subscription, item.gap);
      else if ("notice" in item) notify(subscriber, subscription, item.notice);
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
    const frames = batch.frames(subscriber.variant, after);
    if (frames === undefined) {
      subscriber.close(DISCONNECTS.inappropriateProtocol);
      return;
    }
    for (const frame of frames) subscriber.write(frame);
    if (frames.length > 0) {
      this.#delivered += batch.lastOffset - Math.max(after, batch.firstOffset - 1);
    }
  }
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
  subscriber.write(frame.frame(subscriber.encoding));
}

function isMember({ id, userId, clientId }: Subscriber, member: Member): boolean {
  if (userId === "" && clientId === "") return member.sessionId === id;
  return member.userId === userId && member.clientId === clientId;
}
