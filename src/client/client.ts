/**
 * One connection to a MessageLoop server. Every promise settles: with the server's answer, with its
 * error, at its deadline, or when the connection is lost.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Codec, codecFor } from "../protocol/codec.ts";
import { reconnects } from "../protocol/codes.ts";
import { MessagingError } from "../protocol/errors.ts";
import {
  type Connected,
  type Disconnect,
  type InboundMessage,
  InboundMessageSchema,
  type Message,
  type OutboundMessage,
  type Subscription,
} from "../protocol/gen/messageloop/v1/service_pb.js";
import { Credit } from "./credit.ts";
import { type CloudEvent, fromWireEvent, toWireEvent } from "./events.ts";
import {
  buildOptions,
  type ClientOption,
  type ClientOptions,
  type WebSocketLike,
} from "./options.ts";
import { type Deadline, deferred, PendingRequests } from "./pending.ts";

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

/** Why a connection ended, and whether to dial again. */
export interface CloseInfo {
  /** The WebSocket close code; 1006 when the connection was lost. */
  code: number;
  reason: string;
  /**
   * Whether the client should come back: as the server said, else as the close code means. False
   * after {@link MessageLoopClient.close}.
   */
  reconnect: boolean;
  /** How long the server asks to wait before that, in milliseconds; 0 when it did not say. */
  retryAfterMs: number;
}

/** Messages kept for a handler that is set later than they arrive. */
const MAX_UNHANDLED = 1_000;
/** Longer than the server waits for a backend by default, so that its own answer comes first. */
const RPC_TIMEOUT_MS = 35_000;
/** How long a pong may take, in milliseconds. */
const PONG_TIMEOUT_MS = 10_000;
const NORMAL_CLOSURE = 1000;
/** What a WebSocket reports when no close frame came. */
const LOST_CONNECTION = 1006;

/** What this SDK announces. Any entry makes it an extended client, which receives the whole event. */
const CAPABILITIES = ["control", "credit"];

type Envelope = NonNullable<
  Exclude<MessageInitShape<typeof InboundMessageSchema>, InboundMessage>["envelope"]
>;

/** What stands around an envelope, and how long its answer may take. */
interface RequestTerms extends Deadline {
  readonly channel?: string;
  readonly method?: string;
}

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
  const client = new MessageLoopClient(new WebSocketClass(url, [codec.subprotocol]), codec, built);
  await client.opened;
  return client;
}

/** A connected client; made by {@link dial}. */
export class MessageLoopClient {
  /** Settles when the server has answered connect. @internal */
  readonly opened: Promise<void>;
  readonly #socket: WebSocketLike;
  readonly #codec: Codec;
  readonly #pending: PendingRequests;
  readonly #credit = new Credit((bytes) => this.#sendReceived(bytes));
  readonly #channels = new Set<string>();
  #sessionId: string | null = null;
  #closed: CloseInfo | undefined;
  /** Set when the application has asked for the end. */
  #closing = false;
  /** What the server said before it closes. */
  #disconnect: Disconnect | undefined;
  #counter = 0;
  #unhandled: ReceivedMessage[] = [];
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #pongTimer: ReturnType<typeof setTimeout> | undefined;
  #onMessage: ((messages: ReceivedMessage[]) => void) | undefined;
  #onError: ((error: MessagingError) => void) | undefined;
  #onClosed: ((info: CloseInfo) => void) | undefined;

  /** @internal */
  constructor(socket: WebSocketLike, codec: Codec, options: ClientOptions) {
    this.#socket = socket;
    this.#codec = codec;
    this.#pending = new PendingRequests(options.requestTimeoutMs);
    socket.binaryType = "arraybuffer";
    const { promise, resolve, reject } = deferred<void>();
    this.opened = promise;
    const deadline = setTimeout(() => {
      reject(new MessagingError("UNAVAILABLE", "the server did not answer in time"));
      this.#drop();
    }, options.connectTimeoutMs);
    socket.addEventListener("open", () => {
      this.#request(this.#connectEnvelope(options), { timeoutMs: options.connectTimeoutMs })
        .then((answer) => this.#connected(answer))
        .then(
          () => {
            clearTimeout(deadline);
            resolve();
          },
          (error: unknown) => {
            clearTimeout(deadline);
            reject(error);
            this.#drop();
          },
        );
    });
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    // An error is always followed by a close, which says more.
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", ({ code, reason }) => {
      clearTimeout(deadline);
      reject(new MessagingError("UNAVAILABLE", `connection closed: ${code} ${reason}`.trim()));
      this.#lost(code, reason);
    });
  }

  /**
   * Publishes an event. Resolves when it is in the channel's log and its delivery is under way.
   *
   * @throws MessagingError with the server's code; `UNAVAILABLE` means that the outcome is unknown.
   */
  async publish(channel: string, event: CloudEvent): Promise<PublishResult> {
    const answer = await this.#request({ case: "publish", value: toWireEvent(event) }, { channel });
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
    const answer = await this.#request(
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
    const answer = await this.#request({ case: "subscribe", value: { subscriptions } });
    if (answer.envelope.case !== "subscribeAck") throw unexpected(answer);
    const refused = this.#accept(answer.envelope.value.subscriptions);
    if (refused !== undefined) throw refused;
  }

  /** Ends subscriptions. Resolves when the server has ended them. */
  async unsubscribe(...channels: string[]): Promise<void> {
    const subscriptions = channels.map((channel) => ({ channel }));
    const answer = await this.#request({ case: "unsubscribe", value: { subscriptions } });
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
    if (this.#closed !== undefined) return Promise.resolve();
    this.#closing = true;
    return new Promise((resolve) => {
      this.#socket.addEventListener("close", () => resolve());
      this.#socket.close(NORMAL_CLOSURE, "client closing");
    });
  }

  #connectEnvelope(options: ClientOptions): Envelope {
    return {
      case: "connect",
      value: {
        clientId: options.clientId,
        clientType: options.clientType,
        token: options.token,
        version: options.version,
        subscriptions: options.autoSubscribe.map((channel) => ({ channel })),
        capabilities: CAPABILITIES,
      },
    };
  }

  #connected(answer: OutboundMessage): void {
    if (answer.envelope.case !== "connected") throw unexpected(answer);
    const connected: Connected = answer.envelope.value;
    const refused = this.#accept(connected.subscriptions);
    if (refused !== undefined) throw refused;
    this.#sessionId = connected.sessionId;
    // A server that has not granted the capability would answer each report with an error.
    if (connected.capabilities.includes("credit") && connected.creditBytes > 0n) {
      this.#credit.grant(Number(connected.creditBytes));
    }
    for (const publication of connected.publications) this.#take(publication.messages);
    if (connected.pingIntervalMs > 0) this.#schedulePing(connected.pingIntervalMs);
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

  async #request(envelope: Envelope, terms: RequestTerms = {}): Promise<OutboundMessage> {
    if (this.#closed !== undefined) throw new MessagingError("UNAVAILABLE", "not connected");
    const { id, frame } = this.#encode(envelope, terms);
    const answer = this.#pending.add(id, terms);
    this.#socket.send(frame);
    return await answer;
  }

  /** Nothing answers this, so nobody waits. */
  #sendReceived(bytes: number): void {
    if (this.#closed !== undefined) return;
    const value = { bytes: BigInt(bytes) };
    this.#socket.send(this.#encode({ case: "received", value }).frame);
  }

  #encode(
    envelope: Envelope,
    { channel = "", method = "" }: RequestTerms = {},
  ): { id: string; frame: string | Uint8Array<ArrayBuffer> } {
    this.#counter += 1;
    const id = `${Date.now()}-${this.#counter}`;
    const time = BigInt(Date.now());
    const message = create(InboundMessageSchema, { id, channel, method, time, envelope });
    const frame = this.#codec.encodeInbound(message);
    return { id, frame: frame as string | Uint8Array<ArrayBuffer> };
  }

  #receive(data: unknown): void {
    // Whatever comes shows that the connection lives.
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;
    if (data === "pong") return;
    const frame = data instanceof ArrayBuffer ? new Uint8Array(data) : String(data);
    this.#credit.took(frame);
    let message: OutboundMessage;
    try {
      message = this.#codec.decodeOutbound(frame);
    } catch (error) {
      this.#report(MessagingError.from(error));
      return;
    }
    const { envelope } = message;
    if (envelope.case === "publication") {
      this.#take(envelope.value.messages);
    } else if (envelope.case === "error") {
      const error = MessagingError.fromMessage(envelope.value);
      if (!this.#pending.reject(message.id, error)) this.#report(error);
    } else if (envelope.case === "disconnect") {
      this.#disconnect = envelope.value;
    } else if (envelope.case !== undefined) {
      // An envelope without a case is one of a later version, and no answer whatever its id.
      this.#pending.resolve(message.id, message);
    }
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

  #schedulePing(intervalMs: number): void {
    this.#pingTimer = setTimeout(() => {
      this.#socket.send("ping");
      // The oldest ping without an answer decides, whatever was sent since.
      this.#pongTimer ??= setTimeout(() => this.#drop(), PONG_TIMEOUT_MS);
      this.#schedulePing(intervalMs);
    }, intervalMs);
  }

  /** Ends a connection that no longer answers, without waiting for its close handshake. */
  #drop(): void {
    this.#socket.close();
    this.#lost(LOST_CONNECTION, "no answer");
  }

  #lost(code: number, reason: string): void {
    if (this.#closed !== undefined) return;
    const reconnect = !this.#closing && (this.#disconnect?.reconnect ?? reconnects(code));
    const info = { code, reason, reconnect, retryAfterMs: this.#disconnect?.retryAfterMs ?? 0 };
    this.#closed = info;
    this.#sessionId = null;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    this.#pending.rejectAll(new MessagingError("UNAVAILABLE", "connection closed"));
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

function unexpected(answer: OutboundMessage): MessagingError {
  return new MessagingError("INTERNAL_ERROR", `unexpected answer: ${answer.envelope.case}`);
}
