/**
 * The coordinator of one node: sessions, hub and broker. Hosts create sessions through it and give
 * it what the broker delivers; it never touches a socket or a database.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { checkChannel } from "../channels/names.ts";
import { canonicalEvent } from "../protocol/cloudevents.ts";
import type { Encoding } from "../protocol/codec.ts";
import { disconnectFor } from "../protocol/codes.ts";
import { MessagingError } from "../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  EntryBodySchema,
  type SessionRecord,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  MAX_PRESENCE_MEMBERS,
  MAX_SURVEY_TIMEOUT_MS,
  SURVEY_TIMEOUT_MS,
} from "../protocol/limits.ts";
import { brokerHandler } from "./broker-handler.ts";
import { type ChannelResults, ClusterCalls, type SurveyQuestion } from "./cluster-calls.ts";
import type { HostCounters } from "./counters.ts";
import { Node, type NodeOptions } from "./node.ts";
import type { Backends } from "./ports/backends.ts";
import type {
  Broker,
  HistoryFilter,
  HistoryPage,
  PresenceSnapshot,
  PublishResult,
} from "./ports/broker.ts";
import type { RefusedMessages } from "./ports/cluster.ts";
import type { Transport } from "./ports/transport.ts";
import { applicationEvent, checkCount, checkMetadata } from "./session/application-values.ts";
import { publishKey } from "./session/publish-key.ts";
import { type Peer, Session } from "./session/session.ts";
import type { Settings } from "./settings/settings.ts";
import type { EngineStats } from "./stats.ts";
import type { Audience } from "./subscription/hub.ts";
import type { NodeSurvey, OpenSurveys, SurveyOptions, SurveyOutcome } from "./survey.ts";

export type EngineOptions = NodeOptions;

export interface PublishOptions {
  /** Kept beside the event; extended clients receive it. Default none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Who publishes, as far as repeated events go: an event with source and id that this principal has
   * published to the channel before is not published again. Default: every call is one of its own.
   */
  readonly principal?: string;
}

/** When sessions have to be looked at again, by the clock's steady time in milliseconds. */
export interface NextExpiry {
  /** The earliest end of a connection that has not sent connect; undefined when there is none. */
  readonly connect: number | undefined;
  /** The earliest possible end of a silent session; undefined when there is none. */
  readonly idle: number | undefined;
}

const NO_MESSAGES: RefusedMessages = { unsigned: 0, misdirected: 0, replayed: 0 };

/** A session, as hosts and programs have it. What else there is of one is for its own node. */
export type ClientSession = Pick<
  Session,
  | "channels"
  | "clientId"
  | "close"
  | "connected"
  | "encoding"
  | "end"
  | "ended"
  | "expiry"
  | "id"
  | "marks"
  | "receive"
  | "receiveMessage"
  | "record"
  | "saveMarks"
  | "userId"
  | "write"
>;

export class Engine {
  readonly broker: Broker;
  /** The application's backends. */
  readonly backends: Backends;
  readonly settings: Settings;
  /** Who hears what on this node. */
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
    this.settings = node.settings;
    this.hub = node.hub;
    this.surveys = node.surveys;
    this.counters = node.counters;
    this.broker.start(brokerHandler(node));
    this.#calls = new ClusterCalls(node.broker.cluster, {
      disconnect: (...all) => this.#disconnect(...all),
      subscribe: (...all) => this.#subscribe(...all),
      unsubscribe: (...all) => this.#unsubscribe(...all),
      survey: (question) => this.#survey(question),
    });
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

  /** A session as it was before the host slept: its subscriptions are live again, nothing is sent. */
  restore(transport: Transport, record: SessionRecord): ClientSession {
    for (const seen of record.marks?.seenChannels ?? []) this.broker.restore?.(seen);
    return this.#register(Session.restore(this.#node, transport, record));
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
   * @param code a code of the table, or one of the application's own, 4000 to 4999
   * @param reason cut to 123 bytes of UTF-8; the table's when left out or empty
   * @returns whether there was such a session
   * @throws MessagingError BAD_REQUEST for any other code and for no text, UNAVAILABLE where its node does not answer
   */
  async disconnect(sessionId: string, code: number, reason?: string): Promise<boolean> {
    const known = disconnectFor(code) !== undefined;
    if (!known && !(Number.isInteger(code) && code >= 4000 && code <= 4999)) {
      throw new MessagingError("BAD_REQUEST", `${code} is no disconnect code`);
    }
    if (reason !== undefined && typeof reason !== "string") {
      throw new MessagingError("BAD_REQUEST", "the reason is no text");
    }
    return await this.#calls.disconnect(sessionId, code, reason?.toWellFormed() || undefined);
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
    { metadata = {}, principal }: PublishOptions = {},
  ): Promise<PublishResult> {
    checkChannel(channel);
    const canonical = canonicalEvent(applicationEvent(event));
    checkMetadata(metadata);
    const body = create(EntryBodySchema, {
      event: toBinary(CloudEventSchema, canonical),
      metadata: { ...metadata },
    });
    const server =
      principal === undefined ? undefined : ({ side: "server", name: principal } as const);
    const key = publishKey(this.#node, channel, canonical, server);
    const result = await this.broker.publish(channel, { key, body });
    this.#node.counters.published += 1;
    if (result.duplicate) this.#node.counters.duplicates += 1;
    return result;
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
   * Who is present in a channel: those first who joined first, at most `limit`, and how many there are.
   *
   * @throws MessagingError BAD_REQUEST for what is no channel, UNAVAILABLE where it does not answer.
   */
  async presenceOf(channel: string, limit = MAX_PRESENCE_MEMBERS): Promise<PresenceSnapshot> {
    checkChannel(channel);
    checkCount(limit, "limit");
    return await this.broker.presence(channel, limit);
  }

  /**
   * Subscribes a session, on whichever node it is, to channels without asking the authorizer; the client
   * is not told.
   *
   * @returns for each channel whether the session has it now; all false without such a session
   * @throws MessagingError UNAVAILABLE where its node does not answer
   */
  async subscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    return await this.#calls.subscribe(sessionId, channels);
  }

  /**
   * Ends subscriptions of a session, on whichever node it is; the client is not told.
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
   * @throws MessagingError BAD_REQUEST for a question that is not a valid event, UNAVAILABLE where it is
   * not known which nodes there are.
   */
  async survey(
    channel: string,
    question: CloudEvent,
    { timeoutMs = SURVEY_TIMEOUT_MS }: SurveyOptions = {},
  ): Promise<SurveyOutcome> {
    // More than it may be is cut, and so may be infinite.
    checkCount(Math.min(timeoutMs, MAX_SURVEY_TIMEOUT_MS), "timeoutMs");
    const outcome = await this.#calls.survey({
      id: this.#node.random.uuid(),
      channel,
      question: canonicalEvent(applicationEvent(question)),
      timeoutMs: Math.min(timeoutMs, MAX_SURVEY_TIMEOUT_MS),
    });
    this.#node.counters.surveys += 1;
    this.#node.counters.surveyAnswers += outcome.answers.length;
    this.#node.counters.surveySilent += outcome.silent.length;
    return outcome;
  }

  stats(): EngineStats {
    let openCalls = 0;
    for (const session of this.#node.sessions.values()) openCalls += session.openCalls;
    const { counters, encoding, intake, surveys } = this.#node;
    const { encoded, decoded } = encoding;
    return {
      sessions: this.#node.sessions.size,
      subscriptions: this.hub.subscriptions,
      channels: this.hub.size,
      patterns: this.hub.patternCount,
      openCalls,
      openSurveys: surveys.size,
      waitingBytes: intake.waiting,
      openBytes: intake.open,
      delivered: this.hub.delivered,
      encoded: [...encoded],
      decoded,
      disconnects: Object.fromEntries(this.#node.disconnects),
      droppedAnswers: surveys.dropped,
      refusedMessages: { ...(this.broker.cluster?.refused ?? NO_MESSAGES) },
      ...counters.stats(),
    };
  }

  /** The time that silence is measured by, in milliseconds. */
  steadyNow(): number {
    return this.#node.steadyNow();
  }

  /**
   * Closes connections that did not connect in time and sessions that fell silent. Hosts call it
   * when the time comes that it returned; there is no timer per connection.
   */
  expire(): NextExpiry {
    const now = this.steadyNow();
    let connect: number | undefined;
    let idle: number | undefined;
    for (const session of [...this.#node.sessions.values()]) {
      try {
        session.expire(now);
        if (session.ended) continue;
        const { connected, expiry } = session;
        if (connected) idle = Math.min(idle ?? expiry, expiry);
        else connect = Math.min(connect ?? expiry, expiry);
      } catch (error) {
        session.fail("expiry", error);
      }
    }
    return { connect, idle };
  }

  #disconnect(sessionId: string, code: number, reason: string | undefined): boolean {
    const session = this.#node.sessions.get(sessionId);
    session?.close({ code, reason: reason ?? disconnectFor(code)?.reason ?? "" });
    return session !== undefined;
  }

  async #subscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    const session = this.#node.sessions.get(sessionId);
    if (session !== undefined) await session.addChannels(channels);
    const has = new Set(session?.channels ?? []);
    return Object.fromEntries(channels.map((channel) => [channel, has.has(channel)]));
  }

  async #unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    const session = this.#node.sessions.get(sessionId);
    if (session !== undefined) await session.removeChannels(channels);
    return Object.fromEntries(channels.map((channel) => [channel, session !== undefined]));
  }

  async #survey({ id, channel, question, timeoutMs }: SurveyQuestion): Promise<NodeSurvey> {
    const asked = this.hub
      .subscribers(channel)
      .map((subscriber) => this.#node.sessions.get(subscriber.id))
      .filter((session) => session !== undefined)
      // Who is being connected has not been told that it is subscribed to anything.
      .filter((session) => session.connected);
    return await this.#node.surveys.ask(id, channel, question, asked, { timeoutMs });
  }

  #register(session: Session): Session {
    this.#node.sessions.set(session.id, session);
    return session;
  }
}
