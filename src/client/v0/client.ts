/**
 * The client that applications hold. Every promise settles: with the server's answer, with its error, at its
 * deadline, or when the connection is lost.
 */
import { MessagingError } from "../../protocol/errors.ts";
import type {
  Connected,
  Message,
  OutboundMessage,
  Subscription,
  SurveyRequest,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import {
  type CloseInfo,
  type Connection,
  type ConnectionEvents,
  openConnection,
  unexpected,
} from "./connection.ts";
import { type CloudEvent, fromWireEvent, toWireEvent } from "./events.ts";
import { buildOptions, type ClientOption, type ClientOptions } from "./options.ts";
import {
  type SurveyHandler,
  type SurveyResult,
  type SurveyTerms,
  surveyResponse,
  surveyResult,
  surveyTimeout,
} from "./surveys.ts";

/** A delivered event and its place in the channel. */
export interface ReceivedMessage {
  /** `epoch-offset`, the same for every subscriber; of a message that is in no log a name of its own. */
  id: string;
  channel: string;
  /** Dense per channel and epoch, from 1; 0 of a message that is in no log, whose epoch is empty. */
  offset: bigint;
  epoch: string;
  /** When the server took the event, Unix milliseconds. */
  time: number;
  /** Who published it. Only `userId` is authenticated. */
  publisher: { clientId: string; userId: string; sessionId: string };
  /** Metadata of the publish request. */
  metadata: Readonly<Record<string, string>>;
  event: CloudEvent;
}

/** Where a published event stands. */
export interface PublishResult {
  offset: bigint;
  epoch: string;
  /** The event was in the log already; `offset` is where. */
  duplicate: boolean;
}

/** A subscription that the server's side has made, and where its channel stood then. */
export interface ServerSubscription {
  /** A channel or a pattern. */
  channel: string;
  /** The channel's log; of a pattern what its own position names. */
  epoch: string;
  /** The last event before the subscription; of a pattern a time in Unix milliseconds. */
  offset: bigint;
}

/** Messages kept for a handler that is set later than they arrive. */
const MAX_UNHANDLED = 1_000;
/** How much longer than the server waits for answers its result may take, in milliseconds. */
const SURVEY_MARGIN_MS = 5_000;

/**
 * Connects to a server and waits until the session stands.
 *
 * @param url such as `ws://localhost:9080/ws`
 * @throws MessagingError with the server's code when it refuses, `UNAVAILABLE` when it cannot be
 * reached or does not answer in time.
 */
export async function dial(
  url: string,
  options: readonly ClientOption[] = [],
): Promise<MessageLoopClient> {
  return await MessageLoopClient.dial(url, options);
}

/** What the client of v0.1.1 can do. */
export interface IClient {
  connect(): Promise<void>;
  close(): Promise<void>;
  subscribe(...channels: string[]): Promise<void>;
  unsubscribe(...channels: string[]): Promise<void>;
  publish(channel: string, event: CloudEvent): Promise<unknown>;
  rpc(
    channel: string,
    method: string,
    event: CloudEvent,
    options?: { timeout?: number },
  ): Promise<CloudEvent>;
  onMessage(handler: (messages: ReceivedMessage[]) => void): void;
  onError(handler: (error: MessagingError) => void): void;
  onConnected(handler: (sessionId: string) => void): void;
  onClosed(handler: (info: CloseInfo) => void): void;
  getSessionId(): string | null;
  isConnected(): boolean;
  getSubscribedChannels(): string[];
}

/** A connected client; made by {@link dial}. */
export class MessageLoopClient implements IClient {
  /** Settles when the server has answered connect. @internal */
  readonly opened: Promise<void>;
  readonly #connection: Connection;
  readonly #options: ClientOptions;
  readonly #channels = new Set<string>();
  #sessionId: string | null = null;
  #asksSurveys = false;
  #closed: CloseInfo | undefined;
  #unhandled: ReceivedMessage[] = [];
  #onMessage: ((messages: ReceivedMessage[]) => void) | undefined;
  #onSubscribed: ((subscriptions: ServerSubscription[]) => void) | undefined;
  #onUnsubscribed: ((channels: string[]) => void) | undefined;
  #onSurvey: SurveyHandler | undefined;
  #onError: ((error: MessagingError) => void) | undefined;
  #onClosed: ((info: CloseInfo) => void) | undefined;

  /** @internal */
  constructor(options: ClientOptions, open: (events: ConnectionEvents) => Connection) {
    this.#options = options;
    this.#connection = open({
      connected: (answer) => this.#connected(answer),
      messages: (messages) => this.#take(messages),
      notice: (envelope) => this.#notice(envelope),
      error: (error) => this.#report(error),
      closed: (info) => this.#lost(info),
    });
    this.opened = this.#connection.opened;
  }

  /** The same as {@link dial}. */
  static async dial(
    url: string,
    options: readonly ClientOption[] = [],
  ): Promise<MessageLoopClient> {
    const built = buildOptions(options);
    const client = new MessageLoopClient(built, (events) => openConnection(url, built, events));
    await client.opened;
    return client;
  }

  /**
   * Does nothing: `dial` has connected already.
   *
   * @throws MessagingError (as a rejection) UNAVAILABLE where the connection has ended
   */
  async connect(): Promise<void> {
    if (!this.isConnected()) throw new MessagingError("UNAVAILABLE", "Not connected");
  }

  /**
   * Publishes an event. Resolves when it is in the channel's log and its delivery is under way.
   *
   * @throws MessagingError with the server's code; `UNAVAILABLE` means that the outcome is unknown.
   */
  async publish(channel: string, event: CloudEvent): Promise<PublishResult> {
    const answer = await this.#connection.request(
      { case: "publish", value: toWireEvent(event) },
      { channel },
    );
    if (answer.envelope.case !== "publishAck") throw unexpected(answer);
    const { offset, epoch, duplicate } = answer.envelope.value;
    return { offset, epoch, duplicate };
  }

  /**
   * Asks the application's backend and resolves with its answer; without a backend the server sends
   * the event back as it was.
   *
   * @param options `timeout` or `timeoutMs`: milliseconds until it rejects. Default: `withRPCTimeout`
   * @throws MessagingError with the server's or the backend's code; `RPC_TIMEOUT` when no answer
   * came in time, `UNAVAILABLE` when the connection was lost.
   */
  async rpc(
    channel: string,
    method: string,
    event: CloudEvent,
    {
      timeout = this.#options.rpcTimeoutMs,
      timeoutMs = timeout,
    }: { timeout?: number; timeoutMs?: number } = {},
  ): Promise<CloudEvent> {
    const answer = await this.#connection.request(
      { case: "rpcRequest", value: toWireEvent(event) },
      { channel, method, timeoutMs, late: "RPC_TIMEOUT" },
    );
    if (answer.envelope.case !== "rpcReply") throw unexpected(answer);
    return fromWireEvent(answer.envelope.value);
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
  async survey(channel: string, event: CloudEvent, terms: SurveyTerms = {}): Promise<SurveyResult> {
    const timeoutMs = surveyTimeout(terms);
    if (!this.#asksSurveys) {
      throw new MessagingError("UNIMPLEMENTED", "the server has no surveys of clients");
    }
    const { othersOnly = false } = terms;
    const payload = toWireEvent(event);
    const value = { requestId: event.id, payload, timeoutMs, othersOnly };
    const parts: OutboundMessage[] = [];
    const last = await this.#connection.request(
      { case: "surveyRequest", value },
      { channel, timeoutMs: timeoutMs + SURVEY_MARGIN_MS, onPart: (part) => parts.push(part) },
    );
    return surveyResult([...parts, last]);
  }

  /**
   * Subscribes to channels. Resolves when the server will deliver all of them.
   *
   * @throws MessagingError of the first refused channel; the others stay subscribed.
   */
  async subscribe(...channels: string[]): Promise<void> {
    const { ephemeral } = this.#options;
    const subscriptions = channels.map((channel) => ({ channel, ephemeral }));
    const answer = await this.#connection.request({ case: "subscribe", value: { subscriptions } });
    if (answer.envelope.case !== "subscribeAck") throw unexpected(answer);
    const refused = this.#accept(answer.envelope.value.subscriptions);
    if (refused !== undefined) throw refused;
  }

  /** Ends subscriptions. Resolves when the server has ended them. */
  async unsubscribe(...channels: string[]): Promise<void> {
    const subscriptions = channels.map((channel) => ({ channel }));
    const answer = await this.#connection.request({
      case: "unsubscribe",
      value: { subscriptions },
    });
    if (answer.envelope.case !== "unsubscribeAck") throw unexpected(answer);
    for (const channel of channels) this.#channels.delete(channel);
  }

  /**
   * Sets the handler of delivered messages; the last one set wins. Earlier arrivals come at once. What it
   * throws, or rejects with, goes to the handler of errors as `INTERNAL_ERROR` with its cause, and the
   * connection goes on; without a handler of errors it is uncaught, as in any other callback.
   */
  onMessage(handler: (messages: ReceivedMessage[]) => void): void {
    this.#onMessage = handler;
    const waiting = this.#unhandled;
    this.#unhandled = [];
    if (waiting.length > 0) queueMicrotask(() => this.#deliver(waiting));
  }

  /**
   * Sets the handler of subscriptions that the server's side has made; events of theirs come after it. What the
   * client has subscribed to by itself is not told.
   *
   * @example client.onSubscribed((all) => console.log(all.map(({ channel }) => channel)));
   */
  onSubscribed(handler: (subscriptions: ServerSubscription[]) => void): void {
    this.#onSubscribed = handler;
  }

  /** Sets the handler of subscriptions that the server's side has ended: channels and patterns. */
  onUnsubscribed(handler: (channels: string[]) => void): void {
    this.#onUnsubscribed = handler;
  }

  /**
   * Sets what answers surveys of the channels that this client is subscribed to. Without it they are answered with the
   * error `UNIMPLEMENTED`, so that nobody waits for this client.
   *
   * @example client.onSurvey((question, channel) => createCloudEvent({ source: "/me", type: "answer", data: "yes" }));
   */
  onSurvey(handler: SurveyHandler): void {
    this.#onSurvey = handler;
  }

  /** Sets the handler of errors that belong to no request, those of the application's handlers included. */
  onError(handler: (error: MessagingError) => void): void {
    this.#onError = handler;
  }

  /** Sets the handler of the session's beginning; called at once where it stands already. */
  onConnected(handler: (sessionId: string) => void): void {
    const sessionId = this.#sessionId;
    if (sessionId !== null) queueMicrotask(() => this.#hand(handler, sessionId));
  }

  /** Sets the handler of the connection's end; called at once when it has ended already. */
  onClosed(handler: (info: CloseInfo) => void): void {
    this.#onClosed = handler;
    const closed = this.#closed;
    if (closed !== undefined) queueMicrotask(() => this.#hand(handler, closed));
  }

  /** The session's public id, or null before and after the connection. */
  getSessionId(): string | null {
    return this.#sessionId;
  }

  isConnected(): boolean {
    return this.#sessionId !== null;
  }

  /** The same as {@link isConnected}. */
  isConnectedToServer(): boolean {
    return this.isConnected();
  }

  /** The channels the server has acknowledged, and those that its own side has subscribed this client to. */
  getSubscribedChannels(): string[] {
    return [...this.#channels];
  }

  /** Closes the connection and resolves when it is closed. Pending requests reject. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #connected({ sessionId, subscriptions, capabilities }: Connected): void {
    const refused = this.#accept(subscriptions);
    if (refused !== undefined) throw refused;
    this.#sessionId = sessionId;
    this.#asksSurveys = capabilities.includes("survey");
  }

  /** Notes granted subscriptions and returns the first refusal. */
  #accept(subscriptions: readonly Subscription[]): MessagingError | undefined {
    let refused: MessagingError | undefined;
    for (const { channel, error } of subscriptions) {
      if (error === undefined) this.#channels.add(channel);
      else refused ??= MessagingError.fromMessage(error);
    }
    return refused;
  }

  #notice(envelope: OutboundMessage["envelope"]): void {
    if (envelope.case === "subscribed") this.#subscribed(envelope.value.subscriptions);
    else if (envelope.case === "unsubscribed") this.#unsubscribed(envelope.value.subscriptions);
    else if (envelope.case === "surveyRequest") this.#asked(envelope.value);
  }

  #subscribed(subscriptions: readonly Subscription[]): void {
    this.#accept(subscriptions);
    const made = subscriptions.map(({ channel, position }) => ({
      channel,
      epoch: position?.epoch ?? "",
      offset: position?.offset ?? 0n,
    }));
    this.#hand(this.#onSubscribed, made);
  }

  #unsubscribed(subscriptions: readonly Subscription[]): void {
    const channels = subscriptions.map(({ channel }) => channel);
    for (const channel of channels) this.#channels.delete(channel);
    this.#hand(this.#onUnsubscribed, channels);
  }

  #asked(request: SurveyRequest): void {
    surveyResponse(request, this.#onSurvey, (error) => this.#thrown(error))
      .then((value) => this.#connection.tell({ case: "surveyResponse", value }))
      .catch(raise);
  }

  #take(messages: readonly Message[]): void {
    const received = messages.flatMap((message) => this.#readable(message));
    if (received.length === 0) return;
    if (this.#onMessage !== undefined) this.#deliver(received);
    else if (this.#unhandled.length + received.length <= MAX_UNHANDLED) {
      this.#unhandled.push(...received);
    } else {
      this.#report(
        new MessagingError(
          "RATE_LIMITED",
          "messages were dropped: no handler is set with onMessage",
        ),
      );
    }
  }

  /** A message that has no form for applications must not take others with it. */
  #readable(message: Message): ReceivedMessage[] {
    try {
      return [receivedMessage(message)];
    } catch (error) {
      this.#report(MessagingError.from(error));
      return [];
    }
  }

  #deliver(messages: ReceivedMessage[]): void {
    this.#hand(this.#onMessage, messages);
  }

  /** Gives something to the application. Its mistakes must not look like the connection's. */
  #hand<T>(handler: ((value: T) => unknown) | undefined, value: T): void {
    try {
      const outcome = handler?.(value);
      if (outcome instanceof Promise) outcome.catch((error: unknown) => this.#thrown(error));
    } catch (error) {
      this.#thrown(error);
    }
  }

  #thrown(cause: unknown): void {
    if (this.#onError === undefined) raise(cause);
    else {
      const text = "a handler of the application failed";
      this.#report(new MessagingError("INTERNAL_ERROR", text, { cause }));
    }
  }

  #report(error: MessagingError): void {
    try {
      const outcome: unknown = this.#onError?.(error);
      if (outcome instanceof Promise) outcome.catch(raise);
    } catch (thrown) {
      raise(thrown);
    }
  }

  #lost(info: CloseInfo): void {
    this.#closed = info;
    this.#sessionId = null;
    this.#hand(this.#onClosed, info);
  }
}

/** Lets an error of the application's surface as its own, outside of the event of the socket. */
function raise(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** @internal */
export function receivedMessage(message: Message): ReceivedMessage {
  const { clientId = "", userId = "", sessionId = "" } = message.publisher ?? {};
  return {
    id: message.id,
    channel: message.channel,
    offset: message.offset,
    epoch: message.epoch,
    time: Number(message.time),
    publisher: { clientId, userId, sessionId },
    metadata: message.metadata,
    event:
      message.payload === undefined
        ? { id: "", source: "", specversion: "1.0", type: "" }
        : fromWireEvent(message.payload),
  };
}
