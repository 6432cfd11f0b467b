/** The client that applications hold. Every promise settles: with an answer, an error, at its deadline, or on a loss. */
import { MessagingError } from "../../protocol/errors.ts";
import { toWireEvent } from "../core/cloud-event.ts";
import { type Connection, connectionOf, type StateChange } from "../core/connection.ts";
import { page, systemClock } from "../core/environment.ts";
import type { ReceivedMessage as Arrived } from "../core/message.ts";
import type {
  PublishQueue,
  QueueItem,
  PublishResult as QueueResult,
  Surroundings,
} from "../core/ports.ts";
import { webSocket } from "../core/websocket.ts";
import { protobuf } from "../protobuf/codec.ts";
import { memoryQueue } from "../queue/queue.ts";
import type { Codec, ConnectedFrame, OutboundFrame } from "../wire/frames.ts";
import { json } from "../wire/json.ts";
import { utf8Length } from "../wire/sizes.ts";
import { type CloudEvent, type EventLike, plainEvent, receivedEvent } from "./cloud-event.ts";
import { Handlers, type IClient } from "./handlers.ts";
import { type CloseInfo, Line } from "./line.ts";
import { buildOptions, type ClientOption, type ClientOptions } from "./options.ts";
import { cloudEvents } from "./peers.ts";
import {
  type Gap,
  gapOf,
  messageOf,
  type PublishResult,
  type ReceivedMessage,
  type ServerSubscription,
  serverSubscription,
} from "./received.ts";
import { Subscriptions } from "./subscriptions.ts";
import {
  type SurveyHandler,
  type SurveyResult,
  type SurveyTerms,
  surveyResponse,
  surveyResult,
  surveyTimeout,
} from "./surveys.ts";

/** What is announced to the server. */
const CAPABILITIES = ["survey", "control", "credit"];
/** How much longer than the server waits for answers its result may take, in milliseconds. */
const SURVEY_MARGIN_MS = 5_000;
/** What the core leaves a pong that may lie behind a late timer, in milliseconds. */
const PONG_GRACE_MS = 1_000;
/** What a publish takes beside its channel and data, in bytes. */
const FRAME_BYTES = 256;
/** A client that does not come back has nothing to do with what becomes of its page. */
const NOWHERE: Surroundings = { watch: () => () => {} };

/**
 * Connects to a server and waits until the session stands.
 *
 * @param url such as `ws://localhost:9080/ws`
 * @throws MessagingError with the server's code when it refuses, `UNAVAILABLE` when it cannot be
 * reached or does not answer in time; `UNIMPLEMENTED` where the package `cloudevents` is not installed.
 *
 * @example const client = await dial("ws://localhost:9080/ws", [withClientId("ada-laptop"), withReconnect()]);
 */
export async function dial(
  url: string,
  options: readonly ClientOption[] = [],
): Promise<MessageLoopClient> {
  return await MessageLoopClient.dial(url, options);
}

/**
 * A connected client; made by `dial`.
 *
 * @example const client: MessageLoopClient = await dial("ws://localhost:9080/ws");
 */
export class MessageLoopClient implements IClient {
  readonly #options: ClientOptions;
  readonly #line: Line;
  readonly #connection: Connection;
  readonly #subscriptions: Subscriptions;
  readonly #queue: PublishQueue | undefined;
  readonly #handlers = new Handlers();
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #asksSurveys = false;
  /** The application has asked for the end, which is told when the server has answered. */
  #isClosing = false;
  #closed: CloseInfo | undefined;
  /** What the frame that is being read has brought. */
  readonly #arrived = new Set<Arrived>();

  private constructor(url: string, options: ClientOptions) {
    const { reconnect, requestTimeoutMs, pingIntervalMs, pingTimeoutMs, getToken } = options;
    const report = (error: unknown): void => this.#handlers.report(error);
    this.#options = options;
    this.#line = new Line(codecOf(options), webSocket(options.webSocket));
    this.#connection = connectionOf(
      {
        url,
        clientId: options.clientId,
        clientType: options.clientType,
        version: options.version,
        token: options.token,
        codec: this.#line.codec,
        transport: this.#line.transport,
        ...(getToken === undefined ? {} : { getToken }),
        capabilities: [
          ...CAPABILITIES,
          ...(reconnect ? ["recovery"] : []),
          ...(getToken === undefined ? [] : ["refresh"]),
        ],
        connectTimeoutMs: options.connectTimeoutMs,
        requestTimeoutMs,
        pongTimeoutMs: Math.max(0, pingTimeoutMs - PONG_GRACE_MS),
        ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
        reconnect,
        patient: false,
        clock: systemClock,
        surroundings: reconnect ? page : NOWHERE,
      },
      {
        subscriptions: (room) => this.#subscriptions.requests(room),
        connected: (frame, time) => this.#connected(frame, time),
        frame: (frame) => this.#frame(frame),
        refreshed: () => {},
        lost: (error) => this.#lost(error),
        changed: (change) => this.#changed(change),
        report,
      },
    );
    this.#subscriptions = new Subscriptions({
      connection: this.#connection,
      requestTimeoutMs,
      ephemeral: options.ephemeral,
      received: (message) => this.#arrived.add(message),
      gap: (gap) => {
        // What came before it in the same frame.
        this.#deliver();
        this.#handlers.hand(this.#handlers.gap, gapOf(gap));
      },
      ended: (channel, error) => {
        report(error);
        this.#handlers.hand(this.#handlers.unsubscribed, [channel]);
      },
      report,
    });
    if (reconnect) this.#queue = memoryQueue()({ url, clock: systemClock, report });
  }

  /** The same as the function `dial`. */
  static async dial(
    url: string,
    options: readonly ClientOption[] = [],
  ): Promise<MessageLoopClient> {
    // Before anything comes that would have no form for applications.
    cloudEvents();
    const client = new MessageLoopClient(url, buildOptions(options));
    await client.#open();
    return client;
  }

  /**
   * Does nothing: `dial` has connected already.
   *
   * @throws MessagingError (as a rejection) UNAVAILABLE where there is no connection
   */
  async connect(): Promise<void> {
    if (!this.isConnected()) throw notConnected();
  }

  /**
   * Publishes an event. Resolves when it is in the channel's log and its delivery is under way.
   *
   * @throws MessagingError with the server's code; `UNAVAILABLE` means that the outcome is unknown.
   *
   * @example await client.publish("chat.lobby", createCloudEvent({ source: "/me", type: "note", data: "hello" }));
   */
  async publish(channel: string, event: EventLike): Promise<PublishResult> {
    this.#requireOpen();
    const wire = toWireEvent(plainEvent(event));
    const { id = "", text_data = "", binary_data = [] } = wire;
    const size = utf8Length(channel) + utf8Length(text_data) + binary_data.length + FRAME_BYTES;
    const item = { id, channel, event: wire, size };
    const published = this.#queue?.add(item) ?? this.#send(item, false);
    const { offset, epoch, duplicate } = await published;
    return { offset: BigInt(offset), epoch, duplicate };
  }

  /**
   * Asks the application's backend and resolves with its answer; without a backend the server sends
   * the event back as it was.
   *
   * @param options `timeout` or `timeoutMs`: milliseconds until it rejects. Default: `withRPCTimeout`
   * @throws MessagingError with the server's or the backend's code; `RPC_TIMEOUT` when no answer
   * came in time, `UNAVAILABLE` when the connection was lost.
   *
   * @example const { data } = await client.rpc("shop.7", "price", createCloudEvent({ source: "/me", type: "ask", data: { id: "a" } }));
   */
  async rpc(
    channel: string,
    method: string,
    event: EventLike,
    {
      timeout = this.#options.rpcTimeoutMs,
      timeoutMs = timeout,
    }: { timeout?: number; timeoutMs?: number } = {},
  ): Promise<CloudEvent> {
    this.#requireOpen();
    const request = toWireEvent(plainEvent(event));
    return await this.#connection.request(
      { channel, method, rpc_request: request },
      {
        kind: "rpc_reply",
        take: ([reply]) => receivedEvent(reply ?? {}),
        timeoutMs,
        late: "RPC_TIMEOUT",
      },
    );
  }

  /**
   * Asks everyone who is subscribed to a channel, which this client has to be as well. Resolves when all have answered,
   * or the time is over.
   *
   * @throws MessagingError with the server's code: `BAD_REQUEST` where the channel has no surveys, `ACL_ERROR` without a
   * subscription, `TOO_LARGE` where too many are subscribed, `RATE_LIMITED`; `UNIMPLEMENTED` where the server has no
   * surveys of clients, `UNAVAILABLE` when no result came in time or the connection was lost.
   *
   * @example
   * const { answers, silent } = await client.survey("class.7", question, { timeoutMs: 10_000 });
   */
  async survey(channel: string, event: EventLike, terms: SurveyTerms = {}): Promise<SurveyResult> {
    const timeoutMs = surveyTimeout(terms);
    this.#requireOpen();
    if (!this.#asksSurveys) {
      throw new MessagingError("UNIMPLEMENTED", "the server has no surveys of clients");
    }
    const request = {
      request_id: event.id,
      payload: toWireEvent(plainEvent(event)),
      timeout_ms: timeoutMs,
      others_only: terms.othersOnly ?? false,
    };
    return await this.#connection.request(
      { channel, survey_request: request },
      { kind: "survey_result", take: surveyResult, timeoutMs: timeoutMs + SURVEY_MARGIN_MS },
    );
  }

  /**
   * Subscribes to channels. Resolves when the server will deliver all of them.
   *
   * @throws MessagingError of the first refused channel; the others stay subscribed.
   *
   * @example await client.subscribe("chat.lobby", "news.*");
   */
  async subscribe(...channels: string[]): Promise<void> {
    this.#requireOpen();
    await this.#subscriptions.subscribe(channels);
  }

  /**
   * Ends subscriptions. Resolves when the server has ended them.
   *
   * @example await client.unsubscribe("news.*");
   */
  async unsubscribe(...channels: string[]): Promise<void> {
    this.#requireOpen();
    await this.#subscriptions.unsubscribe(channels);
  }

  /**
   * Sets the handler of delivered messages; the last one set wins. Earlier arrivals come at once. What it
   * throws, or rejects with, goes to the handler of errors as `INTERNAL_ERROR` with its cause, and the
   * connection goes on; without a handler of errors it is uncaught, as in any other callback.
   *
   * @example client.onMessage((messages) => messages.forEach(({ channel, event }) => console.log(channel, event.data)));
   */
  onMessage(handler: (messages: ReceivedMessage[]) => void): void {
    this.#handlers.message = handler;
  }

  /**
   * Sets the handler of subscriptions that the server's side has made; events of theirs come after it. What the
   * client has subscribed to by itself is not told.
   *
   * @example client.onSubscribed((all) => console.log(all.map(({ channel }) => channel)));
   */
  onSubscribed(handler: (subscriptions: ServerSubscription[]) => void): void {
    this.#handlers.subscribed = handler;
  }

  /**
   * Sets the handler of subscriptions that the server's side has ended: channels and patterns.
   *
   * @example client.onUnsubscribed((channels) => console.log("ended by the server", channels));
   */
  onUnsubscribed(handler: (channels: string[]) => void): void {
    this.#handlers.unsubscribed = handler;
  }

  /**
   * Sets the handler of messages that are missing: of a subscription that stood while they were published, and that cannot
   * be brought back.
   *
   * @example client.onGap(({ channel, reason }) => reload(channel, reason));
   */
  onGap(handler: (gap: Gap) => void): void {
    this.#handlers.gap = handler;
  }

  /**
   * Sets what answers surveys of the channels that this client is subscribed to. Without it they are answered with the
   * error `UNIMPLEMENTED`, so that nobody waits for this client.
   *
   * @example client.onSurvey((question, channel) => createCloudEvent({ source: "/me", type: "answer", data: "yes" }));
   */
  onSurvey(handler: SurveyHandler): void {
    this.#handlers.survey = handler;
  }

  /**
   * Sets the handler of errors that belong to no request: those of the application's handlers, and why a connection was lost
   * that comes back.
   *
   * @example client.onError(({ code, message }) => console.error(code, message));
   */
  onError(handler: (error: MessagingError) => void): void {
    this.#handlers.error = handler;
  }

  /** Sets the handler of a session's beginning; called at once where one stands already. */
  onConnected(handler: (sessionId: string) => void): void {
    this.#handlers.connected = handler;
    const sessionId = this.getSessionId();
    if (sessionId !== null) queueMicrotask(() => this.#handlers.hand(handler, sessionId));
  }

  /** Sets the handler of the client's end; called at once when it has ended already. */
  onClosed(handler: (info: CloseInfo) => void): void {
    this.#handlers.closed = handler;
    const closed = this.#closed;
    if (closed !== undefined) queueMicrotask(() => this.#handlers.hand(handler, closed));
  }

  /** The session's public id, or null before, between and after connections. */
  getSessionId(): string | null {
    return this.isConnected() ? this.#connection.sessionId : null;
  }

  isConnected(): boolean {
    return this.#connection.state === "connected";
  }

  /** The same as {@link isConnected}. */
  isConnectedToServer(): boolean {
    return this.isConnected();
  }

  /** The channels the server has acknowledged, and those that its own side has subscribed this client to. */
  getSubscribedChannels(): string[] {
    return this.#subscriptions.channels;
  }

  /**
   * Ends the client. Resolves when the server has answered, after a second at the latest; pending requests reject, and nothing
   * is delivered after the call.
   */
  async close(): Promise<void> {
    const isFirst = this.#connection.state !== "closed";
    this.#isClosing = true;
    await Promise.all([this.#connection.close(), this.#queue?.close(false)]);
    if (isFirst) this.#end(undefined);
  }

  /** Resolves when the server has answered connect. */
  #open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#subscriptions.add(this.#options.autoSubscribe);
      this.#connection.start();
    });
  }

  /** @throws MessagingError UNAVAILABLE where no connection will come any more */
  #requireOpen(): void {
    if (this.#connection.state === "closed") throw notConnected();
  }

  #send({ channel, event }: QueueItem, again: boolean): Promise<QueueResult> {
    return this.#connection.request(
      { channel, publish: event, again: again || undefined },
      {
        kind: "publish_ack",
        take: ([ack]) => ({
          offset: ack?.offset ?? 0,
          epoch: ack?.epoch ?? "",
          duplicate: ack?.duplicate ?? false,
        }),
        timeoutMs: this.#options.requestTimeoutMs,
      },
    );
  }

  #connected(frame: ConnectedFrame, time: number): void {
    this.#asksSurveys = frame.capabilities?.includes("survey") ?? false;
    const refused = this.#subscriptions.connected(frame);
    if (refused !== undefined) {
      this.#connection.close(refused).catch(() => {});
      return;
    }
    this.#queue?.opened({
      userId: this.#connection.userId,
      dedupWindowMs: frame.dedup_window_ms ?? 0,
      time,
      send: (item, again) => this.#send(item, again),
    });
    this.#deliver();
  }

  #frame(frame: OutboundFrame): void {
    const { survey_request: question, subscribed, unsubscribed } = frame;
    if (question !== undefined) {
      surveyResponse(question, this.#handlers.survey, (error) => this.#handlers.thrown(error))
        .then((survey_response) => this.#connection.tell({ survey_response }))
        .catch((error: unknown) => this.#handlers.report(error));
      return;
    }
    this.#subscriptions.frame(frame);
    this.#deliver();
    if (subscribed !== undefined) {
      const made = (subscribed.subscriptions ?? []).map(serverSubscription);
      this.#handlers.hand(this.#handlers.subscribed, made);
    }
    if (unsubscribed !== undefined) {
      const channels = (unsubscribed.subscriptions ?? []).map(({ channel = "" }) => channel);
      this.#handlers.hand(this.#handlers.unsubscribed, channels);
    }
  }

  #lost(error: MessagingError): void {
    this.#subscriptions.lost(this.#connection.state === "closed" ? error : undefined);
    this.#queue?.lost();
  }

  #changed({ state, error }: StateChange): void {
    if (state === "connected") {
      this.#settle?.resolve();
      this.#handlers.hand(this.#handlers.connected, this.#connection.sessionId);
      return;
    }
    if (state === "closed") this.#settle?.reject(error ?? notConnected());
    if (this.#isClosing || error === undefined) return;
    const isSilent = error.close !== undefined && this.#line.isSilent;
    if (isSilent) this.#handlers.report(new MessagingError("UNAVAILABLE", "Pong timeout"));
    else if (state === "connecting") this.#handlers.report(error);
    if (state === "connecting") this.#line.forget();
    else {
      this.#queue?.close(false).catch(() => {});
      this.#end(error);
    }
  }

  /** @param error why; undefined where the application has asked for it */
  #end(error: MessagingError | undefined): void {
    const info = this.#line.closed(error);
    // What comes back by itself is over for good.
    if (this.#options.reconnect) info.reconnect = false;
    this.#closed = info;
    this.#handlers.hand(this.#handlers.closed, info);
  }

  /** Gives out what one frame has brought. A message that has no form for applications takes no others with it. */
  #deliver(): void {
    const arrived = [...this.#arrived];
    this.#arrived.clear();
    this.#handlers.deliver(
      arrived.flatMap((message) => {
        try {
          return [messageOf(message)];
        } catch (error) {
          this.#handlers.report(error);
          return [];
        }
      }),
    );
  }
}

/** @throws MessagingError BAD_REQUEST for an encoding that there is not */
function codecOf({ encoding }: ClientOptions): Codec {
  if (encoding === "json") return json;
  if (encoding === "proto") return protobuf;
  throw new MessagingError("BAD_REQUEST", `there is no encoding ${String(encoding)}`);
}

/** What is asked of a client that has ended. */
function notConnected(): MessagingError {
  return new MessagingError("UNAVAILABLE", "Not connected");
}
