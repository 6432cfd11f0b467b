/**
 * What the client is written against: time, the page it lives in, the way to the server, and what keeps publishes
 * while there is none. Tests and other implementations put their own in the place of each. Types only.
 */
import type { Frame, WireEvent } from "../wire/frames.ts";
import type { Signal } from "./emitter.ts";

/** Time and chance. */
export interface Clock {
  /** Unix milliseconds. May jump in both directions, so it is for what is written down and for people only. */
  now(): number;
  /** Milliseconds since some moment. Never goes back; may stand still while the machine sleeps. */
  elapsed(): number;
  /**
   * Calls `run` once, not before `ms` milliseconds have passed; it may be much later in a hidden page.
   *
   * @returns what cancels it. Cancelling twice, or after the call, does nothing
   */
  after(ms: number, run: () => void): () => void;
  /** At least 0, below 1. */
  random(): number;
}

/** The page or process around the client. */
export interface Surroundings {
  /**
   * `wake` is called when only this client can have been cut, and may have a network again (`online`, `pageshow`);
   * `sleep` when the page is left and may be kept (`pagehide`): whatever is open then hears nothing any more.
   *
   * @returns what ends both
   */
  watch(wake: () => void, sleep: () => void): () => void;
}

/** Why a transport has ended. */
export interface TransportEnd {
  /** A WebSocket close code; 1006 where the connection was lost, or never came to be. */
  readonly code: number;
  /** May be empty. */
  readonly reason: string;
  /** Set where another try cannot help, such as a URL that is none or a wrong subprotocol. */
  readonly fatal?: boolean;
  /** How long the server asks to stay away, in milliseconds. Default 0. */
  readonly retryAfterMs?: number;
}

/**
 * What a transport tells. It calls these from an event of its own, never inside of `open`, `send` or `close`, and in the
 * order in which things have happened. A frame's consequences are over when `frame` returns: nothing is put off to a
 * promise, for frames of one packet follow each other without microtasks between them in some runtimes.
 */
export interface TransportEvents {
  /** Frames can be sent, which may not be to say that anybody has answered. Once at most, before any frame. */
  opened(): void;
  /** One whole message. */
  frame(frame: Frame): void;
  /** The server has answered `ping`, or has shown otherwise that it lives. Frames show it as well. */
  alive(): void;
  /** The end, once. Nothing is told after it. */
  ended(end: TransportEnd): void;
}

/** One connection, from its beginning to its end. It does not come back. */
export interface Transport {
  /**
   * Sends a message; the first one is `connect`. After the end, and after `close`, it is dropped.
   *
   * @throws nothing
   */
  send(frame: Frame): void;
  /** Asks the server for a sign of life, which is one of the client's as well. */
  ping(): void;
  /**
   * Ends the connection, with a code of 1000 or from 3000 to 4999. `ended` follows when the server has answered, which
   * may take long or never happen; nobody waits for it.
   *
   * @throws nothing, however often it is called
   */
  close(code: number, reason: string): void;
}

/** A kind of transport. */
export interface TransportFactory {
  /** Such as `websocket`. */
  readonly name: string;
  /**
   * Begins a connection.
   *
   * @param url as the application has given it
   * @param subprotocol names the encoding, such as `messageloop+json`
   * @throws MessagingError BAD_REQUEST for a URL that is none, UNAVAILABLE where the runtime does not have what it needs
   */
  open(url: string, subprotocol: string, events: TransportEvents): Transport;
}

/** Where a published event stands. */
export interface PublishResult {
  /** Dense per channel and epoch, from 1. */
  offset: number;
  epoch: string;
  /** The event was in the log already; `offset` is where. */
  duplicate: boolean;
}

/** A publish that waits, or whose answer does. Plain data, which a structured clone carries. */
export interface QueueItem {
  /** The event's. */
  readonly id: string;
  readonly channel: string;
  /** With the id and source that the server knows a repeated event by. */
  readonly event: WireEvent;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Roughly the bytes that it takes as a frame. */
  readonly size: number;
}

/** A session that publishes can be sent in, as a queue sees it. It is over when `PublishQueue.lost` is called. */
export interface QueueSession {
  /** Who publishes, as `connected` has named it; empty for anonymous users. */
  readonly userId: string;
  /** How long the server knows a repeated event, in milliseconds; 0 where it does not say, which is not at all. */
  readonly dedupWindowMs: number;
  /** The server's clock when it answered connect, Unix milliseconds. */
  readonly time: number;
  /**
   * Sends now. Frames leave in the order of the calls.
   *
   * @param again whether it may have been published before: the frame says so, and the server refuses what it would not
   * recognise
   * @throws MessagingError (as a rejection) `TOO_LARGE` before anything is sent; the server's refusal; `UNAVAILABLE`
   * where no answer came: in time, or because the session was lost
   */
  send(item: QueueItem, again: boolean): Promise<PublishResult>;
}

/**
 * Takes every publish of a client, and sees to it that each is sent at most once more than it has to be, never as
 * another user, and that its promise settles.
 *
 * Rules:
 * - While a session lasts and nothing waits, an item is sent inside of `add`: a publish costs no detour, and keeps its
 *   place among the client's other frames. Otherwise it waits, and items leave in the order of `add`. A refusal with
 *   `retry` holds back those behind it, for `retry_after_ms` or a while; any other refusal rejects the item's promise.
 * - An item whose fate is unknown (sent, not acknowledged, session lost) is sent again only while it is younger, since it
 *   was first sent, than `dedupWindowMs` less 30 s; then its promise rejects with `OUTCOME_UNKNOWN`. The event's id makes
 *   the second time a `duplicate` at the server.
 * - An item that was never sent may be older, up to the bounds of the queue: by default 100 items, 1 MiB, one hour. What
 *   does not fit rejects at once with `RATE_LIMITED`; what becomes too old rejects with `UNAVAILABLE`.
 * - Ages are the largest by any clock that is known: the elapsed time, which may stand still in a sleep, and the server's,
 *   or before the first session the device's, which may be set back. A store has the server's times alone.
 * - Items belong to the user in whose session they were added, or who was connected last; those from before the first
 *   session to the first who connects. When another user connects, those of the former are not sent: their promises
 *   reject, and in a store they stay for their owner.
 * - Without a store a queue keeps items in memory only, and all of it is lost with the page.
 */
export interface PublishQueue {
  /**
   * Takes a publish. The promise settles in any case: with the acknowledgement, a refusal, or when it is given up.
   *
   * @param signal ends the wait: an item that was not sent is taken out, one that was is forgotten, and in both cases
   * the promise rejects with the signal's reason
   */
  add(item: QueueItem, signal?: Signal): Promise<PublishResult>;
  /** A session stands. What waits is sent; what a store has of this user comes first. Called inside of a frame. */
  opened(session: QueueSession): void;
  /** The session is over. Promises of `QueueSession.send` have been rejected, or will be in this turn. */
  lost(): void;
  /**
   * The client is closed: every promise rejects, and nothing is sent any more. A store keeps its items for the next
   * client, unless `forget`: then those of the current user are removed from it, also where it was closed before. Resolves
   * when that is done, after a second at the latest.
   */
  close(forget: boolean): Promise<void>;
}

/** Makes the queue of a client. */
export type QueueFactory = (context: QueueContext) => PublishQueue;

export interface QueueContext {
  readonly clock: Clock;
  /** Where the client connects to: a part of a store's key. */
  readonly url: string;
  /** Problems that belong to no promise: a store that is full, or what an earlier page has left and was not published. */
  readonly report: (error: unknown) => void;
}
