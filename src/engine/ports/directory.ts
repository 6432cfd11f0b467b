/** Which sessions a user has and which channels there are, over all nodes. */
import type { Incident } from "./incidents.ts";
import type { Revocation } from "./revocations.ts";

/** A session that has authenticated as a user. */
export interface UserSession {
  /** Where there are several nodes it begins with its node's name and a dot. */
  readonly sessionId: string;
  /** When it connected, Unix milliseconds. */
  readonly since: number;
}

/** A channel that was published to, or had subscribers by name, within its position ttl. */
export interface ListedChannel {
  readonly channel: string;
  /** Members, as presence counts them; 0 in a channel without presence. */
  readonly members: number;
  /** Head of its log; undefined where the channel would have to be woken for it. */
  readonly head?: { readonly epoch: string; readonly offset: number } | undefined;
}

/** Which channels are asked for. */
export interface ChannelQuery {
  /** A pattern, or the name of one channel. */
  readonly pattern: string;
  /** Exclusive: channels after this name, which need not be a channel's. Empty begins at the first. */
  readonly after: string;
  /** Channels at most; at least 1. */
  readonly limit: number;
}

export interface ChannelPage {
  /** Ordered by the bytes of their names in UTF-8. */
  readonly channels: readonly ListedChannel[];
  /**
   * The next page begins after this name; undefined where there is none. A page MAY be short, and even
   * empty, although another follows.
   */
  readonly next: string | undefined;
  /** What has changed up to this time is part of the answer, Unix milliseconds. */
  readonly asOf: number;
}

/** What a node has reported of itself: it holds for as long as the node sleeps. */
export interface NodeReport {
  readonly gateway: string;
  /** When, Unix milliseconds by the clock of the node. */
  readonly time: number;
  /** Those that were asked for, by their names. */
  readonly figures: Readonly<Record<string, number>>;
  /** The newest last. */
  readonly incidents: readonly Incident[];
}

/** What the nodes of a region have reported. */
export interface RegionReport {
  readonly region: string;
  /** Undefined where its counters do not answer. */
  readonly report:
    | {
        /** Nodes that hold anything. */
        readonly gateways: number;
        /** Sums over the nodes. */
        readonly figures: Readonly<Record<string, number>>;
        /** What was so no later than then is part of it, Unix milliseconds. */
        readonly asOf: number;
        /** Nodes one by one, as far as they were asked for. */
        readonly loads: readonly NodeReport[];
      }
    | undefined;
}

/** What a session gets that has joined. */
export interface JoinAnswer {
  /** The user has as many sessions as it may: this one has not joined. */
  readonly full: boolean;
  /** What is revoked of the user, where the directory remembers it. */
  readonly revocations: readonly Revocation[];
}

/**
 * The directory of all nodes. Failures are MessagingErrors: UNAVAILABLE where it does not answer.
 *
 * What a node has reported of its sessions and has not taken back because it ended is forgotten after a while, or
 * when it starts again. No node is woken to be counted.
 */
export interface Directory {
  /**
   * A session of this node has authenticated as a user. When it resolves, a question about the user finds the
   * session. It is idempotent. Where it rejects the session may be found or not until it leaves.
   *
   * @param limit sessions that the user may have on all nodes. Default 0, which is any number
   */
  join(userId: string, session: UserSession, limit?: number): Promise<JoinAnswer>;
  /** A session that has joined, or was about to, has ended. Its id never comes back. */
  leave(userId: string, sessionId: string): void;
  /** A session of this node that had joined before the host slept. Hosts that never sleep leave it out. */
  restore?(userId: string, session: UserSession): void;
  /** The sessions of a user on all nodes. Some of them MAY have ended just now. */
  sessions(userId: string): Promise<readonly UserSession[]>;
  /** The nodes of these sessions do not know them: they have ended and were not taken back. */
  forget(userId: string, sessionIds: readonly string[]): void;
  /** One page of the channels. */
  channels(query: ChannelQuery): Promise<ChannelPage>;
  /**
   * What nodes have reported, of each region those first that have most of the first figure. Hosts whose nodes report
   * nothing, since they can be asked, leave it out.
   *
   * @param most nodes of a region
   */
  nodes?(figures: readonly string[], most: number): Promise<readonly RegionReport[]>;
}
