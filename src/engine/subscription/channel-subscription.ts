/**
 * One session's subscription to one channel: where it begins in the log and how far it is, and what waits while its
 * client catches up.
 *
 * | state | since | what comes of the channel |
 * | --- | --- | --- |
 * | held | `hold`: it is asked for, or its client catches up | waits in the buffer |
 * | live | the last `release` | goes to the client, as far as it lies after the floor |
 * | over | `end`: the session has left the channel | is dropped, with what waits |
 *
 * The floor is undefined until the broker has registered the subscription, and moves on with what was replayed.
 */
import type { PublicationBatch } from "../../protocol/publication-frames.ts";
import type { Held, LogGap, Position } from "../ports/broker.ts";
import { Listener, type Origin, type Subscriber, type Tally } from "./listener.ts";
import type { RecoveryRequest } from "./recovery/recovery.ts";
import { type PresenceNotice, ReplayBuffer } from "./replay-buffer.ts";

/** What is replayed before live messages go on. */
export interface ReplayPlan {
  readonly request: RecoveryRequest;
  /** Up to here the log is replayed; what comes after it arrives live. */
  readonly until: Position;
  /** What history held of that log when the subscription was registered. */
  readonly held?: Held | undefined;
}

/** What a subscription is when it is made. */
export interface ChannelSubscriptionTerms {
  readonly channel: string;
  readonly origin: Origin;
  readonly ephemeral: boolean;
}

export class ChannelSubscription extends Listener<ReplayBuffer> {
  readonly channel: string;
  origin: Origin;
  ephemeral: boolean;
  /** Whether it was reported to the broker that the session is present in the channel. */
  member = false;
  /** Live entries at or below this offset are not for this session. Undefined until registered. */
  floor: Position | undefined;
  /** Presence changes at or below this generation are not for this session. */
  generation = 0;
  /**
   * From where on it has brought the channel, while nobody has asked for what was before; undefined once the client has
   * been given that, or a gap has said what is missing.
   */
  began: Position | undefined;
  /** From where on it has brought the channel, where the client has asked for what was before by itself. */
  asked: Position | undefined;
  /** Settles when the broker has answered; undefined while it is not asked for the first time. */
  registering: Promise<unknown> | undefined;
  /** The session has left the channel: nothing of it is for the client any more, whatever is still being read. */
  #isOver = false;
  /** Those that have not released it. */
  #holds = 0;

  constructor(
    subscriber: Subscriber,
    tally: Tally,
    { channel, origin, ephemeral }: ChannelSubscriptionTerms,
  ) {
    super(subscriber, tally);
    this.channel = channel;
    this.origin = origin;
    this.ephemeral = ephemeral;
  }

  /**
   * Holds back from now on what comes, until `release` has been called as often. What was handed over before has been
   * written.
   *
   * @param reached how far the node is in the channel; undefined where that says nothing of the session
   */
  hold(reached?: Position): void {
    this.#holds += 1;
    if (this.buffer !== undefined) return;
    this.raise(reached);
    this.buffer = new ReplayBuffer();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The session has left the channel. What waits is let go. */
  end(): void {
    this.#isOver = true;
    this.buffer = undefined;
  }

  /** Raises the floor to a place in its log. */
  raise(place: Position | undefined): void {
    const { floor } = this;
    if (floor !== undefined && place?.epoch === floor.epoch && place.offset > floor.offset) {
      this.floor = place;
    }
  }

  /**
   * A fresh subscription is live from the head on; one that was live already goes on after what it was given, or
   * after what its client says it has.
   *
   * @param reached how far the node was when the subscription began to hold back what comes
   * @param position the head
   */
  plan(request: RecoveryRequest, reached: Position | undefined, position: Position): ReplayPlan {
    const { floor } = this;
    const given = [floor, reached].filter((place) => place?.epoch === position.epoch);
    if (given.length === 0) {
      // The log began again under a live subscription, which misses all of it.
      this.floor = position;
      const since = request.rewind > 0 ? floor : request.since;
      return { request: { since, rewind: 0 }, until: position };
    }
    const { since } = request;
    const known = since?.epoch === position.epoch && since.offset <= position.offset;
    const offset = Math.max(...given.map((place) => place?.offset ?? 0), known ? since.offset : 0);
    const until = { epoch: position.epoch, offset };
    this.floor = until;
    return { request, until };
  }

  /** Where nothing else holds it: lets out what has come meanwhile, from the floor on, and is live. */
  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    const items = this.buffer?.items ?? [];
    this.buffer = undefined;
    for (const item of items) {
      // Another epoch is reported by a gap: what comes without one is of a log that has been lost.
      if ("batch" in item && item.batch.epoch !== this.floor?.epoch) continue;
      this.take(item);
    }
  }

  protected override after({ epoch, firstOffset }: PublicationBatch): number {
    const { floor } = this;
    if (floor !== undefined && floor.epoch !== epoch) {
      // The broker slept through the end of the log that the subscription began in.
      const until = { epoch, offset: firstOffset - 1 };
      this.gap(this.channel, { reason: "epoch_changed", after: floor, until });
    }
    return this.floor?.offset ?? 0;
  }

  protected override part(_channel: string, { reason, after, until }: LogGap): LogGap | undefined {
    const { floor } = this;
    if (floor?.epoch === until.epoch && floor.offset >= until.offset) return undefined;
    // A hole in another log than the subscription's own is not its affair.
    if (reason !== "epoch_changed" && floor?.epoch !== until.epoch) return undefined;
    this.floor = until;
    const later = after?.epoch === floor?.epoch && (after?.offset ?? 0) > (floor?.offset ?? 0);
    return { reason, after: later ? after : floor, until };
  }

  protected override isNews({ member, generation }: PresenceNotice): boolean {
    // A session that is given all members again, however old that is, needs every change after it.
    if (member === undefined) this.generation = generation;
    return member === undefined || generation > this.generation;
  }
}
