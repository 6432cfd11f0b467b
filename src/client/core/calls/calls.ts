/** What a client can be asked for, and what the answers look like. Types only. */
import type { MessagingError } from "../../../protocol/errors.ts";
import type { Position } from "../../wire/frames.ts";
import type { CloudEvent } from "../cloud-event.ts";
import type { Signal } from "../emitter.ts";
import type { Gap, Identity, Member, ReceivedMessage } from "../message.ts";

/** What any request may be given. */
export interface RequestOptions {
  /** Milliseconds until it rejects. */
  readonly timeoutMs?: number;
  /** Rejects it with the signal's reason. What was sent may have been done. */
  readonly signal?: Signal;
}

export interface PublishOptions {
  /** Kept beside the event, and delivered with it. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: Signal;
}

export interface HistoryOptions extends RequestOptions {
  /** Messages after this position, or before it with `reverse`. Default: from the oldest, or the newest. */
  readonly since?: Position;
  /** Messages of a page at most. 0 asks for the position only. Default: as many as a page holds. */
  readonly limit?: number;
  /** Newest first. */
  readonly reverse?: boolean;
}

export interface HistoryPage<T = unknown> {
  /** In the order that was asked for. */
  readonly messages: readonly ReceivedMessage<T>[];
  /** Head of the log; undefined where there is none. */
  readonly position: Position | undefined;
  /** What lies between `since` and the first message and is not there any more. */
  readonly gap: Gap | undefined;
  /** There are more messages in this direction: ask again from the last one. */
  readonly more: boolean;
}

/** A page, as a promise; and all messages from there on, as they are asked for. */
export interface History<T = unknown> extends Promise<HistoryPage<T>> {
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage<T>, void, undefined>;
}

export interface Presence {
  /** Those first who joined first, at most 1,000. */
  readonly members: readonly Member[];
  /** How many there are. */
  readonly total: number;
}

export interface SurveyOptions extends RequestOptions {
  /** Milliseconds that the server waits for answers: default 5,000, at most 60,000. */
  readonly timeoutMs?: number;
  /** This client is not asked itself. Default false. */
  readonly othersOnly?: boolean;
}

/** What one session has answered: data, an error, or neither. */
export interface SurveyAnswer<T = unknown> extends Identity {
  readonly data: T | undefined;
  readonly event: CloudEvent<T> | undefined;
  readonly error: MessagingError | undefined;
}

export interface SurveyResult<T = unknown> {
  /** At most one of each session. */
  readonly answers: readonly SurveyAnswer<T>[];
  /** Ids of the sessions that were asked and have not answered. */
  readonly silent: readonly string[];
  /** Servers of which it is not known what their sessions have answered, and why. */
  readonly unreached: readonly { readonly node: string; readonly reason: string }[];
}

/** A question to the subscribers of a channel. */
export interface SurveyQuestion {
  readonly channel: string;
  readonly data: unknown;
  readonly event: CloudEvent;
}

/**
 * Answers a survey with data or an event.
 *
 * @throws MessagingError is the answer then; anything else is a failure, which is told as `INTERNAL_ERROR`
 */
export type SurveyHandler = (question: SurveyQuestion) => unknown;
