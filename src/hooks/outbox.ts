/** Where lifecycle events wait until a backend has taken them, as each host keeps them. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  LIFECYCLE_KINDS,
  type LifecycleEvent,
  type LifecycleKind,
} from "../engine/ports/lifecycle.ts";
import { LifecycleRecordSchema } from "../protocol/gen/messageloop/internal/v1/lifecycle_pb.js";

/** Events that one outbox keeps at most; beyond that the oldest are dropped. */
export const MAX_EVENTS = 100_000;
/** How long an event waits at most, in milliseconds. */
export const MAX_AGE_MS = 24 * 60 * 60_000;

/** The last millisecond that a timestamp of protobuf can have, since 1970. */
const LAST_TIME = 253_402_300_799_999;

/** Where an event is in its outbox. */
export type Place = number | string;

export interface OutboxRow {
  readonly place: Place;
  readonly event: LifecycleEvent;
}

export interface OutboxPage {
  readonly rows: readonly OutboxRow[];
  /** The next page begins after it; undefined where nothing was left after this one. */
  readonly next: Place | undefined;
}

/**
 * Events in the order in which they were added. It drops the oldest beyond MAX_EVENTS and counts them.
 *
 * An outbox that outlives the process remembers which sessions are connected, and takes the `disconnected` of one
 * once, from any node.
 */
export interface Outbox {
  /** Whether it does; then it has to learn of every `connected`, wanted or not. */
  readonly remembers: boolean;
  /** Events that wait. */
  readonly size: number;
  /** Events that were dropped because there were too many. */
  readonly overflowed: number;
  /**
   * Undefined where they are kept when it returns, else it resolves when they are.
   *
   * @throws MessagingError UNAVAILABLE where that is not known; they MAY still be
   */
  add(events: readonly LifecycleEvent[]): Promise<void> | undefined;
  /**
   * The oldest events after a place; undefined begins at the first.
   *
   * @param limit how many are looked at
   */
  read(after: Place | undefined, limit: number): OutboxPage | Promise<OutboxPage>;
  /** Calls back when events have come that no `add` has kept at once. An outbox without such leaves it out. */
  listen?(more: () => void): void;
  /** Events have been taken, or were given up. Never throws: what is not removed is sent again by a later life. */
  remove(rows: readonly OutboxRow[]): void;
}

/** An event as bytes. */
export function encodeEvent(event: LifecycleEvent): Uint8Array {
  return toBinary(
    LifecycleRecordSchema,
    create(LifecycleRecordSchema, {
      ...event,
      time: BigInt(event.time),
      sequence: BigInt(event.sequence),
    }),
  );
}

/**
 * Undefined for what is no event of a kind that is known here. Never throws.
 *
 * @param time stands in for that of the event where it has none, Unix milliseconds
 * @param sequence stands in for that of the event where it has none
 */
export function decodeEvent(bytes: Uint8Array, time = 0, sequence = 0): LifecycleEvent | undefined {
  try {
    const record = fromBinary(LifecycleRecordSchema, bytes);
    const { id, sessionId, userId, clientId, clientType, channel, code, reason } = record;
    const kind = LIFECYCLE_KINDS.find((known) => known === record.kind);
    if (kind === undefined || id === "") return undefined;
    const event = {
      id,
      kind,
      time: Number(record.time) || time,
      sessionId,
      userId,
      clientId,
      clientType,
      channel,
      code,
      reason,
      sequence: Number(record.sequence) || sequence,
    };
    // What cannot be written in any form would be tried for ever.
    const written = event.time >= 0 && event.time <= LAST_TIME;
    return written && Number.isSafeInteger(event.sequence) ? event : undefined;
  } catch {
    return undefined;
  }
}

/** What becomes the end of a session whose node does not come to report it; its time is yet to be filled in. */
export function lostEnd(connected: LifecycleEvent, id: string): LifecycleEvent {
  return { ...connected, id, kind: "disconnected" satisfies LifecycleKind, time: 0, code: 1006 };
}

/** What becomes the end of a channel whose last node does not come to report it; time and place are yet to be filled in. */
export function lostVacancy(occupied: LifecycleEvent, id: string): LifecycleEvent {
  return { ...occupied, id, kind: "vacated" satisfies LifecycleKind, time: 0, sequence: 0 };
}

/** What keeps its order: the events of one session, or of one channel. */
export function laneOf({ sessionId, channel }: LifecycleEvent): string {
  return sessionId === "" ? ` ${channel}` : sessionId;
}
