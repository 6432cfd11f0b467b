/**
 * The coordinator of one node: sessions, hub and broker. Hosts create sessions through it and give
 * it what the broker delivers; it never touches a socket or a database.
 */
import { checkChannel } from "../channels/names.ts";
import { canonicalEvent } from "../protocol/cloudevents.ts";
import type { Encoding } from "../protocol/codec.ts";
import { disconnectFor } from "../protocol/codes.ts";
import { MessagingError } from "../protocol/errors.ts";
import type { CloudEvent } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SessionRecord } from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  MAX_PRESENCE_MEMBERS,
  MAX_REVOCATION_MS,
  MAX_SURVEY_AUDIENCE,
  MAX_SURVEY_TIMEOUT_MS,
  SURVEY_TIMEOUT_MS,
} from "../protocol/limits.ts";
import { brokerHandler } from "./broker-handler.ts";
import {
  type ChannelResults,
  ClusterCalls,
  type SessionsOutcome,
  type SubscribeOutcome,
  type TraceOutcome,
} from "./cluster-calls.ts";
import type { HostCounters } from "./counters.ts";
import type { TraceTerms } from "./frames/traces.ts";
import { Node, type NodeOptions } from "./node.ts";
import { type ClientSession, NodeSessions } from "./node-sessions.ts";
import type { Authorizer } from "./ports/access.ts";
import type { Backends } from "./ports/backends.ts";
import type {
  Broker,
  HistoryFilter,
  HistoryPage,
  PresenceSnapshot,
  PublishResult,
} from "./ports/broker.ts";
import type { ChannelPage, ChannelQuery, Directory, UserSession } from "./ports/directory.ts";
import type { Peer, Transport } from "./ports/transport.ts";
import { publish, transmit } from "./publishing/server-publish.ts";
import { checkedRevocation, type RevokeOptions } from "./revocation/check.ts";
import {
  applicationEvent,
  bodyOf,
  checkCount,
  type PublishOptions,
  type SessionMessageOptions,
  type TransmitOptions,
} from "./session/application-values.ts";
import { tokenDue } from "./session/expiry/token-due.ts";
import { Session } from "./session/session.ts";
import type { SendCall, StreamTerms } from "./session/stream/sends.ts";
import type { Settings } from "./settings/settings.ts";
import { traced } from "./spans.ts";
import { type EngineStats, statsOf } from "./stats.ts";
import type { Audience } from "./subscription/hub.ts";
import type { SurveyOptions, SurveyOutcome } from "./survey/outcome.ts";
import type { OpenSurveys } from "./survey/surveys.ts";

export type { ClientSession } from "./node-sessions.ts";
export type { RevokeOptions } from "./revocation/check.ts";
export type {
  PublishOptions,
  SessionMessageOptions,
  TransmitOptions,
} from "./session/application-values.ts";
export type EngineOptions = NodeOptions;

/** When sessions have to be looked at again, by the clock's steady time in milliseconds. */
export interface NextExpiry {
  /** The earliest end of a connection that has not sent connect; undefined when there is none. */
  readonly connect: number | undefined;
  /** The earliest possible end of a silent session; undefined when there is none. */
  readonly idle: number | undefined;
  /** The first moment at which a token expires or its client has to hear of that; undefined when there is none. */
  readonly token: number | undefined;
}

/**
 * One node: its sessions, and calls of the server's side to sessions and channels of the whole deployment.
 *
 * @example
 * const { engine } = createServer({ config });
 * const { position } = await engine.publish("news", toWireEvent(event));
 */
export class Engine {
  readonly broker: Broker;
  /** The application's backends. */
  readonly backends: Backends;
  /** Rules and grants, for doors that let a client in by themselves. */
  readonly authorizer: Authorizer;
  readonly settings: Settings;
  /** The listeners of each channel on this node. */
  readonly hub: Audience;
  readonly surveys: OpenSurveys;
  /** What hosts see that the engine does not. */
  readonly counters: HostCounters;
  readonly #node: Node;
  readonly #calls: ClusterCalls;

  constructor(options: EngineOptions) {
    const node = new Node(options);
    this.#node = node;
    this.broker = node.broker;
    this.backends = node.backends;
    this.authorizer = node.authorizer;
    this.settings = node.settings;
    this.hub = node.hub;
    this.surveys = node.surveys;
    this.counters = node.counters;
    this.broker.start(brokerHandler(node), node.hub);
    const sessions = new NodeSessions(node);
    this.broker.revocations?.start((...terms) => sessions.revoke(...terms));
    this.#calls = new ClusterCalls(node.broker.cluster, sessions, node.surveys, node.traces);
  }

  /** @deprecated Use `backends`. */
  get proxy(): Backends {
    return this.backends;
  }

  /** Number of sessions, connected or not yet. */
  get sessionCount(): number {
    return this.#node.sessions.size;
  }

  /** A session for a fresh connection. Its id is public and proves nothing. */
  accept(
    transport: Transport,
    id: string,
    encoding: Encoding,
    peer: Peer = { address: "" },
  ): ClientSession {
    this.#node.counters.opened += 1;
    return this.#register(new Session(this.#node, transport, id, encoding, peer));
  }

  /**
   * A session whose client sends by calls of their own: what is written first is `opened`, when the host has handed
   * over its connect, and what `send` brings comes beside that.
   */
  open(
    transport: Transport,
    id: string,
    encoding: Encoding,
    terms: StreamTerms,
    peer: Peer = { address: "" },
  ): ClientSession {
    this.#node.counters.opened += 1;
    const session = this.#register(new Session(this.#node, transport, id, encoding, peer));
    session.open(terms);
    return session;
  }

  /**
   * Takes messages of a client whose session `open` has made, on whichever node it is.
   *
   * @returns the last number of which all messages have been taken; undefined where there is no such session
   *   with that secret
   * @throws MessagingError BAD_REQUEST for what cannot be taken, UNAVAILABLE where the session's node does not
   *   answer: the same call may be made again
   */
  async send(call: SendCall): Promise<number | undefined> {
    return await this.#calls.send(call);
  }

  /**
   * A session as it was before the host slept: its subscriptions are live again. Nothing is sent, unless rules of
   * access that have come meanwhile take some of them away.
   */
  restore(transport: Transport, record: SessionRecord): ClientSession {
    for (const seen of record.marks?.seenChannels ?? []) this.broker.restore?.(seen);
    const { connected, sessionId, userId } = record;
    if (connected && userId !== "") {
      this.broker.directory?.restore?.(userId, { sessionId, since: this.#node.clock.now() });
    }
    const session = this.#register(Session.restore(this.#node, transport, record));
    const { standard, rules } = this.settings.access;
    if (rules.length > 0 || standard === "deny") session.leaveDisallowed();
    return session;
  }

  /** The sessions of this node, connected or not yet. */
  sessions(): readonly ClientSession[] {
    return [...this.#node.sessions.values()];
  }

  /** The session with this id on this node, if there is one. */
  session(id: string): ClientSession | undefined {
    return this.#node.sessions.get(id);
  }

  /**
   * Ends a session, on whichever node it is.
   *
   * @param code a code of the table, 1000, or one from 3000 to 4999; the application's own are those from 4000
   * @param reason cut to 123 bytes of UTF-8; the table's when left out or empty
   * @returns whether there was such a session
   * @throws MessagingError BAD_REQUEST for any other code and for no text, UNAVAILABLE where its node does not answer
   */
  async disconnect(sessionId: string, code: number, reason?: string): Promise<boolean> {
    const known = disconnectFor(code) !== undefined || code === 1000;
    if (!known && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw new MessagingError("BAD_REQUEST", `${code} is no disconnect code`);
    }
    if (reason !== undefined && typeof reason !== "string") {
      throw new MessagingError("BAD_REQUEST", "the reason is no text");
    }
    return await this.#calls.disconnect(sessionId, code, reason?.toWellFormed() || undefined);
  }

  /**
   * Ends the sessions of a user, on all nodes.
   *
   * @param code as `disconnect` takes it
   * @returns how many there were
   * @throws MessagingError as `disconnect` does, UNIMPLEMENTED without a directory; some of the sessions may have
   * ended then
   */
  async disconnectUser(userId: string, code: number, reason?: string): Promise<number> {
    const ids = (await this.sessionsOf(userId)).map(({ sessionId }) => sessionId);
    const outcomes = await Promise.allSettled(ids.map((id) => this.disconnect(id, code, reason)));
    const failure = outcomes.find(({ status }) => status === "rejected");
    if (failure?.status === "rejected") throw failure.reason;
    const gone = ids.filter((_, i) => (outcomes[i] as PromiseFulfilledResult<boolean>).value);
    this.#forget(userId, ids, gone);
    return gone.length;
  }

  /**
   * Revokes tokens of a user before they expire: the one with this id, or all that were issued up to now. Sessions that
   * have come by them end with 3500 within 10 s, on every node that can be reached, and no new one begins.
   *
   * @returns whether that is still known when every process of the deployment has been killed
   * @throws MessagingError BAD_REQUEST for what is no user, token or time, UNIMPLEMENTED where nobody remembers it,
   * RATE_LIMITED where too much is revoked already, UNAVAILABLE where it is not known whether it is remembered
   */
  async revoke(
    userId: string,
    { tokenId, until }: RevokeOptions = {},
  ): Promise<{ readonly durable: boolean }> {
    const { revocations } = this.broker;
    const now = this.#node.clock.now();
    const revocation = checkedRevocation(userId, tokenId, now, until ?? now + MAX_REVOCATION_MS);
    if (revocations === undefined) {
      throw new MessagingError("UNIMPLEMENTED", "this deployment remembers no revocations");
    }
    await revocations.revoke(revocation);
    return { durable: revocations.durable };
  }

  /**
   * Publishes from the server's side. The event passes the same door as a client's.
   *
   * @throws MessagingError BAD_REQUEST for a channel or an event that the door refuses, or what the
   * broker says.
   */
  async publish(
    channel: string,
    event: CloudEvent,
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    return await publish(this.#node, channel, event, options);
  }

  /**
   * Hands an event to the sessions that are subscribed to a channel now, outside of its log: it takes no offset, and nobody
   * recovers it.
   *
   * @throws MessagingError as `publish` does; UNIMPLEMENTED where the broker has no way for it
   */
  async transmit(channel: string, event: CloudEvent, options: TransmitOptions = {}): Promise<void> {
    await transmit(this.#node, channel, event, options);
  }

  /**
   * Hands an event to sessions, wherever they are, as a message without a channel.
   *
   * @throws MessagingError BAD_REQUEST for an event that the door refuses
   */
  async publishToSessions(
    sessionIds: readonly string[],
    event: CloudEvent,
    { id = this.#node.random.uuid(), ...options }: SessionMessageOptions = {},
  ): Promise<SessionsOutcome> {
    const body = bodyOf(canonicalEvent(applicationEvent(event)), options);
    return await this.#calls.publish(sessionIds, { id, body });
  }

  /**
   * The same to every session that a user has, on all nodes.
   *
   * @throws MessagingError as `publishToSessions` does, UNIMPLEMENTED without a directory
   */
  async publishToUser(
    userId: string,
    event: CloudEvent,
    options: SessionMessageOptions = {},
  ): Promise<SessionsOutcome> {
    const ids = (await this.sessionsOf(userId)).map(({ sessionId }) => sessionId);
    const outcome = await this.publishToSessions(ids, event, options);
    const { reached, connecting, failed } = outcome;
    this.#forget(userId, ids, [...reached, ...connecting, ...failed.keys()]);
    return outcome;
  }

  /**
   * The sessions of a user on all nodes, in any order. Some of them may have ended just now.
   *
   * @throws MessagingError BAD_REQUEST for an empty user, UNIMPLEMENTED without a directory
   */
  async sessionsOf(userId: string): Promise<readonly UserSession[]> {
    // A session without a user belongs to nobody in particular.
    if (userId === "") throw new MessagingError("BAD_REQUEST", "the user is empty");
    return await this.#directory.sessions(userId);
  }

  /**
   * A page of the channels that were published to or had subscribers within their position ttl, by name.
   *
   * @throws MessagingError UNIMPLEMENTED without a directory
   */
  async channels(query: ChannelQuery): Promise<ChannelPage> {
    return await this.#directory.channels(query);
  }

  /**
   * Reads a channel's history: `limit` entries, or with -1 all that is retained, and the head.
   *
   * @throws MessagingError BAD_REQUEST for what is no channel, UNAVAILABLE where it does not answer.
   */
  async history(channel: string, filter: HistoryFilter): Promise<HistoryPage> {
    checkChannel(channel);
    checkCount(filter.limit, "limit", -1);
    if (filter.since !== undefined) checkCount(filter.since.offset, "since.offset");
    let page = await this.broker.history(channel, filter);
    const entries = [...page.entries];
    while (page.more && (filter.limit < 0 || entries.length < filter.limit)) {
      const offset = Number(entries.at(-1)?.offset ?? 0);
      const since = { epoch: page.position.epoch, offset };
      const limit = filter.limit < 0 ? -1 : filter.limit - entries.length;
      const next = await this.broker.history(channel, { ...filter, since, limit });
      if (next.entries.length === 0) break;
      entries.push(...next.entries);
      page = { ...page, more: next.more };
    }
    return { ...page, entries };
  }

  /**
   * Takes every message out of a channel's history. Offsets go on.
   *
   * @throws MessagingError BAD_REQUEST for what is no channel, UNAVAILABLE where it does not answer.
   */
  async removeHistory(channel: string): Promise<void> {
    checkChannel(channel);
    await this.broker.removeHistory(channel);
  }

  /**
   * The members of a channel: those first that joined first, at most `limit`, and how many there are.
   *
   * @throws MessagingError BAD_REQUEST for what is no channel, UNAVAILABLE where it does not answer.
   */
  async presenceOf(channel: string, limit = MAX_PRESENCE_MEMBERS): Promise<PresenceSnapshot> {
    checkChannel(channel);
    checkCount(limit, "limit");
    return await this.broker.presence(channel, limit);
  }

  /**
   * Subscribes a session, on whichever node it is, to channels: no rule of access and no backend is asked. A client with
   * the capability `control` hears of it by `subscribed`, any other does not.
   *
   * A session has no more channels by this than its client may ask for: `limits.subscriptions_per_client`.
   *
   * @returns for each channel whether the session has it now, all false without such a session; and why it has not
   * @throws MessagingError UNAVAILABLE where its node does not answer
   */
  async subscribe(sessionId: string, channels: readonly string[]): Promise<SubscribeOutcome> {
    return await this.#calls.subscribe(sessionId, channels);
  }

  /**
   * Ends subscriptions of a session, on whichever node it is. A client with the capability `control` is told
   * by `unsubscribed` of those that it had, any other is not.
   *
   * @returns for each channel whether there is such a session, subscribed or not, as in v0.1.1
   * @throws MessagingError UNAVAILABLE where its node does not answer
   */
  async unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    return await this.#calls.unsubscribe(sessionId, channels);
  }

  /**
   * Asks the subscribers of a channel, on all nodes. Ends when all have answered or left, or when the
   * time is over.
   *
   * @throws MessagingError BAD_REQUEST for what is no channel, and a question that is not a valid event, TOO_LARGE where more than 10,000
   * are subscribed, RATE_LIMITED where as many surveys are open as may be, UNAVAILABLE where it is not known which
   * nodes have subscribers; nobody has been asked then.
   *
   * @example
   * const { answers, silent } = await engine.survey("class.7", question, { timeoutMs: 2_000 });
   */
  async survey(
    channel: string,
    question: CloudEvent,
    { timeoutMs = SURVEY_TIMEOUT_MS, cancellation }: SurveyOptions = {},
  ): Promise<SurveyOutcome> {
    checkChannel(channel);
    // More than it may be is cut, and so may be infinite.
    checkCount(Math.min(timeoutMs, MAX_SURVEY_TIMEOUT_MS), "timeoutMs");
    const canonical = canonicalEvent(applicationEvent(question));
    return await traced(this.#node.tracer, "survey", channel, canonical, () =>
      this.#node.surveyRuns.run({
        id: this.#node.random.uuid(),
        channel,
        question: canonical,
        timeoutMs,
        maxAudience: MAX_SURVEY_AUDIENCE,
        cancellation,
      }),
    );
  }

  /**
   * The frames of a user or a channel since the last reading, on all nodes, after half a second in which more may come. The
   * first reading begins the trace; it ends at its time, or when nobody reads.
   *
   * @throws MessagingError RATE_LIMITED where as many run as may, NOT_FOUND for another's id
   */
  async trace(terms: TraceTerms): Promise<TraceOutcome> {
    const { directory } = this.broker;
    const sessions = terms.userId === "" ? [] : await directory?.sessions(terms.userId);
    return await this.#calls.trace(terms, sessions ?? []);
  }

  stats(): EngineStats {
    return statsOf(this.#node);
  }

  /** The time that silence is measured by, in milliseconds. */
  steadyNow(): number {
    return this.#node.steadyNow();
  }

  /**
   * Closes connections that did not connect in time, sessions that fell silent and those whose token has expired.
   * Hosts call it when the time comes that it returned, or sooner where `lookBy` asks for that; there is no timer per
   * connection.
   */
  expire(): NextExpiry {
    const now = this.steadyNow();
    let connect: number | undefined;
    let idle: number | undefined;
    let token: number | undefined;
    for (const session of [...this.#node.sessions.values()]) {
      try {
        session.expire(now);
        if (session.ended) continue;
        const { client, connected, expiry } = session;
        const its = connected ? tokenDue(client) : undefined;
        if (its !== undefined) token = Math.min(token ?? its, its);
        if (connected) idle = Math.min(idle ?? expiry, expiry);
        else connect = Math.min(connect ?? expiry, expiry);
      } catch (error) {
        session.fail("expiry", error);
      }
    }
    return { connect, idle, token: token === undefined ? token : this.#node.steadyAt(token) };
  }

  /** Sessions that their nodes do not know need not be asked for again. */
  #forget(userId: string, asked: readonly string[], known: readonly string[]): void {
    const there = new Set(known);
    const gone = asked.filter((id) => !there.has(id));
    if (gone.length > 0) this.#directory.forget(userId, gone);
  }

  /** @throws MessagingError UNIMPLEMENTED */
  get #directory(): Directory {
    const { directory } = this.broker;
    if (directory !== undefined) return directory;
    throw new MessagingError(
      "UNIMPLEMENTED",
      "this deployment has no directory of users and channels",
    );
  }

  #register(session: Session): Session {
    this.#node.sessions.set(session.id, session);
    return session;
  }
}
