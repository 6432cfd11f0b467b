/**
 * One WebSocket connection to a server, from its handshake to its end. It knows frames, requests, heartbeats and
 * credit, and nothing of what an application subscribes to. A connection that has ended does not come back.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Codec, codecFor } from "../../protocol/codec.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type Connected,
  type Disconnect,
  type InboundMessage,
  InboundMessageSchema,
  type Message,
  type OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import { Credit } from "./credit.ts";
import type { ClientOptions, WebSocketLike } from "./options.ts";
import { type Deadline, deferred, PendingRequests } from "./pending.ts";

/** Why a connection ended, and whether to dial again. */
export interface CloseInfo {
  /** The WebSocket close code; 1006 when the connection was lost. */
  code: number;
  reason: string;
  /**
   * Whether the client should come back: as the server said, else as the close code means. False
   * after the client's own `close()`.
   */
  reconnect: boolean;
  /** How long the server asks to wait before that, in milliseconds; 0 when it did not say. */
  retryAfterMs: number;
}

/** The events of a connection, for its owner. */
export interface ConnectionEvents {
  /** The server's answer to connect. What this throws ends the connection, and rejects `opened`. */
  connected(answer: Connected): void;
  /** Messages of one frame. */
  messages(messages: readonly Message[]): void;
  /** Anything else that nobody asked for. */
  notice(envelope: OutboundMessage["envelope"]): void;
  /** An error that belongs to no request. */
  error(error: MessagingError): void;
  /** The end, once. All requests have been rejected. */
  closed(info: CloseInfo): void;
}

export type Envelope = NonNullable<
  Exclude<MessageInitShape<typeof InboundMessageSchema>, InboundMessage>["envelope"]
>;

/** What stands around an envelope, and how long its answer may take. */
export interface RequestTerms extends Deadline {
  readonly channel?: string;
  readonly method?: string;
}

/** State of a socket that is not open yet. */
const CONNECTING = 0;
const NORMAL_CLOSURE = 1000;
/** What a WebSocket reports when no close frame came. */
const LOST_CONNECTION = 1006;

/**
 * Begins a connection.
 *
 * @throws MessagingError UNAVAILABLE where the runtime has no WebSocket and none is given
 */
export function openConnection(
  url: string,
  options: ClientOptions,
  events: ConnectionEvents,
): Connection {
  const WebSocketClass =
    options.webSocket ?? (globalThis.WebSocket as unknown as ClientOptions["webSocket"]);
  if (WebSocketClass === undefined) {
    throw new MessagingError(
      "UNAVAILABLE",
      "this runtime has no WebSocket: pass one with withWebSocket, such as that of the ws package",
    );
  }
  const codec = codecFor(options.encoding);
  return new Connection(new WebSocketClass(url, [codec.subprotocol]), codec, options, events);
}

export class Connection {
  /** Settles when the server has answered connect. */
  readonly opened: Promise<void>;
  readonly #socket: WebSocketLike;
  readonly #codec: Codec;
  readonly #events: ConnectionEvents;
  readonly #options: ClientOptions;
  readonly #pending: PendingRequests;
  readonly #credit = new Credit((bytes) =>
    this.tell({ case: "received", value: { bytes: BigInt(bytes) } }),
  );
  #ended = false;
  /** Set when the application has asked for the end. */
  #closing = false;
  /** What the server said before it closes. */
  #disconnect: Disconnect | undefined;
  #counter = 0;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #pongTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    socket: WebSocketLike,
    codec: Codec,
    options: ClientOptions,
    events: ConnectionEvents,
  ) {
    this.#socket = socket;
    this.#codec = codec;
    this.#events = events;
    this.#options = options;
    this.#pending = new PendingRequests(options.requestTimeoutMs);
    socket.binaryType = "arraybuffer";
    const { promise, resolve, reject } = deferred<void>();
    this.opened = promise;
    const deadline = setTimeout(() => {
      reject(new MessagingError("UNAVAILABLE", "the server did not answer in time"));
      this.#drop();
    }, options.connectTimeoutMs);
    socket.addEventListener("open", () => {
      this.request(connectEnvelope(options), { timeoutMs: options.connectTimeoutMs })
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
    const closed = ({ code, reason }: { code: number; reason: string }): void => {
      clearTimeout(deadline);
      reject(new MessagingError("UNAVAILABLE", `connection closed: ${code} ${reason}`.trim()));
      this.#lost(code, reason);
    };
    // A close follows, which says more; but in Node 20 and 22 none does where the server is away or says no.
    socket.addEventListener("error", () => {
      if (socket.readyState === CONNECTING) closed({ code: LOST_CONNECTION, reason: "" });
    });
    socket.addEventListener("close", closed);
  }

  /**
   * Asks the server and resolves with its answer.
   *
   * @throws MessagingError with the server's code; `UNAVAILABLE`, or what the terms say, when no answer came.
   */
  async request(envelope: Envelope, terms: RequestTerms = {}): Promise<OutboundMessage> {
    if (this.#ended) throw new MessagingError("UNAVAILABLE", "not connected");
    const { id, frame } = this.#encode(envelope, terms);
    const answer = this.#pending.add(id, terms);
    this.#socket.send(frame);
    return await answer;
  }

  /** Closes the connection and resolves when it is closed. */
  close(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    this.#closing = true;
    return new Promise((resolve) => {
      this.#socket.addEventListener("close", () => resolve());
      this.#socket.close(NORMAL_CLOSURE, "client closing");
    });
  }

  #connected(answer: OutboundMessage): void {
    if (answer.envelope.case !== "connected") throw unexpected(answer);
    const { value: connected } = answer.envelope;
    this.#events.connected(connected);
    // A server that has not granted the capability would answer each report with an error.
    if (connected.capabilities.includes("credit") && connected.creditBytes > 0n) {
      this.#credit.grant(Number(connected.creditBytes));
    }
    for (const { messages } of connected.publications) this.#events.messages(messages);
    const pingIntervalMs = this.#options.pingIntervalMs ?? connected.pingIntervalMs;
    if (pingIntervalMs > 0) this.#schedulePing(pingIntervalMs);
  }

  /** Says what has no answer. After the end nobody is told. */
  tell(envelope: Envelope): void {
    if (!this.#ended) this.#socket.send(this.#encode(envelope).frame);
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
      this.#events.error(MessagingError.from(error));
      return;
    }
    const { envelope } = message;
    if (envelope.case === "publication") {
      this.#events.messages(envelope.value.messages);
    } else if (envelope.case === "error") {
      const error = MessagingError.fromMessage(envelope.value);
      if (!this.#pending.reject(message.id, error)) this.#events.error(error);
    } else if (envelope.case === "disconnect") {
      this.#disconnect = envelope.value;
    } else if (envelope.case !== undefined) {
      // An envelope without a case is one of a later version, and no answer whatever its id.
      const goesOn = envelope.case === "surveyResult" && envelope.value.more;
      const expected = goesOn
        ? this.#pending.part(message.id, message)
        : this.#pending.resolve(message.id, message);
      if (!expected) this.#events.notice(envelope);
    }
  }

  #schedulePing(intervalMs: number): void {
    this.#pingTimer = setTimeout(() => {
      this.#socket.send("ping");
      // The oldest ping without an answer decides, whatever was sent since.
      this.#pongTimer ??= setTimeout(() => {
        this.#events.error(new MessagingError("UNAVAILABLE", "Pong timeout"));
        this.#drop();
      }, this.#options.pingTimeoutMs);
      this.#schedulePing(intervalMs);
    }, intervalMs);
  }

  /** Ends a connection that no longer answers, without waiting for its close handshake. */
  #drop(): void {
    this.#socket.close();
    this.#lost(LOST_CONNECTION, "no answer");
  }

  #lost(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    this.#pending.rejectAll(new MessagingError("UNAVAILABLE", "connection closed"));
    const reconnect = !this.#closing && (this.#disconnect?.reconnect ?? reconnects(code));
    const retryAfterMs = this.#disconnect?.retryAfterMs ?? 0;
    this.#events.closed({ code, reason, reconnect, retryAfterMs });
  }
}

function connectEnvelope(options: ClientOptions): Envelope {
  return {
    case: "connect",
    value: {
      clientId: options.clientId,
      clientType: options.clientType,
      token: options.token,
      version: options.version,
      subscriptions: options.autoSubscribe.map((channel) => ({
        channel,
        ephemeral: options.ephemeral,
      })),
      capabilities: [...options.capabilities],
    },
  };
}

/** What an answer is that does not fit its request. */
export function unexpected(answer: OutboundMessage): MessagingError {
  return new MessagingError("INTERNAL_ERROR", `unexpected answer: ${answer.envelope.case}`);
}
