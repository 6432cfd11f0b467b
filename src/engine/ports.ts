/**
 * What the engine needs from a host. A host gives it time, randomness, a broker and one transport
 * per connection; the engine never touches a socket, a database or a platform API.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MemberSession, PresenceChange, Snapshot } from "../channels/presence.ts";
import type { Disconnect } from "../protocol/codes.ts";
import type { CloudEvent } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  Entry,
  EntryBody,
  NodeAnswer,
  NodeCall,
  SeenRecord,
  SeenRecordSchema,
  SessionMarks,
  SessionRecord,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { SizedFrame } from "../protocol/publication-frames.ts";

export type { Member, MemberSession, PresenceChange, Snapshot } from "../channels/presence.ts";

export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /**
   * Milliseconds since any moment, for measuring how long a client has been silent. A host that can
   * leaves out steps of the time of day, and time in which it could not read. Default: `now`.
   */
  steady?(): number;
}

export interface Random {
  /** A random UUID, version 4, unguessable. */
  uuid(): string;
}

/** What a log line carries beside its message; never a payload or a token. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Where operators read what happens. A logger that leaves out a level does not want it, and callers
 * write `logger.debug?.(…)`, so that its fields are not even made.
 */
export interface Logger {
  /** Something that an operator should know; never a client's address. */
  warn(message: string, fields?: LogFields): void;
  /** Something that changed and is no trouble, such as a connection that is back. */
  info?(message: string, fields?: LogFields): void;
  /** Single connections: opened, refused, closed. A client's address may stand here. */
  debug?(message: string, fields?: LogFields): void;
}

export interface Timers {
  /** Calls back once after `ms` milliseconds, unless what it returns is called first. */
  after(ms: number, callback: () => void): () => void;
}

/** Says that nobody waits for an answer any more: the client is gone or the deadline has passed. */
export interface Cancellation {
  readonly cancelled: boolean;
  /** Called once; at once when already cancelled. */
  onCancel(callback: () => void): void;
}

/** Who asks. Only `userId` is authenticated. */
export interface Caller {
  readonly sessionId: string;
  readonly clientId: string;
  readonly clientType: string;
  readonly userId: string;
}

export interface AuthenticateRequest {
  readonly token: string;
  readonly clientId: string;
  readonly clientType: string;
  readonly version: string;
  /** Made by the server, fresh for this connection. */
  readonly sessionId: string;
  /** Network address of the client; empty where the host does not know it. */
  readonly address: string;
}

export interface AuthorizeSubscribeRequest {
  /**
   * A channel, or a pattern with a word `*` or `**`. A pattern MUST be refused where any channel that it
   * stands for is: whoever is granted it gets live messages, history and presence of them all. For a list
   * of what is forbidden ask `overlaps(forbidden, channel)`, for one of what is allowed
   * `covers(allowed, channel)`; both take channels as well.
   */
  readonly channel: string;
  /** The subscription's own token, empty when there is none. */
  readonly token: string;
  readonly caller: Caller;
}

export interface RpcRequest {
  /** Id of the client's frame. */
  readonly id: string;
  readonly channel: string;
  readonly method: string;
  readonly payload: CloudEvent;
  readonly metadata: Readonly<Record<string, string>>;
  readonly caller: Caller;
}

/**
 * The application's backends. What a proxy leaves out is not asked: without `authenticate` everyone
 * is anonymous, without `authorizeSubscribe` every channel is open, without `rpc` a request comes
 * back as it was.
 *
 * - A refusal is a rejection with a MessagingError; its code, type, message and metadata reach the
 *   client. Any other rejection is a failure of the backend, and its text reaches nobody.
 * - A call MAY be cancelled; what it answers afterwards is ignored.
 */
export interface Proxy {
  authenticate?:
    | ((
        request: AuthenticateRequest,
        cancellation: Cancellation,
      ) => Promise<{ readonly userId: string }>)
    | undefined;
  authorizeSubscribe?:
    | ((request: AuthorizeSubscribeRequest, cancellation: Cancellation) => Promise<void>)
    | undefined;
  /** Resolves with the answer, or with undefined for an empty one. */
  rpc?:
    | ((request: RpcRequest, cancellation: Cancellation) => Promise<CloudEvent | undefined>)
    | undefined;
}

/** A place in a channel's log. */
export interface Position {
  /** One life of the log; never empty. */
  readonly epoch: string;
  /** Dense per channel from 1; 0 is the place before the first entry. */
  readonly offset: number;
}

/**
 * One connection, seen from the engine.
 *
 * - `write` MUST keep the order of calls, except that a connection that is backed up MAY let urgent
 *   frames overtake others, and MUST NOT throw for a connection that is gone.
 * - `close` MUST be idempotent and MUST NOT call back into the session.
 * - `save`, where a host can sleep, MUST keep the latest record for as long as the connection lives
 *   and hand it to `Engine.restore` when the host wakes. Hosts that never sleep leave it out.
 * - `mark` replaces the marks of the saved record. It is called far more often than `save` and SHOULD
 *   cost no storage write.
 * - `heard`, where a host answers heartbeats by itself, tells when it last did, by the clock's steady time.
 * - `pause` stops the reading of what the client sends until `resume`. Frames that were read before MAY still
 *   arrive. Hosts that cannot do that leave both out. `close` MUST go on reading.
 */
export interface Transport {
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
  save?(record: SessionRecord): void;
  mark?(marks: SessionMarks): void;
  heard?(): number;
  pause?(): void;
  resume?(): void;
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
export interface Registration {
  /** Head of the log: every later entry reaches the handler. */
  readonly position: Position;
  /** Of the last presence change: every later one reaches the handler. */
  readonly generation: number;
}

/** What a node learns when it begins to hear of a pattern's channels. */
export interface PatternRegistration {
  /**
   * A place in the time of all channels: every entry that is published after it reaches the handler. The
   * offset is in Unix milliseconds; another epoch means that the broker may have forgotten channels.
   */
  readonly position: Position;
}

/** Channels of a pattern in which something may have happened. */
export interface ActiveChannels {
  /** Those that may have been published to behind the place that was asked about. */
  readonly channels: readonly string[];
  /** Why there may have been others; undefined where there were none. */
  readonly gap: GapReason | undefined;
}

/** Which part of a channel's history is asked for. */
export interface HistoryFilter {
  /** Exclusive: entries behind it, or before it in reverse. Undefined begins at that end. */
  readonly since?: Position | undefined;
  /** Entries at most; 0 asks for the position only, -1 for all that is retained. */
  readonly limit: number;
  /** Newest first. */
  readonly reverse?: boolean;
  /** Bytes of entries at most; one entry always fits. Default what the broker takes for one answer. */
  readonly maxBytes?: number;
}

export interface HistoryPage {
  /** Head of the log. */
  readonly position: Position;
  /** Offset of the oldest entry that history holds; one past the head when it holds none. */
  readonly first: number;
  /** What became of the entry before that; undefined when there never was one. */
  readonly reason: GapReason | undefined;
  /** In the order that was asked for, dense. None where `since` is of another epoch. */
  readonly entries: readonly Entry[];
  /** There are more in this direction. A broker MAY stop short of the limit. */
  readonly more: boolean;
}

/** Why messages are missing. */
export type GapReason = "head_trimmed" | "expired" | "epoch_changed" | "limit" | "unavailable";

/** Entries that cannot be had: those behind `after`, up to and including `until`. */
export interface LogGap {
  readonly reason: GapReason;
  /** Undefined where it is not known. */
  readonly after: Position | undefined;
  readonly until: Position;
}

/**
 * What a broker calls.
 *
 * - Batches of one channel MUST come in the order of the log, dense inside one epoch: a hole is read
 *   from the log before anything behind it is handed over, and what cannot be read is told by `gap`.
 * - `gap` with `epoch_changed` MUST come before the first batch of another epoch, where the node knows
 *   the one before, and before a `subscribe` answers with it; after it nothing of an older epoch may come.
 * - `patternGap` tells that channels may have been missed which the node does not know.
 * - An entry MUST NOT be handed over twice in one life of the node.
 * - Presence changes MUST come in the order of their generations, each once. Where some were lost,
 *   `presenceLost` is called with what holds now.
 * - The handler is synchronous and never throws: fan-out does not wait for a subscriber.
 */
export interface BrokerHandler {
  publications(channel: string, epoch: string, entries: readonly Entry[]): void;
  gap(channel: string, gap: LogGap): void;
  patternGap(pattern: string, gap: LogGap): void;
  presence(channel: string, epoch: string, changes: readonly PresenceChange[]): void;
  presenceLost(channel: string, epoch: string, snapshot: Snapshot): void;
}

/**
 * A cluster of channels, seen from one node.
 *
 * - `subscribe` registers the node. It may be called again while registered.
 * - `unsubscribe` ends the node's interest; later entries MAY still arrive and are ignored.
 * - `subscribePattern` does the same for every channel that a pattern stands for, those that do not exist
 *   yet included: what is published after it has resolved reaches the handler. It may be called again.
 *   An entry that the node hears by several ways is handed over once.
 * - `active` names the channels of a pattern that may have been published to behind a place that
 *   `subscribePattern` has given, at most so many, those that were published to last first. It is asked with
 *   any place that a client makes up, so it MUST NOT look at more than MAX_PATTERN_LOOKS channels, whether
 *   they fit or not, before it answers with what it found and the gap `limit`.
 * - `publish` answers when the entry is in the log and its delivery is under way. Publishes of one
 *   node to one channel take effect in the order of the calls.
 * - `room` says how many bytes of publishes the node can take for a channel now, where they wait in the node.
 * - `join` and `leave` tell that a session is present in a channel, and that it is not any more. They
 *   are idempotent and take effect in the order of the calls. `leave` without `clean` leaves room for
 *   the grace period. What a node has not told because it ended is told by the broker, once.
 * - `history` answers one page. `presence` lists members, at most so many. Neither begins a channel that does
 *   not exist: it is an empty one.
 * - Failures are MessagingErrors: UNAVAILABLE where the outcome is unknown, RATE_LIMITED where the
 *   node's own queue is full and nothing was sent.
 */
export interface Broker {
  start(handler: BrokerHandler): void;
  subscribe(channel: string): Promise<Registration>;
  unsubscribe(channel: string): void;
  subscribePattern(pattern: string): Promise<PatternRegistration>;
  unsubscribePattern(pattern: string): void;
  active(pattern: string, since: Position, limit: number): Promise<ActiveChannels>;
  publish(channel: string, command: PublishCommand): Promise<PublishResult>;
  room?(channel: string): number;
  join(channel: string, session: MemberSession): Promise<void>;
  leave(channel: string, sessionId: string, clean: boolean): void;
  history(channel: string, filter: HistoryFilter): Promise<HistoryPage>;
  /** Takes every entry out of history; epoch and offsets go on. */
  removeHistory(channel: string): Promise<void>;
  presence(channel: string, limit: number): Promise<PresenceSnapshot>;
  /**
   * The last position of a channel that was handed to the handler, where the node hears the channel, by
   * itself or by a pattern, and knows it.
   */
  seen(channel: string): Position | undefined;
  /**
   * Whether the broker has a channel already, so that a subscription or a publish begins none. A broker that
   * cannot tell at once leaves it out.
   */
  knows?(channel: string): boolean;
  /**
   * What must outlive a sleep of the host for a channel: handed back to `recall` when it wakes. Hosts
   * that never sleep leave all three out.
   */
  remember?(channel: string): MessageInitShape<typeof SeenRecordSchema> | undefined;
  recall?(record: SeenRecord): void;
  /** Channels that are heard by patterns alone, and were heard so lately that they must be remembered. */
  lately?(): Iterable<string>;
  /**
   * Whether what is published elsewhere reaches this node. A host is not ready for clients while it is
   * false; a broker that leaves it out always is.
   */
  readonly ready?: boolean;
  /** The other nodes, where there may be any. */
  readonly cluster?: Cluster;
  /** Hands over now what waits for a later turn: the host is about to stop. */
  flush?(): void;
  /**
   * Forgets some of what nobody needs any more. A host calls it now and then, at least once a minute; what
   * takes longer than a few milliseconds is for timers of the broker's own.
   */
  sweep?(): void;
}

/** Messages of other nodes that were not obeyed, by reason. */
export interface RefusedMessages {
  /** Nobody has signed it who knows the secret. */
  readonly unsigned: number;
  /** It is for another node, or another life of this one. */
  readonly misdirected: number;
  /** It has been heard before. */
  readonly replayed: number;
}

/**
 * The other nodes, which have the sessions that this one has not. A node is one life of a process, and
 * the ids of its sessions begin with its name and a dot.
 *
 * - `start` gives what answers the calls of others. It rejects with what the caller is to be told.
 * - `others` resolves with the names of those that are there now.
 * - `call` resolves with the answer, or undefined where there is no such node.
 * - Failures are MessagingErrors: UNAVAILABLE where it is not known who is there, or whether the call
 *   took effect; what the other node says otherwise.
 */
export interface Cluster {
  /** This node's name. */
  readonly node: string;
  readonly refused: RefusedMessages;
  start(answer: (call: NodeCall) => Promise<NodeAnswer["answer"]>): void;
  others(): Promise<readonly string[]>;
  call(node: string, call: NodeCall, timeoutMs: number): Promise<NodeAnswer["answer"] | undefined>;
}

/** Who is present, and in which life of the log. */
export interface PresenceSnapshot extends Snapshot {
  readonly epoch: string;
}
