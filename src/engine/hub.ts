/**
 * Who on this node listens to what. The hub resolves a channel to sessions and hands them a batch;
 * it knows nothing of brokers or sockets.
 */
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import type { PublicationBatch, SizedFrame, Variant } from "../protocol/publication-frames.ts";
import type { Position } from "./ports.ts";

/** What the hub needs of a session. */
export interface Subscriber {
  readonly id: string;
  readonly variant: Variant;
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
}

/** One session's interest in one channel. */
export interface Subscription {
  readonly channel: string;
  ephemeral: boolean;
  /** Live entries at or below this offset are not for this session. Undefined until registered. */
  floor: Position | undefined;
  /** Live batches that wait until the acknowledgement is written; undefined once live. */
  held: PublicationBatch[] | undefined;
}

export class Hub {
  readonly #channels = new Map<string, Map<Subscriber, Subscription>>();
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
      subscribers = new Map();
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

  /** The sessions here that want the channel. */
  subscribers(channel: string): readonly Subscriber[] {
    return [...(this.#channels.get(channel)?.keys() ?? [])];
  }

  /** Writes a batch to everyone who wants it, in one synchronous sweep. */
  broadcast(batch: PublicationBatch): void {
    const subscribers = this.#channels.get(batch.channel);
    if (subscribers === undefined) return;
    // A session that ends in the sweep leaves the map, which a Map's iteration allows.
    for (const [subscriber, subscription] of subscribers) {
      if (subscription.held !== undefined) subscription.held.push(batch);
      else this.#write(subscriber, subscription, batch);
    }
  }

  /** Ends the hold of a subscription: what came meanwhile goes out, from its floor on. */
  release(subscriber: Subscriber, subscription: Subscription): void {
    const held = subscription.held;
    subscription.held = undefined;
    for (const batch of held ?? []) this.#write(subscriber, subscription, batch);
  }

  #write(subscriber: Subscriber, subscription: Subscription, batch: PublicationBatch): void {
    const floor = subscription.floor;
    // A floor of another epoch says nothing about this log.
    const after = floor !== undefined && floor.epoch === batch.epoch ? floor.offset : 0;
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
