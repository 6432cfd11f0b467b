/** What applications receive. */
import type { Position, WireGap, WireMember, WireMessage, WirePublisher } from "../wire/frames.ts";
import { type CloudEvent, fromWireEvent } from "./cloud-event.ts";

/** Who somebody is. */
export interface Identity {
  /** The client's own name for itself; it proves nothing. */
  readonly clientId: string;
  /** Who authentication says it is; empty without authentication. */
  readonly userId: string;
  readonly sessionId: string;
}

/** A delivered event and its place in the channel. */
export interface ReceivedMessage<T = unknown> {
  /** `epoch-offset`, the same for every subscriber; of a message that is in no log a name of its own. */
  readonly id: string;
  /** The channel, also where a pattern has brought it; empty where the server has sent it to the session itself. */
  readonly channel: string;
  /** Dense per channel and epoch, from 1; 0 of a message that is in no log, whose epoch is empty. */
  readonly offset: number;
  readonly epoch: string;
  /** When the server took the event, Unix milliseconds. */
  readonly time: number;
  /** It was missed, or asked for, and comes out of the log. */
  readonly replay: boolean;
  /** Who published it. Only `userId` is authenticated. */
  readonly publisher: Identity;
  /** Metadata of the publish request. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The event's data. */
  readonly data: T;
  readonly event: CloudEvent<T>;
}

/** Messages that a subscriber does not get. */
export interface Gap {
  /** The channel; a pattern where messages of channels may be missing that nobody knows of. */
  readonly channel: string;
  /**
   * `head_trimmed`: the log holds no more; `expired`: they were too old; `epoch_changed`: the log has begun anew; `limit`:
   * too many for one replay, history has them; `unavailable`: not known.
   */
  readonly reason: string;
  /** The missing messages lie after it. Undefined where it is not known. */
  readonly after: Position | undefined;
  /** The last that is missing. In the epoch of `after` the offsets between them are the hole. */
  readonly until: Position | undefined;
}

/** One user on one client, with any number of sessions. */
export interface Member {
  readonly userId: string;
  readonly clientId: string;
  /** Only where both other names are empty: then every session is a member. */
  readonly sessionId: string;
  /** When it joined, Unix milliseconds. */
  readonly time: number;
}

/** @throws what is wrong with an event that applications have no form for */
export function receivedMessage({
  id = "",
  channel = "",
  offset = 0,
  epoch = "",
  time = 0,
  replay = false,
  publisher,
  metadata = {},
  payload = {},
}: WireMessage): ReceivedMessage {
  const event = fromWireEvent(payload);
  const { data } = event;
  const who = identityOf(publisher);
  // Written out: to spread one object into another takes longer than all the rest of a message.
  return { id, channel, offset, epoch, time, replay, publisher: who, metadata, data, event };
}

/** A gap, with all that may be missing on the wire. Without a reason it is `unavailable`, which promises nothing. */
export function gapOf({ channel = "", reason = "unavailable", after, until }: WireGap): Gap {
  return { channel, reason, after, until };
}

/** A member of a channel. `time` is when it joined, Unix milliseconds; 0 where the server does not say. */
export function memberOf(member: WireMember): Member {
  return { ...identityOf(member), time: member.time ?? 0 };
}

/** Who somebody is. What is not known is empty, as on the wire; of a message without a publisher that is all of it. */
export function identityOf({
  client_id: clientId = "",
  user_id: userId = "",
  session_id: sessionId = "",
}: WirePublisher = {}): Identity {
  return { clientId, userId, sessionId };
}
