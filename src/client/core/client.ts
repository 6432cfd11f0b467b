/** The client that applications hold. */
import { MessagingError } from "../../protocol/errors.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import type {
  ConnectedFrame,
  InboundFrame,
  OutboundFrame,
  Position,
  SubscriptionRequest,
  WireEvent,
  WireMessage,
} from "../wire/frames.ts";
import { json } from "../wire/json.ts";
import {
  type CloudEvent,
  fromWireEvent,
  isCloudEvent,
  randomUuid,
  toWireEvent,
} from "./cloud-event.ts";
import { Connection, type ConnectionState, closedError, type StateChange } from "./connection.ts";
import { Emitter, quiet, type Signal } from "./emitter.ts";
import { page, systemClock } from "./environment.ts";
import {
  type Gap,
  gapOf,
  type Member,
  memberOf,
  type ReceivedMessage,
  receivedMessage,
} from "./message.ts";
import type { ClientOptions } from "./options.ts";
import { stands } from "./patterns.ts";
import type { PublishQueue, PublishResult, QueueFactory, QueueItem } from "./ports.ts";
import { type Answer, type AnswerKind, errorOf } from "./requests.ts";
import type { MessageHandler, SubscribeOptions, Subscription } from "./subscription.ts";
import { type TopicEvents, Topics } from "./topics.ts";
import type { DataOf, StandardSchema } from "./types.ts";
import { webSocket } from "./websocket.ts";

/** Events of a client. */
export interface ClientEvents extends TopicEvents {
  statechange: StateChange;
  /** Belongs to no request. */
  error: MessagingError;
  /** Tokens that end soon: of these subscriptions, or of the connection where none is named and there is no `getToken`. */
  tokenexpiring: { readonly channels: readonly string[]; readonly expiresAt: number };
}

/** What any request may be given. */
export interface RequestOptions {
  /** Milliseconds until it rejects. */
  readonly timeoutMs?: number;
  /** Rejects it with the signal's reason. What was sent may have been done. */
  readonly signal?: Signal;
}

export interface PublishOptions {
  /** Kept beside the event, and delivered with it. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: Signal;
}

export interface HistoryOptions extends RequestOptions {
  /** Messages after this position, or before it with `reverse`. Default: from the oldest, or the newest. */
  readonly since?: Position;
  /** Messages of a page at most. 0 asks for the position only. Default: as many as a page holds. */
  readonly limit?: number;
  /** Newest first. */
  readonly reverse?: boolean;
}

export interface HistoryPage<T = unknown> {
  /** In the order that was asked for. */
  readonly messages: readonly ReceivedMessage<T>[];
  /** Head of the log; undefined where there is none. */
  readonly position: Position | undefined;
  /** What lies between `since` and the first message and is not there any more. */
  readonly gap: Gap | undefined;
  /** There are more messages in this direction: ask again from the last one. */
  readonly more: boolean;
}

/** A page, as a promise; and all messages from there on, as they are asked for. */
export interface History<T = unknown> extends Promise<HistoryPage<T>> {
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage<T>, void, undefined>;
}

export interface Presence {
  /** Those first who joined first, at most 1,000. */
  readonly members: readonly Member[];
  /** How many there are. */
  readonly total: number;
}

export interface SurveyOptions extends RequestOptions {
  /** Milliseconds that the server waits for answers: default 5,000, at most 60,000. */
  readonly timeoutMs?: number;
  /** This client is not asked itself. Default false. */
  readonly othersOnly?: boolean;
}

/** What one session has answered: data, an error, or neither. */
export interface SurveyAnswer<T = unknown> {
  readonly sessionId: string;
  /** Who authentication says it is; empty without authentication. */
  readonly userId: string;
  /** The client's own name for itself; it proves nothing. */
  readonly clientId: string;
  readonly data: T | undefined;
  readonly event: CloudEvent<T> | undefined;
  readonly error: MessagingError | undefined;
}

export interface SurveyResult<T = unknown> {
  /** At most one of each session. */
  readonly answers: readonly SurveyAnswer<T>[];
  /** Ids of the sessions that were asked and have not answered. */
  readonly silent: readonly string[];
  /** Servers of which it is not known what their sessions have answered, and why. */
  readonly unreached: readonly { readonly node: string; readonly reason: string }[];
}

/** A question to the subscribers of a channel. */
export interface SurveyQuestion {
  readonly channel: string;
  readonly data: unknown;
  readonly event: CloudEvent;
}

/**
 * Answers a survey with data or an event.
 *
 * @throws MessagingError is the answer then; anything else is a failure, which is told as `INTERNAL_ERROR`
 */
export type SurveyHandler = (question: SurveyQuestion) => unknown;

const CAPABILITIES = ["recovery", "presence", "history", "survey", "control", "refresh", "credit"];
/** Longer than the server waits for a backend by default, so that its own answer comes first. */
const RPC_TIMEOUT_MS = 35_000;
const SURVEY_TIMEOUT_MS = 5_000;
const MAX_SURVEY_TIMEOUT_MS = 60_000;
/** How much longer than the server waits for answers its result may take, in milliseconds. */
const SURVEY_MARGIN_MS = 5_000;
/** What a publish takes beside its channel and data, in bytes. */
const FRAME_BYTES = 256;

/**
 * A client of one server, which stays connected until it is closed; made by `dial` or `createClient`.
 *
 * @typeParam Channels what channels carry, by name or pattern, such as `{ "chat.*": ChatMessage }`
 */
export class Client<
  Channels extends object = Record<string, unknown>,
> extends Emitter<ClientEvents> {
  readonly clientId: string;
  /**
   * Settles when the first connection stands, or the client is closed before that.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code, and how the connection ended
   */
  readonly ready: Promise<void>;
  readonly #options: ClientOptions<Channels>;
  readonly #connection: Connection;
  readonly #topics: Topics;
  readonly #queue: PublishQueue | undefined;
  readonly #schemas: [string, StandardSchema][];
  readonly #requestTimeoutMs: number;
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #onSurvey: SurveyHandler | undefined;
  #reporting = false;

  /**
   * @param patient whether a first attempt that fails is followed by others
   * @internal
   */
  constructor(
    url: string,
    options: ClientOptions<Channels>,
    queue: QueueFactory | undefined,
    patient: boolean,
  ) {
    super((error) => this.#failed(error));
    const { clientId = randomUuid(), clock = systemClock, encoding = "json", signal } = options;
    this.clientId = clientId;
    this.#options = options;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 10_000;
    this.#schemas = Object.entries(options.schemas ?? {}) as [string, StandardSchema][];
    this.ready = quiet(
      new Promise((resolve, reject) => {
        this.#settle = { resolve, reject };
      }),
    );
    if (typeof encoding === "string" && encoding !== "json") {
      throw new MessagingError(
        "BAD_REQUEST",
        `for ${encoding} pass the codec of messageloop/protobuf as encoding`,
      );
    }
    this.#connection = new Connection(
      {
        clientType: "sdk",
        version: "1.0.0",
        token: "",
        transport: webSocket(),
        connectTimeoutMs: 30_000,
        surroundings: page,
        ...options,
        ...{ url, clientId, clock, patient, capabilities: CAPABILITIES },
        codec: encoding === "json" ? json : encoding,
      },
      {
        subscriptions: (room): readonly SubscriptionRequest[] => this.#topics.requests(room),
        connected: (frame, time) => this.#connected(frame, time),
        frame: (frame) => this.#frame(frame),
        refreshed: () => this.#topics.refreshed(),
        lost: (error) => this.#lost(error),
        changed: (change) => this.#changed(change),
        report: (error) => this.#report(error),
      },
    );
    this.#topics = new Topics({
      ...{ connection: this.#connection, clock, requestTimeoutMs: this.#requestTimeoutMs },
      received: (message) => this.#received(message),
      emit: (type, detail) => this.emit(type, detail as ClientEvents[typeof type]),
      failed: (error) => this.#failed(error),
    });
    this.#queue = queue?.({ url, clock, report: (error) => this.#report(error) });
    const end = (): void => {
      this.close().catch(() => {});
    };
    if (signal?.aborted) end();
    else {
      signal?.addEventListener("abort", end);
      this.#connection.start();
    }
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** The session's public id, another one for each connection; empty before the first. */
  get sessionId(): string {
    return this.#connection.sessionId;
  }

  /** Who authentication says this client is; empty before the first connection, and for anonymous users. */
  get userId(): string {
    return this.#connection.userId;
  }

  /**
   * Subscribes to a channel, or to the channels of a pattern. The subscription is there at once; its `ready` tells when the
   * server has acknowledged it.
   *
   * @param handler is given each message; or what else is wanted
   * @throws MessagingError BAD_REQUEST where the channel is subscribed to already with other options
   *
   * @example
   * client.subscribe("chat.lobby", ({ data }) => console.log(data));
   */
  subscribe<Name extends string>(
    channel: Name,
    handler: MessageHandler<DataOf<Channels, Name>> | SubscribeOptions<DataOf<Channels, Name>> = {},
  ): Subscription<DataOf<Channels, Name>> {
    return this.#topics.subscribe(
      channel,
      typeof handler === "function" ? { onMessage: handler } : handler,
    );
  }

  /**
   * Publishes data, or an event. Resolves when it is in the channel's log and its delivery is under way.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code; TOO_LARGE for more than the
   * server takes; OUTCOME_UNKNOWN where nobody can know whether it was published
   *
   * @example
   * const { offset } = await client.publish("chat.lobby", { text: "hello" });
   */
  publish<Name extends string>(
    channel: Name,
    data: DataOf<Channels, Name> | CloudEvent<DataOf<Channels, Name>>,
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    return quiet(this.#publish(channel, data, options));
  }

  /**
   * Asks the application's backend and resolves with the data of its answer; without a backend the server sends back what
   * it was asked. Milliseconds until it rejects are 35,000 by default.
   *
   * @param request data, or an event
   * @throws MessagingError (as a rejection, which may be ignored) with the server's or the backend's code; `RPC_TIMEOUT`
   * when no answer came in time, `UNAVAILABLE` when the connection was lost
   *
   * @example
   * const price = await client.rpc<{ id: string }, number>("shop.7", "price", { id: "a" });
   */
  rpc<Request = unknown, Response = unknown>(
    channel: string,
    method: string,
    request: Request | CloudEvent<Request>,
    { timeoutMs = RPC_TIMEOUT_MS, signal }: RequestOptions = {},
  ): Promise<Response> {
    return this.#ask(
      () => ({ channel, method, rpc_request: this.#event(request) }),
      "rpc_reply",
      { timeoutMs, signal, late: "RPC_TIMEOUT" },
      ([reply]) => fromWireEvent(reply ?? {}).data as Response,
    );
  }

  /**
   * Who is subscribed to a channel that this client is subscribed to.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code
   */
  presence(channel: string, options: RequestOptions = {}): Promise<Presence> {
    return this.#ask(
      () => ({ presence_request: { channel } }),
      "presence",
      options,
      ([answer]) => ({
        members: (answer?.members ?? []).map(memberOf),
        total: answer?.total ?? 0,
      }),
    );
  }

  /**
   * What was published to a channel that this client is subscribed to.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code
   *
   * @example
   * const { messages } = await client.history("news", { limit: 10, reverse: true });
   * for await (const message of client.history("news")) console.log(message.data);
   */
  history<Name extends string>(
    channel: Name,
    options: HistoryOptions = {},
  ): History<DataOf<Channels, Name>> {
    const first = this.#page<DataOf<Channels, Name>>(channel, options);
    const next = (since: Position) =>
      this.#page<DataOf<Channels, Name>>(channel, { ...options, since });
    return Object.assign(first, {
      async *[Symbol.asyncIterator]() {
        for (let page = await first; ; ) {
          yield* page.messages;
          const last = page.messages.at(-1);
          if (!page.more || last === undefined) return;
          page = await next({ epoch: last.epoch, offset: last.offset });
        }
      },
    });
  }

  /**
   * Asks everyone who is subscribed to a channel, which this client has to be as well. Resolves when all have answered, or
   * the time is over.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code
   *
   * @example
   * const { answers } = await client.survey("class.7", "ready?", { timeoutMs: 10_000 });
   */
  survey<T = unknown>(
    channel: string,
    question: unknown,
    options: SurveyOptions = {},
  ): Promise<SurveyResult<T>> {
    const { timeoutMs: asked = SURVEY_TIMEOUT_MS, othersOnly = false, signal } = options;
    const timeoutMs = Math.min(Math.ceil(asked), MAX_SURVEY_TIMEOUT_MS);
    return this.#ask(
      () => {
        if (!(asked > 0)) throw new MessagingError("BAD_REQUEST", "timeoutMs is not above 0");
        const payload = this.#event(question);
        const terms = { timeout_ms: timeoutMs, others_only: othersOnly };
        return { channel, survey_request: { request_id: payload.id ?? "", payload, ...terms } };
      },
      "survey_result",
      { timeoutMs: timeoutMs + SURVEY_MARGIN_MS, signal },
      (parts) => ({
        answers: parts.flatMap(({ answers = [] }) =>
          answers.map(({ session_id = "", user_id = "", client_id = "", payload, error }) => {
            const event = payload && (fromWireEvent(payload) as CloudEvent<T>);
            return {
              ...{ sessionId: session_id, userId: user_id, clientId: client_id },
              ...{ data: event?.data, event, error: error && errorOf(error) },
            };
          }),
        ),
        silent: parts.flatMap(({ silent = [] }) => silent),
        unreached: parts.flatMap(({ unreached = [] }) =>
          unreached.map(({ node = "", reason = "" }) => ({ node, reason })),
        ),
      }),
    );
  }

  /**
   * Sets what answers surveys of the channels that this client is subscribed to. Without it they are answered with the error
   * `UNIMPLEMENTED`, so that nobody waits for this client.
   */
  onSurvey(handler: SurveyHandler | undefined): void {
    this.#onSurvey = handler;
  }

  /** Brings a new token, in the place of the old one; what was refused is asked for again. */
  refresh(token: string): Promise<void> {
    return quiet(this.#connection.refresh(token));
  }

  /**
   * Closes the client for good. Nothing is delivered after the call, and every promise settles. Resolves when the server has
   * answered, after a second at the latest.
   *
   * @param options `forget`: publishes that wait in a store are removed from it. Default false: a later client sends them
   */
  close({ forget = false }: { readonly forget?: boolean } = {}): Promise<void> {
    const closing = [this.#connection.close(), this.#queue?.close(forget)];
    return Promise.all(closing).then(() => {});
  }

  async #publish(
    channel: string,
    data: unknown,
    { metadata, signal }: PublishOptions,
  ): Promise<PublishResult> {
    signal?.throwIfAborted();
    if (this.state === "closed") throw closedError();
    const checked = isCloudEvent(data)
      ? { ...data, data: this.#checked(channel, data.data) }
      : this.#checked(channel, data);
    const event = this.#event(checked);
    const { id = "", text_data = "", binary_data = [] } = event;
    const size = utf8Length(channel) + utf8Length(text_data) + binary_data.length + FRAME_BYTES;
    const item = { id, channel, event, size, metadata };
    return this.#queue === undefined
      ? this.#sendItem(item, false, signal)
      : this.#queue.add(item, signal);
  }

  #sendItem(
    { channel, event, metadata }: QueueItem,
    again: boolean,
    signal?: Signal,
  ): Promise<PublishResult> {
    return this.#ask(
      () => ({ channel, publish: event, metadata, again: again || undefined }),
      "publish_ack",
      { signal },
      ([ack]) => ({
        offset: ack?.offset ?? 0,
        epoch: ack?.epoch ?? "",
        duplicate: ack?.duplicate ?? false,
      }),
    );
  }

  #page<T>(
    channel: string,
    { since, limit = -1, reverse = false, ...terms }: HistoryOptions,
  ): Promise<HistoryPage<T>> {
    return this.#ask(
      () => ({ history_request: { channel, limit, reverse, since } }),
      "history",
      terms,
      ([answer]) => ({
        messages: (answer?.messages ?? []).map(
          (message) => receivedMessage(message) as ReceivedMessage<T>,
        ),
        position: answer?.position,
        gap: answer?.gap && gapOf({ channel, ...answer.gap }),
        more: answer?.more ?? false,
      }),
    );
  }

  /** @param frame makes the request; what it throws is a rejection */
  #ask<Kind extends AnswerKind, T>(
    frame: () => InboundFrame,
    kind: Kind,
    {
      timeoutMs = this.#requestTimeoutMs,
      ...terms
    }: { timeoutMs?: number; signal?: Signal | undefined; late?: string },
    take: (answers: Answer<Kind>[]) => T,
  ): Promise<T> {
    try {
      return this.#connection.request(frame(), { kind, take, timeoutMs, ...terms });
    } catch (error) {
      return quiet(Promise.reject(error));
    }
  }

  /** Data or an event as the wire carries it. */
  #event(value: unknown): WireEvent {
    const source = `/clients/${encodeURIComponent(this.clientId)}`;
    return toWireEvent(
      isCloudEvent(value)
        ? value
        : { id: randomUuid(), source, specversion: "1.0", type: "message", data: value },
    );
  }

  /** @throws MessagingError BAD_REQUEST */
  #checked(channel: string, data: unknown): unknown {
    for (const [pattern, { "~standard": schema }] of this.#schemas) {
      if (!stands(pattern, channel)) continue;
      const result = schema.validate(data);
      if (result instanceof Promise) {
        throw new MessagingError("BAD_REQUEST", `the schema of ${pattern} is asynchronous`);
      }
      if (result.issues) {
        const text = result.issues.map(({ message }) => message).join("; ");
        throw new MessagingError("BAD_REQUEST", `data of ${channel}: ${text}`);
      }
      return result.value;
    }
    return data;
  }

  #received(message: WireMessage): ReceivedMessage | undefined {
    try {
      const received = receivedMessage(message);
      if (this.#schemas.length === 0) return received;
      return { ...received, data: this.#checked(received.channel, received.data) };
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  #connected(frame: ConnectedFrame, time: number): void {
    this.#topics.connected(frame);
    for (const publication of frame.publications ?? []) this.#topics.frame({ publication });
    this.#queue?.opened({
      userId: this.userId,
      dedupWindowMs: frame.dedup_window_ms ?? 0,
      time,
      send: (item, again) => this.#sendItem(item, again),
    });
  }

  #frame(frame: OutboundFrame): void {
    const { survey_request: request, token_expiring: expiring } = frame;
    if (expiring !== undefined) {
      const { channels = [], expires_at: expiresAt = 0 } = expiring;
      if (channels.length > 0 || !this.#options.getToken)
        this.emit("tokenexpiring", { channels, expiresAt });
    } else if (request !== undefined) {
      this.#answer(request.payload ?? {}, request.request_id ?? "").catch((error) =>
        this.#report(error),
      );
    } else this.#topics.frame(frame);
  }

  async #answer(payload: WireEvent, request_id: string): Promise<void> {
    try {
      const handler = this.#onSurvey;
      if (handler === undefined)
        throw new MessagingError("UNIMPLEMENTED", "this client answers no surveys");
      const event = fromWireEvent(payload);
      const answer = await handler({ channel: event.source, data: event.data, event });
      this.#connection.tell({ survey_response: { request_id, payload: this.#event(answer) } });
    } catch (error) {
      if (!(error instanceof MessagingError)) this.#failed(error);
      const { code, type, message, metadata } = MessagingError.from(error);
      this.#connection.tell({
        survey_response: { request_id, error: { code, type, message, metadata } },
      });
    }
  }

  #lost(error: MessagingError): void {
    this.#topics.lost(this.state === "closed" ? error : undefined);
    this.#queue?.lost();
  }

  #changed(change: StateChange): void {
    if (change.state === "connected") this.#settle?.resolve();
    else if (change.state === "closed") {
      this.#settle?.reject(change.error ?? closedError());
    }
    this.emit("statechange", change);
  }

  #failed(cause: unknown): void {
    this.#report(
      new MessagingError("INTERNAL_ERROR", "a handler of the application failed", { cause }),
    );
  }

  #report(cause: unknown): void {
    const error = MessagingError.from(cause);
    const { onError } = this.#options;
    // What fails while it is told of a failure must not be told for ever.
    if (this.#reporting || onError === undefined) console.error(error);
    if (this.#reporting) return;
    this.#reporting = true;
    if (onError !== undefined) this.hand(onError, error);
    this.emit("error", error);
    this.#reporting = false;
  }
}
