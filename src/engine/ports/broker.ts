/** What the engine needs from a cluster of channels, and what that calls back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MemberSession, PresenceChange, Snapshot } from "../../channels/presence.ts";
import type {
  Entry,
  EntryBody,
  SeenRecord,
  SeenRecordSchema,
  Transient,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Cluster } from "./cluster.ts";
import type { Directory } from "./directory.ts";
import type { Revocations } from "./revocations.ts";

/** A place in a channel's log. */
export interface Position {
  /** One life of the log; never empty. */
  readonly epoch: string;
  /** Dense per channel from 1; 0 is the place before the first entry. */
  readonly offset: number;
}

/** A publish as it reaches the broker: validated, canonical, encoded. */
export interface PublishCommand {
  /**
   * Dedup key. A broker that retries MUST reuse it; a second publish with the same key is answered
   * with the first one's position.
   */
  readonly key: string;
  readonly body: EntryBody;
}

export interface PublishResult {
  readonly position: Position;
  /** The key was in the log already; position is the first one's. */
  readonly duplicate: boolean;
}

/** What a node learns when it subscribes, all from one step of the channel. */
export interface SubscribeResult {
  /** Head of the log: every later entry reaches the handler. */
  readonly position: Position;
  /** Of the last presence change: every later one reaches the handler. */
  readonly generation: number;
  /** What history held in that moment, of the position's epoch. Undefined where it was not looked at. */
  readonly held?: Held | undefined;
}

/** What history holds of a channel: all entries from one on. */
export interface Held {
  /** Offset of the oldest entry; one past the head where there is none. */
  readonly first: number;
  /** What became of the entry before that; undefined where there never was one. */
  readonly reason: GapReason | undefined;
}

/** What a node learns when it begins to hear of a pattern's channels. */
export interface PatternSubscribeResult {
  /**
   * A place in the time of all channels: every entry that is published after it reaches the handler. The
   * offset is in Unix milliseconds; another epoch means that the broker may have forgotten channels.
   */
  readonly position: Position;
}

/** Channels of a pattern in which something may have happened. */
export interface ActiveChannels {
  /** Those that may have been published to after the place that was asked about. */
  readonly channels: readonly string[];
  /** Why there may have been others; undefined where there were none. */
  readonly gap: GapReason | undefined;
}

/** Which part of a channel's history is asked for. */
export interface HistoryFilter {
  /** Exclusive: entries after it, or before it in reverse. Undefined begins at that end. */
  readonly since?: Position | undefined;
  /** Entries at most; 0 asks for the position only, -1 for all that is retained. */
  readonly limit: number;
  /** Newest first. */
  readonly reverse?: boolean;
  /** Bytes of entries at most; one entry always fits. Default what the broker takes for one answer. */
  readonly maxBytes?: number;
}

export interface HistoryPage extends Held {
  /** Head of the log. */
  readonly position: Position;
  /** In the order that was asked for, dense. None where `since` is of another epoch. */
  readonly entries: readonly Entry[];
  /** There are more in this direction. A broker MAY stop short of the limit. */
  readonly more: boolean;
}

/** Why messages are missing. */
export type GapReason = "head_trimmed" | "expired" | "epoch_changed" | "limit" | "unavailable";

/** Entries that cannot be had: those after `after`, up to and including `until`. */
export interface LogGap {
  readonly reason: GapReason;
  /** Undefined where it is not known. */
  readonly after: Position | undefined;
  readonly until: Position;
}

/** The members, and in which life of the log. */
export interface PresenceSnapshot extends Snapshot {
  readonly epoch: string;
}

/**
 * What a broker calls. The handler is synchronous and never throws: fan-out does not wait for a subscriber.
 */
export interface BrokerHandler {
  /**
   * Batches of one channel MUST come in the order of the log, dense inside one epoch: a hole is read from the
   * log before anything after it is handed over, and what cannot be read is reported by `gap`. An entry MUST NOT
   * be handed over twice in one life of the node.
   */
  publications(channel: string, epoch: string, entries: readonly Entry[]): void;
  /**
   * With `epoch_changed` it MUST come before the first batch of another epoch, where the node knows the one
   * before, and before a `subscribe` answers with it; after it nothing of an older epoch may come.
   */
  gap(channel: string, gap: LogGap): void;
  /** Channels may have been missed which the node does not know. */
  patternGap(pattern: string, gap: LogGap): void;
  /** Messages outside of the log. One MUST NOT be handed over twice in one life of the node. */
  transients(channel: string, messages: readonly Transient[]): void;
  /** Changes MUST come in the order of their generations, each once. */
  presence(channel: string, epoch: string, changes: readonly PresenceChange[]): void;
  /** Changes were lost; the snapshot is what holds now. */
  presenceLost(channel: string, epoch: string, snapshot: Snapshot): void;
}

/**
 * What the sessions of a node want to hear now. It answers at once, and as it is at that moment: sessions come and go. The
 * engine's hub is one.
 */
export interface Interest {
  /** Whether a session is subscribed to the channel by its name. */
  hasDirectSubscriber(channel: string): boolean;
  /** Whether a session is subscribed to the channel, by its name or by a pattern. */
  hasAnySubscriber(channel: string): boolean;
  /** Whether a subscription to the channel has begun, by name or by a pattern: it may be owed what is on the way. */
  hasActiveSubscriber(channel: string): boolean;
  /** Whether a session with the channel hears of joins and leaves. */
  hasPresenceFollower(channel: string): boolean;
  /** The sessions that are present in the channel. */
  members(channel: string): Iterable<MemberSession>;
  /** Whether a session is subscribed to the pattern. */
  hasPattern(pattern: string): boolean;
  /** Whether a session with the pattern hears of joins and leaves. */
  hasPatternPresenceFollower(pattern: string): boolean;
  /** The patterns that sessions are subscribed to, each once. */
  patterns(): Iterable<string>;
}

/**
 * A cluster of channels, seen from one node.
 *
 * Failures are MessagingErrors: UNAVAILABLE where the outcome is unknown, RATE_LIMITED where the node's own
 * queue is full and nothing was sent.
 */
export interface Broker {
  /**
   * Called once, before anything else.
   *
   * @param handler takes what the broker delivers
   * @param interest what sessions want to hear; a broker that hands over everything, or keeps count by itself, may
   * leave it alone
   */
  start(handler: BrokerHandler, interest: Interest): void;
  /** Registers the node. It may be called again while registered. */
  subscribe(channel: string): Promise<SubscribeResult>;
  /** Ends the node's interest; later entries MAY still arrive and are ignored. */
  unsubscribe(channel: string): void;
  /**
   * Registers the node for every channel that a pattern stands for, those that do not exist yet included:
   * what is published after it has resolved reaches the handler. It may be called again. An entry that the
   * node hears by several ways is handed over once.
   */
  subscribePattern(pattern: string): Promise<PatternSubscribeResult>;
  /** Ends the interest in a pattern, as `unsubscribe` does in a channel. */
  unsubscribePattern(pattern: string): void;
  /**
   * Names the channels of a pattern that may have been published to after a place that `subscribePattern` has
   * given, at most so many, those that were published to last first. It is asked with any place that a client
   * makes up, so it MUST NOT look at more than MAX_PATTERN_LOOKS channels, whether they fit or not, before it
   * answers with what it found and the gap `limit`.
   */
  activeChannels(pattern: string, since: Position, limit: number): Promise<ActiveChannels>;
  /**
   * Answers when the entry is in the log and its delivery is under way. Publishes of one node to one channel
   * take effect in the order of the calls.
   */
  publish(channel: string, command: PublishCommand): Promise<PublishResult>;
  /**
   * Hands a message to every node that hears the channel now, outside of the log: nothing keeps it, and a node
   * that cannot be reached misses it. Answers when its delivery is under way. A broker that cannot leaves it
   * out.
   */
  transmit?(channel: string, message: Transient): Promise<void>;
  /** How many bytes of publishes the node can take for a channel now, where they wait in the node. */
  room?(channel: string): number;
  /**
   * A session is present in a channel. `join` and `leave` are idempotent and take effect in the order of the
   * calls. What a node has not reported because it ended is reported by the broker, once.
   */
  join(channel: string, session: MemberSession): Promise<void>;
  /** A session is not present any more. Without `clean` it leaves room for the grace period. */
  leave(channel: string, sessionId: string, clean: boolean): void;
  /** Answers one page. It does not begin a channel that does not exist: that is an empty one. */
  history(channel: string, filter: HistoryFilter): Promise<HistoryPage>;
  /** Takes every entry out of history; epoch and offsets go on. */
  removeHistory(channel: string): Promise<void>;
  /** Lists members, at most so many. It does not begin a channel that does not exist: that is an empty one. */
  presence(channel: string, limit: number): Promise<PresenceSnapshot>;
  /**
   * The last position of a channel that was handed to the handler, where the node hears the channel, by
   * itself or by a pattern, and knows it.
   */
  position(channel: string): Position | undefined;
  /**
   * Whether the broker has a channel already, so that a subscription or a publish begins none. A broker that
   * cannot know at once leaves it out.
   */
  knows?(channel: string): boolean;
  /**
   * What must outlive a sleep of the host for a channel: handed back to `restore` when it wakes. Hosts
   * that never sleep leave `snapshot`, `restore` and `recentChannels` out.
   */
  snapshot?(channel: string): MessageInitShape<typeof SeenRecordSchema> | undefined;
  /** Takes back what `snapshot` gave before a sleep. */
  restore?(record: SeenRecord): void;
  /** Channels that are heard by patterns alone, and were heard so lately that the sleep must keep them. */
  recentChannels?(): Iterable<string>;
  // What a broker may be able to do beyond that. A host asks for it where it is there.
  /**
   * Whether what is published elsewhere reaches this node. A host is not ready for clients while it is
   * false; a broker that leaves it out always is.
   */
  readonly ready?: boolean;
  /** The other nodes, where there may be any. It MUST be the same for the broker's whole life. */
  readonly cluster?: Cluster;
  /**
   * Finds sessions by their user, and lists channels. A broker that cannot, or that is not asked to, leaves it
   * out. It MUST be the same for the broker's whole life.
   */
  readonly directory?: Directory | undefined;
  /**
   * Remembers which tokens are revoked. A broker that cannot leaves it out. It MUST be the same for the broker's whole
   * life.
   */
  readonly revocations?: Revocations | undefined;
  /**
   * The host is about to stop: hands over now what waits for a later turn. A broker that cannot do it at once
   * resolves when it is done; the host waits for as long as its clients may take to go.
   */
  flush?(): void | Promise<void>;
  /**
   * Forgets some of what is not needed any more. A host calls it now and then, at least once a minute; what
   * takes longer than a few milliseconds is for timers of the broker's own.
   */
  sweep?(): void;
}
