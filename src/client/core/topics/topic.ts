/**
 * A channel or a pattern that a client is subscribed to, whatever the number of subscriptions that the application has to it:
 * what was delivered of it, and from where it goes on after a loss.
 *
 * | state | a request | the server accepts it | the server refuses it | the connection is lost |
 * | --- | --- | --- | --- | --- |
 * | wanted | is made: asked | | | |
 * | asked | | live | wanted after a pause where a retry may help, else refused | wanted |
 * | live | of a pattern alone, to renew its place | live | stays live | wanted |
 * | refused | with another token alone: asked | live | refused, for the newer reason | stays refused |
 *
 * A topic that is live recovers until the verdict on what it has missed has come: till then the verdict, and no message,
 * says what is missing. A topic that nobody wants any more is over, from each state.
 */
import type { MessagingError } from "../../../protocol/errors.ts";
import type {
  Position,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireGap,
  WireMessage,
} from "../../wire/frames.ts";
import { utf8Length } from "../../wire/sizes.ts";
import { isPattern } from "../patterns.ts";
import type { Clock } from "../ports.ts";
import { errorOf, retryAfterMs } from "../requests.ts";
import type { Handle, SubscriptionState, TopicOptions } from "../subscription.ts";
import { longestDelay } from "../timer.ts";

/** What all topics of a client share. */
export interface TopicHost {
  readonly clock: Clock;
  readonly connection: { readonly token: string };
  /** Asks for what is wanted now. */
  ask(): void;
  /** Nobody wants it any more. */
  forget(topic: Topic, error?: MessagingError): void;
  /** Tells what is missing. */
  missed(topics: readonly Topic[], gap: WireGap): void;
}

/** Channels whose positions are kept for one pattern: those heard last. */
const MOST_CHANNELS = 2_000;

export class Topic {
  declare readonly name: string;
  /** The application's subscriptions; none where the server has made it. */
  readonly handles: Set<Handle> = new Set();
  /** Whether messages come of it. */
  isLive = false;
  #options: TopicOptions;
  readonly #host: TopicHost;
  readonly #isPattern: boolean;
  /** The last message of each channel that was delivered, those heard last at the end. */
  readonly #delivered = new Map<string, Position>();
  /** What the verdict of a recovery has still to tell: what is missing before the first message of each channel. */
  readonly #untold = new Map<string, WireGap>();
  #isOver = false;
  /** This session was asked for it. */
  #isAsked = false;
  /** The acknowledged request has asked for what was missed, and its verdict has not come. */
  #isRecovering = false;
  /** Why the server refuses it, and by which token. */
  #refused: { readonly error: MessagingError; readonly token: string } | undefined;
  #retries = 0;
  #stopRetry: (() => void) | undefined;
  /** Where it goes on: of a channel after its last message, of a pattern from when on it is heard. */
  #position: Position | undefined;
  /** The same by an acknowledgement, before the verdict. */
  #acknowledged: Position | undefined;

  constructor(name: string, options: TopicOptions, host: TopicHost) {
    this.name = name;
    this.#options = options;
    this.#host = host;
    this.#isPattern = isPattern(name);
  }

  /** Whether it is subscribed to in this way. */
  has(options: TopicOptions): boolean {
    return JSON.stringify(options) === JSON.stringify(this.#options);
  }

  join(handle: Handle): void {
    this.handles.add(handle);
    if (this.isLive) handle.enter("subscribed");
    else if (this.#refused) handle.enter("refused", this.#refused.error);
  }

  /** @returns whether nobody is left who wants it */
  leave(handle: Handle): boolean {
    return this.handles.delete(handle) && !this.handles.size && !this.#isOver;
  }

  /** @returns whether the server has to hear of it: messages come by the former one */
  setToken(token: string): boolean {
    this.#options = { ...this.#options, token };
    if (this.#refused) {
      this.#refused = undefined;
      this.#askAgain();
    }
    return this.isLive;
  }

  /**
   * What asks for it, in at most so many bytes; undefined where it was asked for, or is not to be. It begins where the
   * application says, and goes on where it is.
   */
  request(room: number): SubscriptionRequest | undefined {
    const { token } = this.#host.connection;
    if (this.isLive || this.#isAsked || this.#refused?.token === token) return undefined;
    this.#isAsked = true;
    const { since, rewind } = this.#options;
    if (!this.#position) return { ...this.#fresh(), since, rewind };
    return {
      ...this.#fresh(),
      since: this.#position,
      positions: this.#isPattern ? this.#positions(room) : undefined,
    };
  }

  /** What asks a live pattern to be heard from now on, so that a later recovery has less to look for. */
  renewal(): SubscriptionRequest | undefined {
    return this.#isPattern && this.isLive && !this.#isRecovering ? this.#fresh() : undefined;
  }

  /** What the server says to a request; undefined where it says nothing, and is to be asked again. */
  answered(answer: SubscriptionAnswer | undefined, { since, rewind }: SubscriptionRequest): void {
    if (!answer) this.#isAsked = false;
    else if (answer.error) this.refuse(errorOf(answer.error));
    else {
      const isNew = !this.isLive;
      this.isLive = true;
      this.#refused = undefined;
      this.#retries = 0;
      this.#isRecovering = Boolean(since ?? rewind);
      this.#acknowledged = answer.position;
      // Of a channel that is live already everything up to here may still be on its way.
      if (!this.#isRecovering && (isNew || this.#isPattern)) this.#reach();
      this.#enter("subscribed");
    }
  }

  refuse(error: MessagingError): void {
    if (this.#isOver || this.isLive) return;
    const { clock, connection, forget } = this.#host;
    if (error.retry) {
      const delayMs = longestDelay(this.#retries++) * clock.random();
      this.#stopRetry = clock.after(retryAfterMs(error) + delayMs, () => this.#askAgain());
      return;
    }
    this.#refused = { error, token: connection.token };
    // What nobody of this application has asked for.
    if (!this.handles.size) forget(this);
    this.#enter("refused", error);
  }

  /**
   * Notes a message.
   *
   * @returns false for one that is not to be delivered, or was before; what is missing before it, where something is
   */
  accept({ channel = "", epoch = "", offset = 0 }: WireMessage): boolean | WireGap {
    // What is of no log has no place.
    if (!this.isLive || !epoch) return this.isLive;
    const place = { epoch, offset };
    const delivered = this.#delivered;
    const last = delivered.get(channel);
    if (last?.epoch === epoch && offset <= (last.offset ?? 0)) return false;
    const byPattern = this.#isPattern;
    const before = last ?? (byPattern ? undefined : (this.#position ?? this.#options.since));
    if (byPattern) delivered.delete(channel);
    else this.#position = place;
    delivered.set(channel, place);
    if (delivered.size > MOST_CHANNELS) {
      const [oldest = ""] = delivered.keys();
      delivered.delete(oldest);
    }
    const isNext =
      before?.epoch === epoch ? offset <= (before.offset ?? 0) + 1 : !this.#isRecovering;
    if (isNext) return true;
    const until = { epoch, offset: offset - 1 };
    const gap = { channel, reason: "unavailable", after: before, until };
    if (!this.#isRecovering) return gap;
    // The verdict reports it, with its reason. Without a position all of it may be missing.
    if (before ?? (byPattern && offset > 1)) this.#untold.set(channel, gap);
    return true;
  }

  /** What was missed has come, or is told by a gap. */
  recovered(channel: string, until: Position | undefined): void {
    this.#untold.delete(channel);
    if (channel === this.name) {
      this.#isRecovering = false;
      if (this.#isPattern) this.#reach();
    }
    this.passed({ channel, until });
  }

  /** Nobody waits any more for what lies up to there: it has come, or is a hole that is known. */
  passed({ channel = this.name, until }: { channel?: string; until?: Position | undefined }): void {
    // Of a pattern that is a time, and no place in a channel.
    if (this.#isPattern && channel === this.name) return;
    const last = this.#isPattern ? this.#delivered.get(channel) : this.#position;
    // A verdict may report a hole after the messages that follow it.
    if (!until?.epoch) return;
    if (last?.epoch === until.epoch && (last.offset ?? 0) >= (until.offset ?? 0)) return;
    if (!this.#isPattern) this.#position = until;
    if (last) this.#delivered.set(channel, until);
  }

  /** The connection is lost. @param error why none will come any more */
  lost(error: MessagingError | undefined): void {
    const { since, rewind = 0 } = this.#options;
    // By the time of the next session history may hold fewer of the last messages, and what came since must not go with them.
    if (this.#isRecovering && !this.#position && !since && this.#acknowledged?.epoch) {
      const { epoch, offset = 0 } = this.#acknowledged;
      this.#position = { epoch, offset: Math.max(0, offset - rewind) };
    }
    this.isLive = false;
    this.#isAsked = false;
    this.#isRecovering = false;
    this.#stopRetry?.();
    // No verdict comes of it any more, and the next recovery begins after it.
    if (!error) for (const gap of this.#untold.values()) this.#host.missed([this], gap);
    this.#untold.clear();
    if (error) this.#enter("ended", error);
    else if (!this.#refused) this.#enter("subscribing");
  }

  /** @param error why its subscriptions end, where there are any */
  end(error?: MessagingError): void {
    this.#isOver = true;
    this.isLive = false;
    this.#stopRetry?.();
    if (error) this.#enter("ended", error);
  }

  #enter(state: SubscriptionState, error?: MessagingError): void {
    for (const handle of this.handles) handle.enter(state, error);
  }

  #askAgain(): void {
    this.#isAsked = false;
    this.#host.ask();
  }

  #reach(): void {
    if (this.#acknowledged?.epoch) this.#position = this.#acknowledged;
  }

  #fresh(): SubscriptionRequest {
    const { ephemeral, token } = this.#options;
    return { channel: this.name, ephemeral, token };
  }

  /** As many as there is room for, those heard last first. */
  #positions(room: number): Record<string, Position> {
    const all: Record<string, Position> = {};
    let left = room;
    for (const [channel, last] of [...this.#delivered].reverse()) {
      // As JSON, with its punctuation; protobuf takes less.
      left -= utf8Length(channel) + last.epoch.length + 50;
      if (left < 0) break;
      all[channel] = last;
    }
    return all;
  }
}
