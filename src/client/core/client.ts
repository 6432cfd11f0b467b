/** The client that applications hold. */
import { MessagingError } from "../../protocol/errors.ts";
import type { InboundFrame, OutboundFrame, Position, WireMessage } from "../wire/frames.ts";
import { json } from "../wire/json.ts";
import { utf8Length } from "../wire/sizes.ts";
import type {
  History,
  HistoryOptions,
  HistoryPage,
  Presence,
  PublishOptions,
  RequestOptions,
  SurveyHandler,
  SurveyOptions,
  SurveyResult,
} from "./calls/calls.ts";
import { surveyAnswer, surveyResult } from "./calls/surveys.ts";
import {
  type CloudEvent,
  fromWireEvent,
  isCloudEvent,
  randomUuid,
  toWireEvent,
} from "./cloud-event.ts";
import {
  CAPABILITIES,
  type Connection,
  type ConnectionState,
  connectionOf,
  type StateChange,
} from "./connection.ts";
import { deferred, Emitter, quiet, type Signal, whenAborted } from "./emitter.ts";
import { page, systemClock } from "./environment.ts";
import { gapOf, memberOf, type ReceivedMessage, receivedMessage } from "./message.ts";
import type { ClientOptions } from "./options.ts";
import { stands } from "./patterns.ts";
import type { PublishQueue, PublishResult, QueueFactory, QueueItem } from "./ports.ts";
import type { AnswerKind, Answers, Terms } from "./requests.ts";
import type { MessageHandler, SubscribeOptions, Subscription } from "./subscription.ts";
import { type FrameHandlers, type TopicEvents, type Topics, topicsOf } from "./topics/topics.ts";
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
 *
 * @example const client: Client = await dial("ws://localhost:9080/ws");
 */
export class Client<
  Channels extends object = Record<string, unknown>,
> extends Emitter<ClientEvents> {
  declare readonly clientId: string;
  /**
   * Settles when the first connection stands, or the client is closed before that.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code, and how the connection ended
   */
  declare readonly ready: Promise<void>;
  readonly #onError: (error: MessagingError) => void;
  readonly #connection: Connection;
  readonly #topics: Topics;
  readonly #queue: PublishQueue | undefined;
  /** The end of the queue; undefined before it has begun. */
  #queueEnd: Promise<void> | undefined;
  /** Whether the end of the queue is to remove what its store has. */
  #forgets = false;
  readonly #schemas: [string, StandardSchema][];
  /** What is done with each member of a frame. */
  readonly #byKind: ReadonlyMap<string, (member: never) => void>;
  #onSurvey: SurveyHandler | undefined;
  #reporting = false;

  /**
   * @param patient whether a first attempt that fails is followed by others
   * @internal
   */
  constructor(
    url: string,
    options: ClientOptions<Channels>,
    queueFactory: QueueFactory | undefined,
    patient: boolean,
  ) {
    super((error) => this.#failed(error));
    const { clientId = randomUuid(), clock = systemClock, encoding = "json", signal } = options;
    const { schemas = {}, onError = console.error } = options;
    const [ready, begins, fails] = deferred();
    this.clientId = clientId;
    this.ready = ready;
    this.#onError = onError;
    this.#schemas = Object.entries(schemas);
    const codec = encoding === "json" ? json : encoding;
    if (typeof codec === "string") {
      throw new MessagingError("BAD_REQUEST", "encoding: pass that of messageloop/protobuf");
    }
    const report = (error: unknown): void => this.#report(error);
    const failed = (error: unknown): void => this.#failed(error);
    const queue = queueFactory?.({ url, clock, report });
    const connection = connectionOf(
      {
        clientType: "sdk",
        version: "1.0.0",
        token: "",
        transport: webSocket(),
        connectTimeoutMs: 30_000,
        surroundings: page,
        ...options,
        ...{ url, clientId, clock, codec, patient, capabilities: CAPABILITIES },
      },
      {
        subscriptions: (room) => topics.requests(room),
        connected: (frame, time) => {
          topics.connected(frame);
          queue?.opened({
            userId: connection.userId,
            dedupWindowMs: frame.dedup_window_ms ?? 0,
            time,
            send: (item, again) => this.#send(item, again),
          });
        },
        frame: this.#frame.bind(this),
        refreshed: () => topics.refreshed(),
        lost: (error, isOver) => {
          topics.lost(isOver ? error : undefined);
          queue?.lost();
          if (!isOver) return;
          fails(error);
          this.#queueEnd = queue?.close(this.#forgets);
          this.#queueEnd?.catch(report);
        },
        changed: (change) => {
          if (change.state === "connected") begins();
          this.emit("statechange", change);
        },
        report,
      },
    );
    const topics = topicsOf({
      ...{ connection, clock, failed },
      received: this.#received.bind(this),
      emit: (type, detail) => this.emit(type, detail as ClientEvents[typeof type]),
    });
    const handlers: FrameHandlers = {
      ...topics.handlers,
      survey_request: ({ payload = {}, request_id = "" }) => {
        surveyAnswer(payload, this.#onSurvey, (value) => this.#event(value), failed)
          .then((answer) => connection.tell({ survey_response: { request_id, ...answer } }))
          .catch(report);
      },
      token_expiring: ({ channels = [], expires_at: expiresAt = 0 }) =>
        this.emit("tokenexpiring", { channels, expiresAt }),
    };
    this.#byKind = new Map(Object.entries(handlers));
    this.#connection = connection;
    this.#topics = topics;
    this.#queue = queue;
    whenAborted(signal, () => {
      this.close().catch(report);
    });
    if (!signal?.aborted) connection.start();
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
      () => ({ channel, method, rpc_request: toWireEvent(this.#event(request)) }),
      "rpc_reply",
      { timeoutMs, signal, late: "RPC_TIMEOUT" },
      ([reply]) => fromWireEvent(reply).data as Response,
    );
  }

  /**
   * Who is subscribed to a channel that this client is subscribed to.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code
   *
   * @example const { members, total } = await client.presence("chat.lobby");
   */
  presence(channel: string, options: RequestOptions = {}): Promise<Presence> {
    return this.#ask(
      () => ({ presence_request: { channel } }),
      "presence",
      options,
      ([{ members = [], total = 0 }]) => ({ members: members.map(memberOf), total }),
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
          if (!page.more || !last) return;
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
    const asked = options.timeoutMs ?? SURVEY_TIMEOUT_MS;
    const timeoutMs = Math.min(Math.ceil(asked), MAX_SURVEY_TIMEOUT_MS);
    return this.#ask(
      () => {
        if (!(asked > 0)) throw new MessagingError("BAD_REQUEST", "timeoutMs: not above 0");
        const payload = toWireEvent(this.#event(question));
        return {
          channel,
          survey_request: {
            request_id: payload.id,
            payload,
            timeout_ms: timeoutMs,
            others_only: options.othersOnly,
          },
        };
      },
      "survey_result",
      { timeoutMs: timeoutMs + SURVEY_MARGIN_MS, signal: options.signal },
      surveyResult<T>,
    );
  }

  /**
   * Sets what answers surveys of the channels that this client is subscribed to. Without it they are answered with the error
   * `UNIMPLEMENTED`, so that nobody waits for this client.
   *
   * @example client.onSurvey(({ channel, data }) => ({ channel, ready: data === "ready?" }));
   */
  onSurvey(handler: SurveyHandler | undefined): void {
    this.#onSurvey = handler;
  }

  /**
   * Brings a new token, in the place of the old one; what was refused is asked for again.
   *
   * @example client.addEventListener("tokenexpiring", async () => client.refresh(await freshToken()));
   */
  refresh(token: string): Promise<void> {
    return quiet(this.#connection.refresh(token));
  }

  /**
   * Closes the client for good. Nothing is delivered after the call, and every promise settles. Resolves when the server has
   * answered, after a second at the latest.
   *
   * @param options `forget`: publishes that wait in a store are removed from it. Default false: a later client sends them
   *
   * @example await client.close({ forget: true }); // at a logout
   */
  close({ forget = false }: { readonly forget?: boolean } = {}): Promise<void> {
    // The server may have ended the client before the application logs its user out.
    if (forget) this.#queueEnd = this.#queueEnd?.then(() => this.#queue?.close(true));
    this.#forgets = forget;
    const closing = this.#connection.close();
    return Promise.all([closing, this.#queueEnd]).then(() => {});
  }

  // Methods, and no functions of each client's own, for what comes often: an engine compiles them once.

  #frame(frame: OutboundFrame): void {
    for (const kind in frame) {
      const member = frame[kind as keyof OutboundFrame];
      if (member) this.#byKind.get(kind)?.(member as never);
    }
  }

  #received(message: WireMessage): ReceivedMessage | undefined {
    try {
      const received: { data: unknown } & ReceivedMessage = receivedMessage(message);
      received.data = this.#checked(received.channel, received.data);
      return received;
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  async #publish(
    channel: string,
    data: unknown,
    { metadata, signal }: PublishOptions,
  ): Promise<PublishResult> {
    const given = this.#event(data);
    const event = toWireEvent({ ...given, data: this.#checked(channel, given.data) });
    const { id = "", text_data = "", binary_data = [] } = event;
    const size = utf8Length(channel) + utf8Length(text_data) + binary_data.length + FRAME_BYTES;
    const item = { id, channel, event, metadata, size };
    return this.#queue?.add(item, signal) ?? this.#send(item, false, signal);
  }

  #send(
    { channel, event, metadata }: QueueItem,
    again: boolean,
    signal?: Signal,
  ): Promise<PublishResult> {
    return this.#ask(
      () => ({ channel, publish: event, metadata, again: again || undefined }),
      "publish_ack",
      { signal },
      ([{ offset = 0, epoch = "", duplicate = false }]) => ({ offset, epoch, duplicate }),
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
      ([{ messages = [], position, gap, more = false }]) => ({
        messages: messages.map(receivedMessage) as ReceivedMessage<T>[],
        position,
        gap: gap && gapOf({ channel, ...gap }),
        more,
      }),
    );
  }

  /** @param frame makes the request; what it throws is a rejection */
  #ask<Kind extends AnswerKind, T>(
    frame: () => InboundFrame,
    kind: Kind,
    terms: Pick<Terms<Kind, T>, "timeoutMs" | "signal" | "late">,
    take: (answers: Answers<Kind>) => T,
  ): Promise<T> {
    const ask = async () => this.#connection.request(frame(), { ...terms, kind, take });
    return quiet(ask());
  }

  /** What is an event already, or data in one of its own. */
  #event(value: unknown): CloudEvent {
    if (isCloudEvent(value)) return value;
    const source = `/clients/${encodeURIComponent(this.clientId)}`;
    return { id: randomUuid(), source, specversion: "1.0", type: "message", data: value };
  }

  /** @throws MessagingError BAD_REQUEST */
  #checked(channel: string, data: unknown): unknown {
    for (const [pattern, schema] of this.#schemas) {
      if (!stands(pattern, channel)) continue;
      const result = schema["~standard"].validate(data);
      if (result instanceof Promise) {
        throw new MessagingError("BAD_REQUEST", `data of ${channel}: asynchronous schema`);
      }
      if (result.issues) {
        const text = result.issues.map(({ message }) => message).join("; ");
        throw new MessagingError("BAD_REQUEST", `data of ${channel}: ${text}`);
      }
      return result.value;
    }
    return data;
  }

  #failed(cause: unknown): void {
    this.#report(new MessagingError("INTERNAL_ERROR", "a handler failed", { cause }));
  }

  #report(cause: unknown): void {
    const error = MessagingError.from(cause);
    // What fails while it is told of a failure must not be told for ever.
    if (this.#reporting) {
      console.error(error);
      return;
    }
    this.#reporting = true;
    this.hand(this.#onError, error);
    this.emit("error", error);
    this.#reporting = false;
  }
}
