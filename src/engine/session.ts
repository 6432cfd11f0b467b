/**
 * One client's session: the state machine of the protocol. It takes whole frames from a transport,
 * never waits while reading, and keeps the order of frames that name the same channel.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { checkChannel } from "../channels/names.ts";
import { canonicalEvent, dataBytes, eventForJson, eventForV1 } from "../protocol/cloudevents.ts";
import { type Codec, codecFor, type Encoding, type Frame } from "../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import { type OutboundEnvelope, reply, unsolicited } from "../protocol/envelopes.ts";
import { MessagingError } from "../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  EntryBodySchema,
  type SessionRecord,
  SessionRecordSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Connect,
  type InboundMessage,
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
} from "../protocol/gen/messageloop/v1/service_pb.js";
import {
  AUTH_TIMEOUT_MS,
  ERROR_WINDOW_MS,
  MAX_WAITING_BYTES,
  MAX_WAITING_FRAMES,
} from "../protocol/limits.ts";
import { type Variant, variantOf } from "../protocol/publication-frames.ts";
import { utf8Length } from "../protocol/utf8.ts";
import { BackendCalls, type CallTerms } from "./backend.ts";
import { ChannelOrder } from "./channel-order.ts";
import type { Engine } from "./engine.ts";
import { release, type Subscriber, type Subscription } from "./hub.ts";
import type { Caller, Position, Transport } from "./ports.ts";

/** Capabilities this server grants. Each gates envelopes that later steps of the protocol add. */
const CAPABILITIES: readonly string[] = [];

/** How long a client should wait when too many of its RPCs are open, in milliseconds. */
const RPC_RETRY_MS = 1_000;

const AUTHENTICATE: CallTerms = {
  timeoutMs: AUTH_TIMEOUT_MS,
  timeout: ["AUTH_ERROR", "authentication took too long"],
  failure: ["AUTH_ERROR", "authentication failed"],
};
const AUTHORIZE: CallTerms = {
  timeoutMs: AUTH_TIMEOUT_MS,
  timeout: ["UNAVAILABLE", "authorization took too long"],
  failure: ["UNAVAILABLE", "authorization failed"],
};
const RPC: Omit<CallTerms, "timeoutMs"> = {
  timeout: ["RPC_TIMEOUT", "the backend did not answer in time"],
  failure: ["PROXY_ERROR", "the backend failed"],
};

/** How old the saved mark of the last sign of life may get, in milliseconds. */
const SEEN_SAVE_MS = 15_000;

export class Session implements Subscriber {
  readonly id: string;
  readonly encoding: Encoding;
  variant: Variant;
  readonly #engine: Engine;
  readonly #transport: Transport;
  readonly #codec: Codec;
  readonly #order = new ChannelOrder();
  readonly #backend: BackendCalls;
  readonly #subscriptions = new Map<string, Subscription>();
  #state: "new" | "connecting" | "connected" | "closed" = "new";
  #extended = false;
  #capabilities: readonly string[] = [];
  #clientId = "";
  #clientType = "";
  #userId = "";
  /** Frames that arrived while connect is being decided. */
  #waiting: InboundMessage[] = [];
  #waitingBytes = 0;
  /** Last sign of life, Unix milliseconds; before connect the time of the connection. */
  #seen: number;
  #savedSeen: number;
  #errors = 0;
  #errorsSince = 0;

  constructor(engine: Engine, transport: Transport, id: string, encoding: Encoding) {
    this.#engine = engine;
    this.#transport = transport;
    this.id = id;
    this.encoding = encoding;
    this.#codec = codecFor(encoding);
    this.variant = variantOf(encoding, false);
    this.#backend = new BackendCalls(engine.timers, engine.logger);
    this.#seen = engine.clock.now();
    this.#savedSeen = this.#seen;
  }

  /** A session as its record says it was. */
  static restore(engine: Engine, transport: Transport, record: SessionRecord): Session {
    const encoding: Encoding = record.encoding === "proto" ? "proto" : "json";
    const session = new Session(engine, transport, record.sessionId, encoding);
    session.#state = record.connected ? "connected" : "new";
    session.#extended = record.extended;
    session.variant = variantOf(encoding, record.extended);
    session.#capabilities = record.capabilities;
    session.#clientId = record.clientId;
    session.#clientType = record.clientType;
    session.#userId = record.userId;
    // Without a mark there is no evidence of silence: the session counts as heard now.
    if (record.seen > 0n) session.#seen = Number(record.seen);
    session.#savedSeen = session.#seen;
    for (const { channel, ephemeral, epoch, floor } of record.subscriptions) {
      const subscription: Subscription = {
        channel,
        ephemeral,
        floor: epoch === "" ? undefined : { epoch, offset: Number(floor) },
        held: undefined,
      };
      session.#subscriptions.set(channel, subscription);
      engine.hub.add(session, subscription);
    }
    return session;
  }

  /** The client's own name for itself; never authenticated. */
  get clientId(): string {
    return this.#clientId;
  }

  /** Who authentication says this is; empty without authentication. */
  get userId(): string {
    return this.#userId;
  }

  get connected(): boolean {
    return this.#state === "connected";
  }

  /** When this session ends unless the client is heard, Unix milliseconds. */
  get expiry(): number {
    if (!this.connected) return this.#seen + this.#engine.connectDeadlineMs;
    const heard = Math.max(this.#seen, this.#transport.heard?.() ?? 0);
    return heard + this.#engine.idleTimeoutMs;
  }

  /** Ends the session when its time is over. */
  expire(now: number): void {
    if (now < this.expiry) return;
    this.close(this.connected ? DISCONNECTS.idleTimeout : DISCONNECTS.stale);
  }

  /** The channels this session is subscribed to. */
  get channels(): readonly string[] {
    return [...this.#subscriptions.keys()];
  }

  write(frame: Frame): void {
    if (this.#state !== "closed") this.#transport.write(frame);
  }

  /**
   * Takes one frame. Returns when it has taken effect; the next frame need not wait for that. Never
   * rejects: what goes wrong is told to the client.
   */
  async receive(frame: Frame): Promise<void> {
    if (this.#state === "closed") return;
    this.#touch();
    const size = typeof frame === "string" ? utf8Length(frame) : frame.length;
    if (size > this.#engine.maxMessageBytes) {
      this.close(DISCONNECTS.messageTooBig);
      return;
    }
    let message: InboundMessage;
    try {
      message = this.#codec.decodeInbound(frame);
    } catch (error) {
      const id = this.#engine.random.uuid();
      const value = MessagingError.from(error).toMessage();
      this.#send(unsolicited(id, this.#engine.clock.now(), { case: "error", value }));
      this.#countError();
      return;
    }
    if (this.#state === "connecting" && message.envelope.case !== "connect") {
      this.#wait(message, size);
      return;
    }
    await this.#handle(message);
  }

  /** Ends the session from the server's side. */
  close(disconnect: Disconnect): void {
    if (this.#state === "closed") return;
    this.end();
    this.#transport.close(disconnect);
  }

  /** The connection is gone: leaves every channel. Called once by the host, any further call is harmless. */
  end(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#waiting = [];
    this.#backend.cancelAll();
    for (const channel of [...this.#subscriptions.keys()]) this.#leave(channel);
    this.#engine.forget(this);
  }

  /** What a sleeping host must remember. */
  record(): SessionRecord {
    return create(SessionRecordSchema, {
      sessionId: this.id,
      encoding: this.encoding,
      connected: this.connected,
      extended: this.#extended,
      clientId: this.#clientId,
      clientType: this.#clientType,
      userId: this.#userId,
      capabilities: [...this.#capabilities],
      seen: BigInt(this.#seen),
      subscriptions: [...this.#subscriptions.values()]
        .filter((subscription) => subscription.floor !== undefined)
        .map(({ channel, ephemeral, floor }) => ({
          channel,
          ephemeral,
          epoch: floor?.epoch ?? "",
          floor: BigInt(floor?.offset ?? 0),
        })),
    });
  }

  async #handle(message: InboundMessage): Promise<void> {
    if (this.#state === "closed") return;
    const envelope = message.envelope;
    if (envelope.case === undefined) return;
    if (envelope.case === "connect") {
      if (this.#state !== "new") this.close(DISCONNECTS.badRequest);
      else await this.#connect(message, envelope.value);
      return;
    }
    if (envelope.case === "ping") {
      this.#reply(message, { case: "pong", value: {} });
      return;
    }
    if (this.#state !== "connected") {
      this.close(DISCONNECTS.stale);
      return;
    }
    try {
      await this.#dispatch(message);
    } catch (error) {
      this.#refuse(message, error);
    }
  }

  async #dispatch(message: InboundMessage): Promise<void> {
    const envelope = message.envelope;
    switch (envelope.case) {
      case "publish":
        await this.#publish(message, envelope.value);
        return;
      case "subscribe":
        await this.#subscribe(message, envelope.value.subscriptions);
        return;
      case "unsubscribe":
        await this.#unsubscribe(message, envelope.value.subscriptions);
        return;
      case "rpcRequest":
        await this.#rpc(message, envelope.value);
        return;
      case "subRefresh":
        this.#reply(message, { case: "subRefreshAck", value: {} });
        return;
      case "surveyRequest":
        this.#reply(message, {
          case: "surveyResponse",
          value: {
            requestId: envelope.value.requestId,
            payload: this.#surveyEcho(message.channel, envelope.value.payload),
          },
        });
        return;
      default:
    }
  }

  async #connect(message: InboundMessage, connect: Connect): Promise<void> {
    this.#state = "connecting";
    this.#extended = connect.capabilities.length > 0;
    this.variant = variantOf(this.encoding, this.#extended);
    this.#capabilities = CAPABILITIES.filter((name) => connect.capabilities.includes(name));
    this.#clientId = connect.clientId;
    this.#clientType = connect.clientType;
    if (!(await this.#authenticate(message, connect)) || this.#isClosed()) return;
    if (this.#overLimit(connect.subscriptions)) return;
    const outcome = await this.#join(connect.subscriptions);
    if (this.#isClosed()) return;
    if (outcome.refused !== undefined) {
      this.#refuse(message, outcome.refused);
      this.close(DISCONNECTS.invalidToken);
      return;
    }
    this.#state = "connected";
    this.#seen = this.#engine.clock.now();
    this.#save();
    this.#reply(message, {
      case: "connected",
      value: {
        sessionId: this.id,
        subscriptions: outcome.acknowledged,
        ...(this.#extended
          ? {
              capabilities: [...this.#capabilities],
              userId: this.#userId,
              maxMessageBytes: this.#engine.maxMessageBytes,
              pingIntervalMs: this.#engine.pingIntervalMs,
            }
          : {}),
      },
    });
    this.#release(outcome.joined);
    const waiting = this.#waiting;
    this.#waiting = [];
    await Promise.all(waiting.map((frame) => this.#handle(frame)));
  }

  /** Learns who this is. A refusal is told to the client and closes with 3500. */
  async #authenticate(message: InboundMessage, connect: Connect): Promise<boolean> {
    const { proxy } = this.#engine;
    if (proxy.authenticate === undefined) return true;
    const { token, clientId, clientType, version } = connect;
    const request = { token, clientId, clientType, version, sessionId: this.id };
    try {
      const { userId } = await this.#backend.run(
        AUTHENTICATE,
        async (cancellation) =>
          (await proxy.authenticate?.(request, cancellation)) ?? { userId: "" },
      );
      // An authenticator that does not say who it is has not authenticated anyone.
      if (userId === "") throw new MessagingError("AUTH_ERROR", "authentication failed");
      this.#userId = userId;
      return true;
    } catch (error) {
      this.#refuse(message, error);
      this.close(DISCONNECTS.invalidToken);
      return false;
    }
  }

  async #subscribe(
    message: InboundMessage,
    requested: readonly SubscriptionMessage[],
  ): Promise<void> {
    const channels = requested.map((entry) => entry.channel);
    await this.#order.run(channels, "exclusive", async () => {
      if (this.#overLimit(requested)) return;
      const outcome = await this.#join(requested);
      if (this.#isClosed()) return;
      if (outcome.refused !== undefined) {
        this.#refuse(message, outcome.refused);
        if (!outcome.refused.retry) this.close(DISCONNECTS.invalidToken);
        return;
      }
      this.#save();
      this.#reply(message, {
        case: "subscribeAck",
        value: { subscriptions: outcome.acknowledged },
      });
      this.#release(outcome.joined);
    });
  }

  /** Closes a session that asks for more channels than it may have. */
  #overLimit(requested: readonly SubscriptionMessage[]): boolean {
    const wanted = new Set(this.#subscriptions.keys());
    for (const { channel } of requested) wanted.add(channel);
    if (wanted.size <= this.#engine.maxSubscriptions) return false;
    this.close(DISCONNECTS.channelLimit);
    return true;
  }

  /**
   * Registers the entries of one request with the broker, side by side. A v1 client gets all or
   * nothing; an extended client keeps what was granted and reads the rest from the acknowledgement.
   */
  async #join(requested: readonly SubscriptionMessage[]): Promise<JoinOutcome> {
    const unique = new Map(requested.map((entry) => [entry.channel, entry]));
    const positions = new Map<string, Position>();
    const joined: Subscription[] = [];
    const fresh: string[] = [];
    const errors = new Map<string, MessagingError>();
    await Promise.all(
      [...unique.values()].map(async ({ channel, ephemeral, token }) => {
        const before = this.#subscriptions.get(channel);
        const subscription: Subscription = before ?? {
          channel,
          ephemeral,
          floor: undefined,
          held: [],
        };
        try {
          checkChannel(channel);
          await this.#authorize(channel, token);
          if (this.#isClosed()) return;
          if (before === undefined) {
            this.#subscriptions.set(channel, subscription);
            this.#engine.hub.add(this, subscription);
            fresh.push(channel);
          }
          const position = await this.#position(channel);
          if (this.#isClosed()) return;
          subscription.ephemeral = ephemeral;
          // A second subscribe of a live session moves nothing: it has taken what came before.
          subscription.floor ??= position;
          joined.push(subscription);
          positions.set(channel, position);
        } catch (error) {
          errors.set(channel, MessagingError.from(error));
          if (before === undefined) this.#leave(channel);
        }
      }),
    );
    const refused = errors.values().next().value;
    if (refused !== undefined && !this.#extended) {
      for (const channel of fresh) this.#leave(channel);
      return { acknowledged: [], joined: [], refused };
    }
    const acknowledged = requested.map((entry) => {
      const error = errors.get(entry.channel);
      // v0.1.1 echoes the request, token included.
      const echo = { channel: entry.channel, ephemeral: entry.ephemeral, token: entry.token };
      if (!this.#extended) return create(SubscriptionSchema, echo);
      if (error !== undefined)
        return create(SubscriptionSchema, { ...echo, error: error.toMessage() });
      const position = positions.get(entry.channel);
      if (position === undefined) return create(SubscriptionSchema, echo);
      const { epoch, offset } = position;
      return create(SubscriptionSchema, { ...echo, position: { epoch, offset: BigInt(offset) } });
    });
    return { acknowledged, joined, refused: undefined };
  }

  /** Asks whether this user may subscribe. */
  async #authorize(channel: string, token: string): Promise<void> {
    const { proxy } = this.#engine;
    if (proxy.authorizeSubscribe === undefined) return;
    const request = { channel, token, caller: this.#caller() };
    await this.#backend.run(AUTHORIZE, async (cancellation) => {
      await proxy.authorizeSubscribe?.(request, cancellation);
    });
  }

  /** Asks the channel for its head; v1 clients take what the node has seen where it knows. */
  async #position(channel: string): Promise<Position> {
    const seen = this.#extended ? undefined : this.#engine.broker.seen(channel);
    return seen ?? (await this.#engine.broker.subscribe(channel));
  }

  async #unsubscribe(
    message: InboundMessage,
    requested: readonly SubscriptionMessage[],
  ): Promise<void> {
    const channels = requested.map((entry) => entry.channel);
    await this.#order.run(channels, "exclusive", async () => {
      if (this.#isClosed()) return;
      for (const channel of channels) this.#leave(channel);
      this.#save();
      this.#reply(message, {
        case: "unsubscribeAck",
        value: {
          subscriptions: requested.map(({ channel, ephemeral, token }) =>
            create(SubscriptionSchema, { channel, ephemeral, token }),
          ),
        },
      });
    });
  }

  async #publish(message: InboundMessage, received: CloudEvent): Promise<void> {
    const channel = message.channel || received.source;
    if (channel === "") {
      throw new MessagingError("INTERNAL_ERROR", "missing channel in publish message");
    }
    checkChannel(channel);
    const event = canonicalEvent(received);
    checkMetadata(message.metadata);
    const body = create(EntryBodySchema, {
      event: toBinary(CloudEventSchema, event),
      publisher: { clientId: this.#clientId, userId: this.#userId, sessionId: this.id },
      metadata: message.metadata,
    });
    // The key guards the broker's own retries: a repeated call must not become a second entry.
    const key = this.#engine.random.uuid();
    await this.#order.run([channel], "shared", async () => {
      const { position, duplicate } = await this.#engine.broker.publish(channel, { key, body });
      this.#reply(message, {
        case: "publishAck",
        value: {
          offset: BigInt(position.offset),
          ...(this.#extended ? { epoch: position.epoch, duplicate } : {}),
        },
      });
    });
  }

  /** Runs beside everything else: a slow backend delays nothing but its own answer. */
  async #rpc(message: InboundMessage, received: CloudEvent): Promise<void> {
    const payload = canonicalEvent(received);
    const { proxy, rpcTimeoutMs, maxInFlightRpcs } = this.#engine;
    if (proxy.rpc === undefined) {
      // Without a backend the request comes back, as in v0.1.1.
      this.#reply(message, { case: "rpcReply", value: this.#outbound(payload) });
      return;
    }
    if (this.#backend.size >= maxInFlightRpcs) {
      throw new MessagingError("RATE_LIMITED", "too many requests are waiting for their answer", {
        metadata: { retry_after_ms: RPC_RETRY_MS },
      });
    }
    const request = {
      id: message.id,
      channel: message.channel || received.source,
      method: message.method || received.type,
      payload,
      metadata: message.metadata,
      caller: this.#caller(),
    };
    const answer = await this.#backend.run(
      { ...RPC, timeoutMs: rpcTimeoutMs },
      async (cancellation) => proxy.rpc?.(request, cancellation),
    );
    const value =
      answer === undefined ? create(CloudEventSchema) : this.#outbound(canonicalEvent(answer));
    this.#reply(message, { case: "rpcReply", value });
  }

  #caller(): Caller {
    return {
      sessionId: this.id,
      clientId: this.#clientId,
      clientType: this.#clientType,
      userId: this.#userId,
    };
  }

  #leave(channel: string): void {
    this.#subscriptions.delete(channel);
    if (this.#engine.hub.remove(this, channel)) this.#engine.broker.unsubscribe(channel);
  }

  #release(subscriptions: readonly Subscription[]): void {
    for (const subscription of subscriptions) release(this, subscription);
  }

  #wait(message: InboundMessage, size: number): void {
    this.#waitingBytes += size;
    if (this.#waiting.length >= MAX_WAITING_FRAMES || this.#waitingBytes > MAX_WAITING_BYTES) {
      this.close(DISCONNECTS.badRequest);
      return;
    }
    this.#waiting.push(message);
  }

  /** An event that is for this client alone, in the form its kind takes. */
  #outbound(event: CloudEvent): CloudEvent {
    if (!this.#extended) return eventForV1(event, event.source);
    return this.encoding === "json" ? eventForJson(event) : event;
  }

  #surveyEcho(channel: string, payload: CloudEvent | undefined): CloudEvent {
    return create(CloudEventSchema, {
      id: this.#engine.random.uuid(),
      source: channel,
      specVersion: "1.0",
      type: "com.messageloop.survey.response",
      attributes: {
        datacontenttype: { attr: { case: "ceString", value: "application/octet-stream" } },
      },
      data: {
        case: "binaryData",
        value: payload === undefined ? new Uint8Array() : dataBytes(payload),
      },
    });
  }

  /** A method, so that the compiler does not assume the state unchanged across an await. */
  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #save(): void {
    if (this.#state !== "connected") return;
    this.#savedSeen = this.#seen;
    this.#transport.save?.(this.record());
  }

  #refuse(message: InboundMessage, error: unknown): void {
    const known = MessagingError.from(error);
    if (known !== error) this.#engine.logger.warn("request failed", { error: String(error) });
    this.#reply(message, { case: "error", value: known.toMessage() });
    this.#countError();
  }

  /** A client whose requests keep failing is broken or hostile; either way it costs too much. */
  #countError(): void {
    const now = this.#engine.clock.now();
    if (now - this.#errorsSince >= ERROR_WINDOW_MS) {
      this.#errorsSince = now;
      this.#errors = 0;
    }
    this.#errors += 1;
    if (this.#errors > this.#engine.maxErrors) this.close(DISCONNECTS.tooManyErrors);
  }

  /** Notes a sign of life. An unconnected client cannot put off its deadline. */
  #touch(): void {
    if (!this.connected) return;
    this.#seen = this.#engine.clock.now();
    if (this.#seen - this.#savedSeen >= SEEN_SAVE_MS) this.#save();
  }

  #reply(message: InboundMessage, envelope: OutboundEnvelope): void {
    this.#send(reply(message, this.#engine.clock.now(), envelope));
  }

  #send(message: ReturnType<typeof reply>): void {
    this.write(this.#codec.encodeOutbound(message));
  }
}

interface JoinOutcome {
  /** The entries of the acknowledgement, in the order of the request. */
  readonly acknowledged: SubscriptionMessage[];
  readonly joined: readonly Subscription[];
  /** Why a v1 client's request failed as a whole. */
  readonly refused: MessagingError | undefined;
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(metadata)) {
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw new MessagingError("BAD_REQUEST", "metadata is not valid Unicode");
    }
  }
}
