/**
 * Who on this node listens to what. The hub resolves a channel to sessions and hands them a batch;
 * it knows nothing of brokers or sockets.
 */

import type { Frame } from "../protocol/codec.ts";
import type { PublicationBatch, Variant } from "../protocol/publication-frames.ts";
import type { Position } from "./ports.ts";

/** What the hub needs of a session. */
export interface Subscriber {
  readonly variant: Variant;
  write(frame: Frame): void;
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

  /** Number of channels with at least one subscriber. */
  get size(): number {
    return this.#channels.size;
  }

  /** Adds or replaces a session's interest in a channel. */
  add(subscriber: Subscriber, subscription: Subscription): void {
    let subscribers = this.#channels.get(subscription.channel);
    if (subscribers === undefined) {
      subscribers = new Map();
      this.#channels.set(subscription.channel, subscribers);
    }
    subscribers.set(subscriber, subscription);
  }

  /** Removes it. Returns true when that was the channel's last subscriber here. */
  remove(subscriber: Subscriber, channel: string): boolean {
    const subscribers = this.#channels.get(channel);
    if (subscribers === undefined || !subscribers.delete(subscriber)) return false;
    if (subscribers.size > 0) return false;
    this.#channels.delete(channel);
    return true;
  }

  /** Whether anyone here wants the channel. */
  has(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** The channels with subscribers. */
  channels(): IterableIterator<string> {
    return this.#channels.keys();
  }

  /** Number of sessions here that want the channel. */
  count(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }

  /** Writes a batch to everyone who wants it, in one synchronous sweep. */
  broadcast(batch: PublicationBatch): void {
    const subscribers = this.#channels.get(batch.channel);
    if (subscribers === undefined) return;
    for (const [subscriber, subscription] of subscribers) {
      if (subscription.held !== undefined) subscription.held.push(batch);
      else writeBatch(subscriber, subscription, batch);
    }
  }
}

/** Ends the hold of a subscription: what came meanwhile goes out, from its floor on. */
export function release(subscriber: Subscriber, subscription: Subscription): void {
  const held = subscription.held;
  subscription.held = undefined;
  for (const batch of held ?? []) writeBatch(subscriber, subscription, batch);
}

function writeBatch(
  subscriber: Subscriber,
  subscription: Subscription,
  batch: PublicationBatch,
): void {
  const floor = subscription.floor;
  // A floor of another epoch says nothing about this log.
  const after = floor !== undefined && floor.epoch === batch.epoch ? floor.offset : 0;
  for (const frame of batch.frames(subscriber.variant, after)) subscriber.write(frame);
}
