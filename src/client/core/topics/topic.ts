/**
 * A channel or a pattern that a client is subscribed to, whatever the number of subscriptions that the application has to it:
 * what was delivered of it, and from where it goes on after a loss.
 */
import type { MessagingError } from "../../../protocol/errors.ts";
import type { Position, SubscriptionRequest, WireGap, WireMessage } from "../../wire/frames.ts";
import { utf8Length } from "../../wire/sizes.ts";
import { isPattern } from "../patterns.ts";

/** How a channel is subscribed to. */
export interface TopicOptions {
  /** Not a member of the channel's presence. */
  readonly ephemeral?: boolean | undefined;
  /** For this subscription alone. */
  readonly token?: string | undefined;
  /** Begin after this position, such as that of the last message that was stored. */
  readonly since?: Position | undefined;
  /** Begin with the last so many messages. */
  readonly rewind?: number | undefined;
}

/** Channels whose positions are kept for one pattern: those heard last. */
const MOST_CHANNELS = 2_000;

export class Topic<Handle> {
  readonly name: string;
  readonly isPattern: boolean;
  options: TopicOptions;
  /** The application's subscriptions; none where the server has made it. */
  readonly handles = new Set<Handle>();
  /** Messages come of it. */
  live = false;
  /** The connection's attempt that has asked for it last. */
  asked = 0;
  /** Why the server refuses it, and by which token. */
  refused: { readonly error: MessagingError; readonly token: string } | undefined;
  retries = 0;
  /** Cancels the next try. */
  stopRetry = (): void => {};
  /** The acknowledged request has asked for what was missed, and its verdict has not come. */
  recovering = false;
  /** Where it goes on: of a channel after its last message, of a pattern from when on it is heard. */
  #position: Position | undefined;
  /** The same by an acknowledgement, before the verdict. */
  #acknowledged: Position | undefined;
  /** What the verdict of a recovery has still to tell: what is missing before the first message of each channel. */
  readonly untold = new Map<string, WireGap>();
  /** The last message of each channel that was delivered, those heard last at the end. */
  readonly #delivered = new Map<string, Position>();

  constructor(name: string, options: TopicOptions) {
    this.name = name;
    this.isPattern = isPattern(name);
    this.options = options;
  }

  /** What asks for it, in at most so many bytes. It begins where the application says, and goes on where it is. */
  request(room: number): SubscriptionRequest {
    const { since, rewind } = this.options;
    const position = this.#position;
    if (position === undefined) return { ...this.renewal(), since, rewind };
    const positions = this.isPattern ? this.#positions(room) : undefined;
    return { ...this.renewal(), since: position, positions };
  }

  /** What asks a live pattern to be heard from now on, so that a later recovery has less to look for. */
  renewal(): SubscriptionRequest {
    const { ephemeral, token } = this.options;
    return { channel: this.name, ephemeral, token };
  }

  /** The server has granted it. @param asked what it was asked */
  granted(position: Position | undefined, { since, rewind }: SubscriptionRequest): void {
    const isNew = !this.live;
    this.live = true;
    this.refused = undefined;
    this.retries = 0;
    this.recovering = Boolean(since ?? rewind);
    this.#acknowledged = position;
    // Of a channel that is live already everything up to here may still be on its way.
    if (!this.recovering && (isNew || this.isPattern)) this.#reach(position);
  }

  /** What was missed has come, or is told by a gap. */
  recovered(channel: string, position: Position | undefined): void {
    this.untold.delete(channel);
    if (channel === this.name) {
      this.recovering = false;
      if (this.isPattern) this.#reach(this.#acknowledged);
    }
    this.passed({ channel, until: position });
  }

  /**
   * Notes a message.
   *
   * @returns false for one that was delivered before; what is missing before it, where something is
   */
  accept({ channel = "", epoch = "", offset = 0 }: WireMessage): boolean | WireGap {
    // Of no log.
    if (!epoch) return true;
    const position = { epoch, offset };
    const last = this.#delivered.get(channel);
    if (last?.epoch === epoch && offset <= (last.offset ?? 0)) return false;
    const before = last ?? (this.isPattern ? undefined : (this.#position ?? this.options.since));
    if (this.isPattern) this.#delivered.delete(channel);
    else this.#position = position;
    this.#delivered.set(channel, position);
    if (this.#delivered.size > MOST_CHANNELS) {
      const [oldest = ""] = this.#delivered.keys();
      this.#delivered.delete(oldest);
    }
    const isNext = before?.epoch === epoch ? offset <= (before.offset ?? 0) + 1 : !this.recovering;
    if (isNext) return true;
    const gap = {
      channel,
      reason: "unavailable",
      after: before,
      until: { epoch, offset: offset - 1 },
    };
    if (!this.recovering) return gap;
    // The verdict tells it, with its reason. Of what nobody had a position in all may be missing.
    if (before ?? (this.isPattern && offset > 1)) this.untold.set(channel, gap);
    return true;
  }

  /** Nobody waits any more for what lies up to there: it has come, or is a hole that is known. */
  passed({ channel = this.name, until }: { channel?: string; until?: Position | undefined }): void {
    // Of a pattern that is a time, and no place in a channel.
    if (this.isPattern && channel === this.name) return;
    const last = this.isPattern ? this.#delivered.get(channel) : this.#position;
    // A verdict may tell a hole after what comes behind it.
    const isBehind = last?.epoch === until?.epoch && (last?.offset ?? 0) >= (until?.offset ?? 0);
    if (!until?.epoch || isBehind) return;
    if (!this.isPattern) this.#position = until;
    if (last) this.#delivered.set(channel, until);
  }

  #reach(position: Position | undefined): void {
    if (position?.epoch) this.#position = position;
  }

  /** As many as there is room for, those heard last first. */
  #positions(room: number): Record<string, Position> {
    const positions: Record<string, Position> = {};
    let left = room;
    for (const [channel, position] of [...this.#delivered].reverse()) {
      // As JSON, with its punctuation; protobuf takes less.
      left -= utf8Length(channel) + position.epoch.length + 50;
      if (left < 0) break;
      positions[channel] = position;
    }
    return positions;
  }
}
