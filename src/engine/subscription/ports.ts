/** What the subscriptions of a session need of the session and of the node around it. */
import type { Snapshot } from "../../channels/presence.ts";
import type { RuleBook } from "../../channels/rules.ts";
import type { FrameStamp } from "../../protocol/publication-frames.ts";
import type { Authorizer, Subject } from "../ports/access.ts";
import type { Broker, LogGap, Position } from "../ports/broker.ts";
import type { Logger } from "../ports/platform.ts";
import type { Settings } from "../settings/settings.ts";
import type { Turns } from "../turns.ts";
import type { Hub } from "./hub.ts";
import type { Origin, Subscriber } from "./listener.ts";
import type { SharedReads } from "./recovery/shared-reads.ts";
import type { PresenceNotice } from "./replay-buffer.ts";

/** What the channels of a session need from the node around them. */
export interface ChannelsHost {
  readonly hub: Hub;
  readonly broker: Broker;
  readonly logger: Logger;
  readonly rules: RuleBook;
  readonly authorizer: Authorizer;
  /** What every frame of publications takes from the node. */
  readonly stamp: FrameStamp;
  /** Messages read from the log for sessions that had missed them. */
  readonly counters: { replayed: number };
  /** The members of a channel, for sessions that have missed changes. */
  presenceNotice(channel: string, epoch: string, snapshot: Snapshot): PresenceNotice;
  /** How the reads of all sessions share the event loop. */
  readonly turns: Turns;
  /** What sessions that come back have read of logs, for those that have missed the same. */
  readonly reads: SharedReads;
  /** How many subscriptions a session may have, and what one request may replay. */
  readonly settings: Pick<Settings, "maxSubscriptions" | "recoveryMessages" | "recoveryBytes">;
}

/** The session, as its channels see it. */
export interface ChannelsOwner extends Subscriber {
  /** Whether the session has ended meanwhile. */
  readonly ended: boolean;
  /** The client, as rules and grants decide about it, unless the host has let it in by itself. */
  readonly client: { readonly admitted: boolean; readonly subject: Subject };
  tellRecovered(channel: string, position: Position, gap: LogGap | undefined): void;
}

/** What a request to join means for the session that makes it. */
export interface JoinTerms {
  /** An extended client keeps what was granted; a v1 client gets all or nothing. */
  readonly extended: boolean;
  /** Whether the client may ask for what it missed. */
  readonly recovery: boolean;
  /**
   * Whether the client asks: then channels that are new count against it, and a request for more than it may have ends
   * its session. Of what others give to it only what is too much is refused.
   */
  readonly byClient: boolean;
  /** Resolves with whose doing the subscription is. Rejects with a MessagingError where this session may not subscribe. */
  authorize(channel: string, token: string): Promise<Origin>;
}
