/** What the engine reports of the lives of sessions and channels. Its receiver changes nothing by that. */

/** The kinds of events of a session, and those of a channel. */
export const SESSION_KINDS = ["connected", "subscribed", "unsubscribed", "disconnected"] as const;
export const CHANNEL_KINDS = ["occupied", "vacated"] as const;

/** The kinds of lifecycle events. */
export const LIFECYCLE_KINDS = [...SESSION_KINDS, ...CHANNEL_KINDS] as const;
export type LifecycleKind = (typeof LIFECYCLE_KINDS)[number];

/**
 * Something that has happened to a session, or to a channel: it has its first subscriber by name, or has lost the last.
 *
 * @example
 * { id: "0b6c…", kind: "subscribed", time: 1767225600000, sessionId: "n1.5f2e…", userId: "ada",
 *   clientId: "phone", clientType: "web", channel: "chat.1", code: 0, reason: "",
 *   sequence: 0 }
 */
export interface LifecycleEvent {
  /** The same however often the event is sent. */
  readonly id: string;
  readonly kind: LifecycleKind;
  /** When it happened, Unix milliseconds. */
  readonly time: number;
  /** Empty for an event of a channel, as are the next three. */
  readonly sessionId: string;
  /** The authenticated user; empty without authentication. */
  readonly userId: string;
  /** The client's own names for itself; never authenticated. */
  readonly clientId: string;
  readonly clientType: string;
  /** A channel or a pattern; empty for connected and disconnected. */
  readonly channel: string;
  /** Close code of disconnected; 1006 where the connection was lost, 0 for the other kinds. */
  readonly code: number;
  /** What the server has closed it for; empty otherwise. */
  readonly reason: string;
  /** Rises from event to event of a channel, from all reporters; 0 for an event of a session. */
  readonly sequence: number;
}

/** An event of a channel, which is of no session. */
export function channelEvent(
  event: Pick<LifecycleEvent, "channel" | "id" | "kind" | "sequence" | "time">,
): LifecycleEvent {
  const nobody = { sessionId: "", userId: "", clientId: "", clientType: "" };
  return { ...event, ...nobody, code: 0, reason: "" };
}

/** What became of the events since the start. */
export interface LifecycleStats {
  /** Events that wait for their backends now. */
  readonly waiting: number;
  /** Events that a backend has taken. */
  readonly delivered: number;
  /** Requests that a backend has not taken, each of which is repeated. */
  readonly failures: number;
  /** Events that were not taken: there were too many of them, or they were too old. */
  readonly overflowed: number;
  readonly expired: number;
}

/**
 * Takes the events of a node.
 *
 * - The events of one session are delivered in the order of the calls, each at least once, or at most as often
 *   where what keeps them ends with the process.
 * - Every `disconnected` follows a `connected` of the same session. A host that keeps events longer than the
 *   process lives reports `disconnected` of sessions whose node did not come to it.
 */
export interface Lifecycle {
  /** The kinds that it wants to hear of; the others cost nothing. */
  readonly kinds: ReadonlySet<LifecycleKind>;
  readonly stats: LifecycleStats;
  /**
   * Keeps events. Undefined where they are kept when it returns, else it resolves when they are.
   *
   * @throws MessagingError UNAVAILABLE where it is not known whether they are kept: they MAY be delivered all
   *   the same, and before those that are recorded after them
   */
  record(events: readonly LifecycleEvent[]): Promise<void> | undefined;
}
