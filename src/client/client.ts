/**
 * The client that applications hold. Every promise settles: with the server's answer, with its error, at its
 * deadline, or when the connection is lost.
 */
import { codecFor } from "../protocol/codec.ts";
import { MessagingError } from "../protocol/errors.ts";
import type {
  Connected,
  Message,
  Subscription,
} from "../protocol/gen/messageloop/v1/service_pb.js";
import { type CloseInfo, Connection, type ConnectionEvents, unexpected } from "./connection.ts";
import { type CloudEvent, fromWireEvent, toWireEvent } from "./events.ts";
import { buildOptions, type ClientOption, type ClientOptions } from "./options.ts";

/** A delivered event and its place in the channel. */
export interface ReceivedMessage {
  /** `epoch-offset`, the same for every subscriber. */
  id: string;
  channel: string;
  /** Dense per channel and epoch, from 1. */
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

/** Messages kept for a handler that is set later than they arrive. */
const MAX_UNHANDLED = 1_000;
/** Longer than the server waits for a backend by default, so that its own answer comes first. */
const RPC_TIMEOUT_MS = 35_000;

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
  const built = buildOptions(options);
  const WebSocketClass =
    built.webSocket ?? (globalThis.WebSocket as unknown as ClientOptions["webSocket"]);
  if (WebSocketClass === undefined) {
    throw new MessagingError(
      "UNAVAILABLE",
      "this runtime has no WebSocket: pass one with withWebSocket, such as that of the ws package",
    );
  }
  const codec = codecFor(built.encoding);
  const socket = new WebSocketClass(url, [codec.subprotocol]);
  const client = new MessageLoopClient((events) => new Connection(socket, codec, built, events));
  await client.opened;
  return client;
}

/** A connected client; made by {@link dial}. */
export class MessageLoopClient {
  /** Settles when the server has answered connect. @internal */
  readonly opened: Promise<void>;
  readonly #connection: Connection;
  readonly #channels = new Set<string>();
  #sessionId: string | null = null;
  #closed: CloseInfo | undefined;
  #unhandled: ReceivedMessage[] = [];
  #onMessage: ((messages: ReceivedMessage[]) => void) | undefined;
  #onError: ((error: MessagingError) => void) | undefined;
  #onClosed: ((info: CloseInfo) => void) | undefined;

  /** @internal */
  constructor(open: (events: ConnectionEvents) => Connection) {
    this.#connection = open({
      connected: (answer) => this.#connected(answer),
      messages: (messages) => this.#take(messages),
      error: (error) => this.#report(error),
      closed: (info) => this.#lost(info),
    });
    this.opened = this.#connection.opened;
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
   * @param options `timeoutMs`: milliseconds until it rejects, default 35,000
   * @throws MessagingError with the server's or the backend's code; `RPC_TIMEOUT` when no answer
   * came in time, `UNAVAILABLE` when the connection was lost.
   */
  async rpc(
    channel: string,
    method: string,
    event: CloudEvent,
    { timeoutMs = RPC_TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<CloudEvent> {
    const answer = await this.#connection.request(
      { case: "rpcRequest", value: toWireEvent(event) },
      { channel, method, timeoutMs, late: "RPC_TIMEOUT" },
    );
    if (answer.envelope.case !== "rpcReply") throw unexpected(answer);
    return fromWireEvent(answer.envelope.value);
  }

  /**
   * Subscribes to channels. Resolves when the server will deliver all of them.
   *
   * @throws MessagingError of the first refused channel; the others stay subscribed.
   */
  async subscribe(...channels: string[]): Promise<void> {
    const subscriptions = channels.map((channel) => ({ channel }));
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

  /** Sets the handler of errors that belong to no request, those of the application's handlers included. */
  onError(handler: (error: MessagingError) => void): void {
    this.#onError = handler;
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

  /** The channels the server has acknowledged. */
  getSubscribedChannels(): string[] {
    return [...this.#channels];
  }

  /** Closes the connection and resolves when it is closed. Pending requests reject. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #connected({ sessionId, subscriptions }: Connected): void {
    const refused = this.#accept(subscriptions);
    if (refused !== undefined) throw refused;
    this.#sessionId = sessionId;
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

function receivedMessage(message: Message): ReceivedMessage {
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
