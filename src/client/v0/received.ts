/** What applications are told: messages, where they stand, and what is missing. */
import type * as core from "../core/message.ts";
import type { Position, SubscriptionAnswer } from "../wire/frames.ts";
import { type CloudEvent, normalized } from "./cloud-event.ts";

/** A delivered event and its place in the channel. */
export interface ReceivedMessage {
  /** `epoch-offset`, the same for every subscriber; of a message that is in no log a name of its own. */
  id: string;
  channel: string;
  /** Dense per channel and epoch, from 1; 0 of a message that is in no log, whose epoch is empty. */
  offset: bigint;
  epoch: string;
  /** When the server took the event, Unix milliseconds. */
  time: number;
  /** Who published it. Only `userId` is authenticated. */
  publisher: { clientId: string; userId: string; sessionId: string };
  /** Metadata of the publish request. */
  metadata: Readonly<Record<string, string>>;
  event: CloudEvent;
}

/** Where a published event stands. */
export interface PublishResult {
  offset: bigint;
  epoch: string;
  /** The event was in the log already; `offset` is where. */
  duplicate: boolean;
}

/** A subscription that the server's side has made, and where its channel stood then. */
export interface ServerSubscription {
  /** A channel or a pattern. */
  channel: string;
  /** The channel's log; of a pattern what its own position names. */
  epoch: string;
  /** The last event before the subscription; of a pattern a time in Unix milliseconds. */
  offset: bigint;
}

/** Messages that this client does not get. */
export interface Gap {
  /** The channel; a pattern where messages of channels may be missing that nobody knows of. */
  channel: string;
  /** `head_trimmed`, `expired`, `epoch_changed`, `limit` or `unavailable`. */
  reason: string;
  /** The missing messages lie after it. Undefined where it is not known. */
  after: { epoch: string; offset: bigint } | undefined;
  /** The last that is missing. */
  until: { epoch: string; offset: bigint } | undefined;
}

/** @throws RangeError where the event's time is none */
export function messageOf(message: core.ReceivedMessage): ReceivedMessage {
  const { id, channel, offset, epoch, time, publisher, metadata, event } = message;
  return {
    ...{ id, channel, epoch, time, metadata },
    offset: BigInt(offset),
    publisher: { ...publisher },
    event: normalized(event),
  };
}

/** A gap as programs of v0.1.1 get it, with offsets as `bigint`. */
export function gapOf({ channel, reason, after, until }: core.Gap): Gap {
  return { channel, reason, after: after && placeOf(after), until: until && placeOf(until) };
}

function placeOf({ epoch = "", offset = 0 }: Partial<Position> = {}): {
  epoch: string;
  offset: bigint;
} {
  return { epoch, offset: BigInt(offset) };
}

/** A subscription that the server has made. Where it says no position, that is the empty one, with offset 0n. */
export function serverSubscription({
  channel = "",
  position,
}: SubscriptionAnswer): ServerSubscription {
  return { channel, ...placeOf(position) };
}
