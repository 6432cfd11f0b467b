/**
 * A channel or a pattern that a client is subscribed to, whatever the number of subscriptions that the application has to it:
 * what was delivered of it, and from where it goes on after a loss.
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

export interface Topic {
  readonly name: string;
  /** The application's subscriptions; none where the server has made it. */
  readonly handles: ReadonlySet<Handle>;
  /** Whether messages come of it. */
  isLive(): boolean;
  /** Whether it is subscribed to in this way. */
  has(options: TopicOptions): boolean;
  join(handle: Handle): void;
  /** @returns whether nobody is left who wants it */
  leave(handle: Handle): boolean;
  /** @returns whether the server has to hear of it: messages come by the former one */
  setToken(token: string): boolean;
  /**
   * What asks for it, in at most so many bytes; undefined where it was asked for, or is not to be. It begins where the
   * application says, and goes on where it is.
   */
  request(room: number): SubscriptionRequest | undefined;
  /** What asks a live pattern to be heard from now on, so that a later recovery has less to look for. */
  renewal(): SubscriptionRequest | undefined;
  /** What the server says to a request; undefined where it says nothing, and is to be asked again. */
  answered(answer: SubscriptionAnswer | undefined, request: SubscriptionRequest): void;
  refuse(error: MessagingError): void;
  /**
   * Notes a message.
   *
   * @returns false for one that is not to be delivered, or was before; what is missing before it, where something is
   */
  accept(message: WireMessage): boolean | WireGap;
  /** What was missed has come, or is told by a gap. */
  recovered(channel: string, position: Position | undefined): void;
  /** Nobody waits any more for what lies up to there: it has come, or is a hole that is known. */
  passed(hole: { channel?: string; until?: Position | undefined }): void;
  /** The connection is lost. @param error why none will come any more */
  lost(error: MessagingError | undefined): void;
  /** @param error why its subscriptions end, where there are any */
  end(error?: MessagingError): void;
}

/** Channels whose positions are kept for one pattern: those heard last. */
const MOST_CHANNELS = 2_000;

export function topicOf(name: string, given: TopicOptions, host: TopicHost): Topic {
  const { clock, connection } = host;
  const heardByPattern = isPattern(name);
  const handles = new Set<Handle>();
  /** The last message of each channel that was delivered, those heard last at the end. */
  const delivered = new Map<string, Position>();
  let options = given;
  let isOver = false;
  /** What the verdict of a recovery has still to tell: what is missing before the first message of each channel. */
  const untold = new Map<string, WireGap>();
  let isLive = false;
  /** This session was asked for it. */
  let isAsked = false;
  /** The acknowledged request has asked for what was missed, and its verdict has not come. */
  let isRecovering = false;
  /** Why the server refuses it, and by which token. */
  let refused: { readonly error: MessagingError; readonly token: string } | undefined;
  let retries = 0;
  let stopRetry = (): void => {};
  /** Where it goes on: of a channel after its last message, of a pattern from when on it is heard. */
  let position: Position | undefined;
  /** The same by an acknowledgement, before the verdict. */
  let acknowledged: Position | undefined;

  const enter = (state: SubscriptionState, error?: MessagingError): void => {
    for (const handle of handles) handle.enter(state, error);
  };

  const reach = (): void => {
    if (acknowledged?.epoch) position = acknowledged;
  };

  const fresh = (): SubscriptionRequest => {
    const { ephemeral, token } = options;
    return { channel: name, ephemeral, token };
  };

  /** As many as there is room for, those heard last first. */
  const positions = (room: number): Record<string, Position> => {
    const all: Record<string, Position> = {};
    let left = room;
    for (const [channel, last] of [...delivered].reverse()) {
      // As JSON, with its punctuation; protobuf takes less.
      left -= utf8Length(channel) + last.epoch.length + 50;
      if (left < 0) break;
      all[channel] = last;
    }
    return all;
  };

  const refuse = (error: MessagingError): void => {
    if (isOver || isLive) return;
    if (error.retry) {
      const delayMs = longestDelay(retries++) * clock.random();
      stopRetry = clock.after(retryAfterMs(error) + delayMs, () => {
        isAsked = false;
        host.ask();
      });
      return;
    }
    refused = { error, token: connection.token };
    // What nobody of this application has asked for.
    if (!handles.size) host.forget(topic);
    enter("refused", error);
  };

  const passed: Topic["passed"] = ({ channel = name, until }) => {
    // Of a pattern that is a time, and no place in a channel.
    if (heardByPattern && channel === name) return;
    const last = heardByPattern ? delivered.get(channel) : position;
    // A verdict may tell a hole after what comes behind it.
    if (!until?.epoch) return;
    if (last?.epoch === until.epoch && (last.offset ?? 0) >= (until.offset ?? 0)) return;
    if (!heardByPattern) position = until;
    if (last) delivered.set(channel, until);
  };

  const topic: Topic = {
    name,
    handles,
    isLive: () => isLive,
    has: (wanted) => JSON.stringify(wanted) === JSON.stringify(options),
    join(handle) {
      handles.add(handle);
      if (isLive) handle.enter("subscribed");
      else if (refused) handle.enter("refused", refused.error);
    },
    leave: (handle) => handles.delete(handle) && !handles.size && !isOver,
    setToken(token) {
      options = { ...options, token };
      if (refused) {
        refused = undefined;
        isAsked = false;
        host.ask();
      }
      return isLive;
    },
    request(room) {
      if (isLive || isAsked || refused?.token === connection.token) return undefined;
      isAsked = true;
      if (!position) return { ...fresh(), since: options.since, rewind: options.rewind };
      return {
        ...fresh(),
        since: position,
        positions: heardByPattern ? positions(room) : undefined,
      };
    },
    renewal: () => (heardByPattern && isLive && !isRecovering ? fresh() : undefined),
    answered(answer, { since, rewind }) {
      if (!answer) isAsked = false;
      else if (answer.error) refuse(errorOf(answer.error));
      else {
        const isNew = !isLive;
        isLive = true;
        refused = undefined;
        retries = 0;
        isRecovering = Boolean(since ?? rewind);
        acknowledged = answer.position;
        // Of a channel that is live already everything up to here may still be on its way.
        if (!isRecovering && (isNew || heardByPattern)) reach();
        enter("subscribed");
      }
    },
    refuse,
    accept({ channel = "", epoch = "", offset = 0 }) {
      // What is of no log has no place.
      if (!isLive || !epoch) return isLive;
      const place = { epoch, offset };
      const last = delivered.get(channel);
      if (last?.epoch === epoch && offset <= (last.offset ?? 0)) return false;
      const before = last ?? (heardByPattern ? undefined : (position ?? options.since));
      if (heardByPattern) delivered.delete(channel);
      else position = place;
      delivered.set(channel, place);
      if (delivered.size > MOST_CHANNELS) {
        const [oldest = ""] = delivered.keys();
        delivered.delete(oldest);
      }
      const isNext = before?.epoch === epoch ? offset <= (before.offset ?? 0) + 1 : !isRecovering;
      if (isNext) return true;
      const until = { epoch, offset: offset - 1 };
      const gap = { channel, reason: "unavailable", after: before, until };
      if (!isRecovering) return gap;
      // The verdict tells it, with its reason. Of what nobody had a position in all may be missing.
      if (before ?? (heardByPattern && offset > 1)) untold.set(channel, gap);
      return true;
    },
    recovered(channel, until) {
      untold.delete(channel);
      if (channel === name) {
        isRecovering = false;
        if (heardByPattern) reach();
      }
      passed({ channel, until });
    },
    passed,
    lost(error) {
      // By the time of the next session history may hold fewer of the last messages, and what came since must not go with them.
      if (isRecovering && !position && !options.since && acknowledged?.epoch) {
        const { epoch, offset = 0 } = acknowledged;
        position = { epoch, offset: Math.max(0, offset - (options.rewind ?? 0)) };
      }
      isLive = false;
      isAsked = false;
      isRecovering = false;
      stopRetry();
      // No verdict comes of it any more, and the next recovery begins after it.
      if (!error) for (const gap of untold.values()) host.missed([topic], gap);
      untold.clear();
      if (error) enter("ended", error);
      else if (!refused) enter("subscribing");
    },
    end(error) {
      isOver = true;
      isLive = false;
      stopRetry();
      if (error) enter("ended", error);
    },
  };
  return topic;
}
