/**
 * One client's session: the state machine of the protocol. It takes whole frames from a transport,
 * never waits while reading, and keeps the order of frames that name the same channel.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { checkChannel } from "../../channels/names.ts";
import { canonicalEvent, dataBytes, eventForJson, eventForV1 } from "../../protocol/cloudevents.ts";
import { type Codec, codecFor, type Encoding, type Frame } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect, reconnects } from "../../protocol/codes.ts";
import { type OutboundEnvelope, reply, unsolicited } from "../../protocol/envelopes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  EntryBodySchema,
  type SessionMarks,
  SessionMarksSchema,
  type SessionRecord,
  SessionRecordSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Connect,
  type HistoryRequest,
  type InboundMessage,
  type OutboundMessage,
  type PresenceRequest,
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import {
  ERROR_WINDOW_MS,
  largestFrame,
  MAX_PRESENCE_MEMBERS,
  MAX_WAITING_BYTES,
  MAX_WAITING_FRAMES,
} from "../../protocol/limits.ts";
import {
  frameLimit,
  type SizedFrame,
  sized,
  type Variant,
  variantOf,
} from "../../protocol/publication-frames.ts";
import { utf8Length } from "../../protocol/utf8.ts";
import type { RpcOutcome } from "../counters.ts";
import { errorText } from "../error-text.ts";
import type { Caller } from "../ports/backends.ts";
import type { LogGap, Position, PublishCommand } from "../ports/broker.ts";
import type { LogFields } from "../ports/platform.ts";
import type { Transport } from "../ports/transport.ts";
import { Slots } from "../slots.ts";
import type { ChannelsOwner } from "../subscription/ports.ts";
import { countOf, positionMessage, uint64Of } from "../subscription/positions.ts";
import { type JoinOutcome, SessionChannels } from "../subscription/session-channels.ts";
import type { Respondent } from "../survey.ts";
import { TokenBucket } from "../token-bucket.ts";
import { BadValue, checkMetadata, checkStruct } from "./application-values.ts";
import { BackendCalls } from "./backend-calls.ts";
import { ChannelOrder } from "./channel-order.ts";
import { fitErrors, fitHistory, fitPresence } from "./frame-limit.ts";
import { Intake } from "./intake.ts";
import { durationSince, reasonOf, refusalOf } from "./log.ts";
import { Outflow } from "./outflow.ts";
import type { SessionHost } from "./ports.ts";
import { publishKey } from "./publish-key.ts";
import { gapMessage, historyFilter, historyPage, presencePage } from "./queries.ts";
import {
  AUTHENTICATE,
  AUTHORIZE,
  CHANGES,
  KINDS,
  nameProblem,
  ORDERED,
  RPC,
  refusalOfAll,
  UNANSWERED,
} from "./terms.ts";

/** Capabilities this server grants. Each gates envelopes. */
const CAPABILITIES = ["recovery", "history", "presence", "control", "credit"] as const;
type Capability = (typeof CAPABILITIES)[number];

/** How long a client should wait when too much of its own is under way, in milliseconds. */
const BUSY_RETRY_MS = 1_000;

/** Channels that a request may name without waiting for a turn, and that one step of a turn has room for. */
const CHANNELS_AT_ONCE = 8;
const CHANNELS_A_STEP = 10;

/** How old the saved mark of the last sign of life may get, in milliseconds. */
const SEEN_SAVE_MS = 15_000;

/** Where a connection comes from, as far as the host knows. */
export interface Peer {
  /** Network address of the client; empty where it is unknown. */
  readonly address: string;
}

export class Session implements ChannelsOwner, Respondent {
  readonly id: string;
  readonly encoding: Encoding;
  variant: Variant;
  maxFrameBytes = 0;
  readonly #engine: SessionHost;
  readonly #transport: Transport;
  readonly #codec: Codec;
  readonly #peer: Peer;
  readonly #order = new ChannelOrder();
  readonly #backend: BackendCalls;
  readonly #channels: SessionChannels;
  readonly #outflow: Outflow;
  /** Undefined where publishes are not limited. */
  readonly #publishes: TokenBucket | undefined;
  #state: "new" | "connecting" | "connected" | "closed" = "new";
  #extended = false;
  #capabilities: readonly Capability[] = [];
  #clientId = "";
  #clientType = "";
  #userId = "";
  /** Frames that arrived while connect is being decided. */
  #waiting: { readonly message: InboundMessage; readonly size: number }[] | undefined;
  #waitingBytes = 0;
  /** RPCs that wait for their answer; authorization asks the same backends and takes no place. */
  readonly #rpcs: Slots;
  readonly #intake: Intake;
  /** When the connection came, Unix milliseconds; undefined where a sleep lies between. */
  #since: number | undefined;
  /** Last sign of life by the steady clock, in milliseconds; before connect the time of the connection. */
  #seen: number;
  #savedSeen: number;
  #unsavedMarks = false;
  #errors = 0;
  #errorsSince = 0;
  /** Request id of the last survey that this client asked. */
  #lastSurvey = "";

  constructor(
    engine: SessionHost,
    transport: Transport,
    id: string,
    encoding: Encoding,
    peer: Peer,
  ) {
    const { settings } = engine;
    this.#engine = engine;
    this.#transport = transport;
    this.id = id;
    this.encoding = encoding;
    this.#peer = peer;
    this.#codec = codecFor(encoding);
    this.variant = variantOf(encoding, false);
    this.#backend = new BackendCalls(engine.timers, engine.logger);
    this.#channels = new SessionChannels(engine, this);
    this.#outflow = new Outflow(engine.outflowLimits, transport);
    this.#rpcs = new Slots(settings.maxInFlightRpcs);
    this.#intake = new Intake(settings.maxOpenRequestBytes, engine.intake, transport);
    this.#seen = engine.steadyNow();
    this.#since = this.#seen;
    this.#savedSeen = this.#seen;
    const { publishesPerSecond: rate, publishBurst } = settings;
    if (rate > 0) this.#publishes = new TokenBucket(rate, publishBurst, this.#seen);
  }

  /** A session as its record says it was. */
  static restore(engine: SessionHost, transport: Transport, record: SessionRecord): Session {
    const encoding: Encoding = record.encoding === "proto" ? "proto" : "json";
    const session = new Session(engine, transport, record.sessionId, encoding, { address: "" });
    session.#state = record.connected ? "connected" : "new";
    session.#since = undefined;
    session.#extended = record.extended;
    session.maxFrameBytes = frameLimit(record.maxFrameBytes);
    session.variant = variantOf(encoding, record.extended);
    session.#grant(record.capabilities);
    if (record.connected && !record.extended) session.#intake.wait();
    session.#clientId = record.clientId;
    session.#clientType = record.clientType;
    session.#userId = record.userId;
    const { marks } = record;
    if (marks !== undefined) {
      // Without a mark there is no evidence of silence: the session counts as heard now.
      session.#seen = countOf(marks.seen);
      session.#outflow.restore({
        sent: countOf(marks.sent),
        received: countOf(marks.received),
        unheard: countOf(marks.unheard),
        heardAt: countOf(marks.heardAt),
      });
    }
    session.#savedSeen = session.#seen;
    session.#channels.restore(record.subscriptions);
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

  get ended(): boolean {
    return this.#isClosed();
  }

  /** Whether it hears of joins and leaves. */
  get followsPresence(): boolean {
    return this.#capabilities.includes("presence");
  }

  /** When this session ends unless the client is heard, by the steady clock in milliseconds. */
  get expiry(): number {
    const { connectDeadlineMs, idleTimeoutMs } = this.#engine.settings;
    if (!this.connected) return this.#seen + connectDeadlineMs;
    // A client that is not read cannot be heard.
    if (this.#intake.paused) return this.#engine.steadyNow() + idleTimeoutMs;
    const heard = Math.max(this.#seen, this.#transport.heard?.() ?? 0);
    return heard + idleTimeoutMs;
  }

  /** The channels this session is subscribed to. */
  get channels(): readonly string[] {
    return this.#channels.names;
  }

  /** Backend calls that wait for their answer. */
  get openCalls(): number {
    return this.#backend.size;
  }

  /** Ends the session when its time is over. */
  expire(now: number): void {
    if (now < this.expiry || this.#isClosed()) return;
    this.close(this.connected ? DISCONNECTS.idleTimeout : DISCONNECTS.stale);
  }

  /** Never throws: others get the same frame after this session. */
  write(frame: SizedFrame): void {
    if (this.#state === "closed") return;
    try {
      this.#transport.write(frame);
      this.#outflow.wrote(frame.bytes);
      this.#engine.counters.bytesOut += frame.bytes;
      if (this.#outflow.exceeded) this.close(DISCONNECTS.slowConsumer);
      else this.#markSoon();
    } catch (error) {
      this.fail("write", error);
    }
  }

  /** Tells a client that can take it of messages that it will not get. Never throws. */
  tellGap(channel: string, gap: LogGap): void {
    try {
      // Its subscription goes on elsewhere: whoever wakes later must not tell it again.
      this.#save();
      this.#engine.counters.gaps[gap.reason] += 1;
      if (!this.#capabilities.includes("recovery")) return;
      this.#tell({ case: "gap", value: gapMessage(channel, gap) });
    } catch (error) {
      this.fail("gap", error);
    }
  }

  /** Ends the replay of a channel. */
  tellRecovered(channel: string, position: Position, gap: LogGap | undefined): void {
    if (gap === undefined) this.#engine.counters.recovered += 1;
    else this.#engine.counters.recoveredWithGap += 1;
    const value = {
      channel,
      position: positionMessage(position),
      ...(gap === undefined ? {} : { gap: gapMessage(channel, gap) }),
    };
    this.#tell({ case: "recovered", value });
  }

  /** What a sleeping host must remember of this session has changed. */
  changed(): void {
    this.#markSoon();
  }

  /** Subscribes from the server's side, without asking the authorizer. */
  async addChannels(channels: readonly string[]): Promise<void> {
    await this.#order.run(channels, "exclusive", async () => {
      if (!this.connected) return;
      const requested = channels.map((channel) => create(SubscriptionSchema, { channel }));
      const outcome = await this.#channels.join(requested, {
        // What cannot be joined must not take the rest with it.
        extended: true,
        recovery: false,
        byClient: false,
        authorize: async () => {},
      });
      if (this.#isClosed()) return;
      this.#save();
      await this.#channels.settle(outcome);
    });
  }

  /** Unsubscribes from the server's side. */
  async removeChannels(channels: readonly string[]): Promise<void> {
    await this.#order.run(channels, "exclusive", async () => {
      if (this.#isClosed()) return;
      for (const channel of channels) this.#channels.leave(channel, true);
      this.#save();
    });
  }

  /** Puts a survey's question to the client. Never throws. */
  ask(requestId: string, question: CloudEvent): void {
    try {
      const value = { requestId, payload: this.#outbound(question) };
      this.#tell({ case: "surveyRequest", value });
    } catch (error) {
      this.fail("question of a survey", error);
    }
  }

  /**
   * Takes one frame. Returns when it has taken effect; the next frame need not wait for that. Never
   * rejects: what goes wrong is told to the client, and what nobody foresaw ends this session alone.
   */
  async receive(frame: Frame): Promise<void> {
    try {
      const size = typeof frame === "string" ? utf8Length(frame) : frame.length;
      if (!this.#arrived(size)) return;
      const message = this.#decoded(frame);
      if (message !== undefined) await this.#take(message, size);
    } catch (error) {
      this.fail("frame", error);
    }
  }

  /**
   * Takes a message of a transport that decodes by itself, as a stream of messages does. Never rejects.
   *
   * @param size its length on the wire, in bytes
   */
  async receiveMessage(message: InboundMessage, size: number): Promise<void> {
    try {
      if (this.#arrived(size)) await this.#take(message, size);
    } catch (error) {
      this.fail("message", error);
    }
  }

  /**
   * Ends the session for what nobody foresaw: the client may come back, and recover. Never throws.
   *
   * @param what names in the log what was being done
   */
  fail(what: string, error: unknown): void {
    this.#note(what, error);
    this.close(DISCONNECTS.internal);
  }

  /**
   * Ends the session from the server's side.
   *
   * @param retryAfterMs how long the client should wait before it comes back, in milliseconds
   */
  close(disconnect: Disconnect, retryAfterMs = 0): void {
    if (this.#state === "closed") return;
    this.#attempt("farewell", () => this.#farewell(disconnect, retryAfterMs));
    // Who should come back by itself may do so before anybody is told that it has gone.
    this.#end(!reconnects(disconnect.code), {
      by: "server",
      code: disconnect.code,
      reason: disconnect.reason,
    });
    this.#attempt("close", () => this.#transport.close(disconnect));
    this.#engine.closed(disconnect.code);
  }

  /** Says why the session ends, to a client that understands it. */
  #farewell({ code, reason }: Disconnect, retryAfterMs: number): void {
    if (!this.connected || !this.#capabilities.includes("control")) return;
    const value = { code, reason, reconnect: reconnects(code), retryAfterMs };
    const farewell = unsolicited(this.#engine.random.uuid(), this.#engine.clock.now(), {
      case: "disconnect",
      value,
    });
    // Past every bound: a slow client has to learn why it is closed.
    const frame = sized(this.#codec.encodeOutbound(farewell), true);
    this.#transport.write(frame);
    this.#engine.counters.bytesOut += frame.bytes;
  }

  /**
   * The connection is gone: leaves every channel. Called once by the host, any further call is harmless.
   *
   * @param clean whether the client has said that it goes; otherwise it may be back soon
   * @param code close code of the client, where the host knows one
   */
  end(clean: boolean, code?: number): void {
    this.#end(clean, { by: "client", ...(code === undefined ? { clean } : { code }) });
  }

  #end(clean: boolean, why: LogFields): void {
    if (this.#state === "closed") return;
    this.#debug("disconnected", {
      ...why,
      ...durationSince(this.#since, this.#engine.steadyNow()),
    });
    this.#state = "closed";
    this.#waiting = undefined;
    this.#attempt("cancellation", () => this.#backend.cancelAll());
    this.#rpcs.clear();
    this.#attempt("leave", () => this.#channels.leaveAll(clean));
    // One that could not be left must not keep the session in the others.
    for (const name of this.#channels.names) {
      this.#attempt("leave", () => this.#channels.leave(name, clean));
    }
    this.#engine.forget(this);
  }

  /** For an operator who looks at single connections; never a payload or a token. */
  #debug(message: string, fields: LogFields): void {
    this.#engine.logger.debug?.(message, { session: this.id, ...fields });
  }

  /** What a sleeping host must remember, without the marks. */
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
      maxFrameBytes: this.maxFrameBytes,
      subscriptions: this.#channels.records(),
    });
  }

  /** The part of the record that changes with the traffic. */
  marks(): SessionMarks {
    const { sent, received, unheard, heardAt } = this.#outflow.marks;
    const { hub, broker } = this.#engine;
    const { remember } = broker;
    // Of each channel one session remembers how far the node is: the one that is there longest.
    const byPattern = this.#channels.leadsPattern ? broker.lately?.() : undefined;
    const heard = [...this.#channels.channels, ...(byPattern ?? [])];
    const carried = remember && heard.filter((name) => hub.first(name) === this);
    return create(SessionMarksSchema, {
      seenChannels: (carried ?? []).flatMap((name) => remember?.call(broker, name) ?? []),
      seen: uint64Of(this.#seen),
      sent: uint64Of(sent),
      received: uint64Of(received),
      unheard: uint64Of(unheard),
      heardAt: uint64Of(heardAt),
    });
  }

  /** Saves the marks where the host can sleep. */
  saveMarks(): void {
    this.#unsavedMarks = false;
    if (this.#state !== "connected") return;
    this.#savedSeen = this.#seen;
    this.#transport.mark?.(this.marks());
  }

  async #take(message: InboundMessage, size: number): Promise<void> {
    if (this.#state === "connecting" && message.envelope.case !== "connect") {
      this.#wait(message, size);
      return;
    }
    const waits = this.#intake.begin(size);
    try {
      if (this.#intake.overrun) this.close(DISCONNECTS.slowConsumer);
      await this.#handle(message, size);
    } finally {
      // The time in which a client is not read is no silence.
      if (this.#intake.paused) this.#seen = this.#engine.steadyNow();
      this.#intake.end(size, waits);
    }
  }

  /** Notes that something came in. Returns false where it is not to be looked at. */
  #arrived(size: number): boolean {
    if (this.#state === "closed") return false;
    this.#touch();
    this.#engine.counters.bytesIn += size;
    if (size <= this.#engine.settings.maxMessageBytes) return true;
    this.close(DISCONNECTS.messageTooBig);
    return false;
  }

  /** The message of a frame; undefined where the client was told that there is none. */
  #decoded(frame: Frame): InboundMessage | undefined {
    try {
      return this.#codec.decodeInbound(frame);
    } catch (error) {
      if (!(error instanceof MessagingError)) throw error;
      this.#debug("frame refused", { code: error.code, bytes: frame.length });
      this.#tell({ case: "error", value: error.toMessage() });
      this.#countError();
      return undefined;
    }
  }

  async #handle(message: InboundMessage, size: number): Promise<void> {
    if (this.#state === "closed") return;
    const envelope = message.envelope;
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
    if (envelope.case === undefined) return;
    if (this.#switchedOff(envelope.case)) return;
    try {
      const refused = this.#extended && this.#intake.full;
      if (refused && !UNANSWERED.has(envelope.case)) {
        throw busy("too many requests are waiting for their answer", BUSY_RETRY_MS);
      }
      await this.#dispatch(message, size);
    } catch (error) {
      this.#refuse(message, error);
      // With half of it done nobody knows what the session would hear from now on.
      const half = !(error instanceof MessagingError) && CHANGES.has(envelope.case);
      if (half) this.close(DISCONNECTS.internal);
    }
  }

  async #dispatch(message: InboundMessage, size: number): Promise<void> {
    const envelope = message.envelope;
    switch (envelope.case) {
      case "publish":
        await this.#publish(message, envelope.value, size);
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
        this.#lastSurvey = envelope.value.requestId;
        this.#reply(message, {
          case: "surveyResponse",
          value: {
            requestId: envelope.value.requestId,
            payload: this.#surveyEcho(message.channel, envelope.value.payload),
          },
        });
        return;
      case "surveyResponse": {
        // An answer that names no survey is for the last one this client asked, as in v0.1.1.
        const requestId = envelope.value.requestId || this.#lastSurvey;
        checkStruct(envelope.value.error?.metadata);
        this.#engine.surveys.answer(this.id, requestId, envelope.value);
        return;
      }
      case "historyRequest":
        await this.#history(message, envelope.value);
        return;
      case "presenceRequest":
        await this.#presence(message, envelope.value);
        return;
      case "received":
        if (!this.#capabilities.includes("credit")) {
          throw new MessagingError("BAD_REQUEST", "received needs the capability credit");
        }
        this.#outflow.received(countOf(envelope.value.bytes));
        this.#markSoon();
        return;
      default:
    }
  }

  async #connect(message: InboundMessage, connect: Connect): Promise<void> {
    const problem = nameProblem(connect);
    if (problem !== undefined) {
      this.#refuse(message, new MessagingError("BAD_REQUEST", problem));
      this.close(DISCONNECTS.badRequest);
      return;
    }
    this.#state = "connecting";
    this.#extended = connect.capabilities.length > 0;
    if (this.#extended) this.maxFrameBytes = frameLimit(connect.maxFrameBytes);
    this.variant = variantOf(this.encoding, this.#extended);
    this.#grant(connect.capabilities);
    if (!this.#extended) this.#intake.wait();
    this.#clientId = connect.clientId;
    this.#clientType = connect.clientType;
    if (connect.subscriptions.length > 0 && this.#switchedOff("subscribe")) return;
    if (!(await this.#authenticate(message, connect)) || this.#isClosed()) return;
    if (this.#overLimit(connect.subscriptions)) return;
    const channels = connect.subscriptions.map((entry) => entry.channel);
    await this.#order.run(channels, "exclusive", () => this.#establish(message, connect));
  }

  /** Joins the channels of an authenticated connect, and lets the frames that wait behind it in. */
  async #establish(message: InboundMessage, connect: Connect): Promise<void> {
    if (this.#isClosed()) return;
    const outcome = await this.#join(connect.subscriptions);
    if (this.#isClosed()) return;
    const refused = this.#extended
      ? undefined
      : refusalOfAll(connect.subscriptions, outcome.errors);
    if (refused !== undefined) {
      this.#refuse(message, refused.error);
      this.close(refused.disconnect ?? DISCONNECTS.internal);
      return;
    }
    this.#state = "connected";
    this.#seen = this.#engine.steadyNow();
    this.#save();
    this.#reply(message, {
      case: "connected",
      value: {
        sessionId: this.id,
        subscriptions: this.#acknowledged(outcome),
        ...this.#granted(),
      },
    });
    this.#debug("connected", {
      user: this.#userId,
      client: this.#clientId,
      clientType: this.#clientType,
      address: this.#peer.address,
      encoding: this.encoding,
      extended: this.#extended,
    });
    if (outcome.errors.some((error) => error.counts)) this.#countError();
    const settled = this.#channels.settle(outcome);
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    // They are not waited for here: some wait for the channels that are being settled.
    for (const { message: frame, size } of waiting) {
      this.#take(frame, size).catch((error: unknown) => this.fail("waiting frame", error));
    }
    await settled;
  }

  /** The capabilities that both sides have. */
  #grant(asked: readonly string[]): void {
    this.#capabilities = CAPABILITIES.filter((name) => asked.includes(name));
    if (this.#capabilities.includes("credit")) this.#outflow.grantCredit();
  }

  /** What only an extended client is told in `connected`. */
  #granted() {
    if (!this.#extended) return {};
    const { maxMessageBytes, pingIntervalMs, creditBytes } = this.#engine.settings;
    return {
      capabilities: [...this.#capabilities],
      userId: this.#userId,
      maxMessageBytes,
      pingIntervalMs,
      creditBytes: this.#capabilities.includes("credit") ? uint64Of(creditBytes) : 0n,
    };
  }

  /** Learns who this is. A refusal is told to the client and closes with 3500. */
  async #authenticate(message: InboundMessage, connect: Connect): Promise<boolean> {
    const { proxy, settings } = this.#engine;
    if (proxy.authenticate === undefined) return true;
    const { token, clientId, clientType, version } = connect;
    const { address } = this.#peer;
    const request = { token, clientId, clientType, version, sessionId: this.id, address };
    try {
      this.#userId = await this.#backend.run(
        { ...AUTHENTICATE, timeoutMs: settings.authTimeoutMs },
        async (cancellation) => await proxy.authenticate?.(request, cancellation),
      );
      return true;
    } catch (error) {
      this.#debug("authentication failed", {
        client: clientId,
        address,
        ...reasonOf(error, token),
      });
      // A backend that is down has refused nobody: who can tell the difference may come back.
      const down = MessagingError.from(error).retry;
      if (down && this.#extended) {
        this.#refuse(message, error);
        this.close(DISCONNECTS.internal);
      } else {
        const refusal = down ? new MessagingError("AUTH_ERROR", "authentication failed") : error;
        this.#refuse(message, refusal);
        this.close(DISCONNECTS.invalidToken);
      }
      return false;
    }
  }

  async #subscribe(
    message: InboundMessage,
    requested: readonly SubscriptionMessage[],
  ): Promise<void> {
    const channels = requested.map((entry) => entry.channel);
    await this.#order.run(channels, "exclusive", async () => {
      if (this.#isClosed() || this.#overLimit(requested)) return;
      const outcome = await this.#join(requested);
      if (this.#isClosed()) return;
      const refused = this.#extended ? undefined : refusalOfAll(requested, outcome.errors);
      if (refused !== undefined) {
        // Another request may have saved what was taken back here.
        this.#save();
        this.#refuse(message, refused.error);
        if (refused.disconnect !== undefined) this.close(refused.disconnect);
        return;
      }
      this.#save();
      this.#reply(message, {
        case: "subscribeAck",
        value: { subscriptions: this.#acknowledged(outcome) },
      });
      if (outcome.errors.some((error) => error.counts)) this.#countError();
      await this.#channels.settle(outcome);
    });
  }

  #acknowledged({ acknowledged }: JoinOutcome): SubscriptionMessage[] {
    return fitErrors(acknowledged, this.#engine.settings.maxMessageBytes);
  }

  /** Closes a session that asks for more channels than it may have. */
  #overLimit(requested: readonly SubscriptionMessage[]): boolean {
    const wanted = this.#channels.sizeWith(requested);
    if (wanted <= this.#engine.settings.maxSubscriptions) return false;
    this.close(DISCONNECTS.channelLimit);
    return true;
  }

  /** Closes a session that says what this deployment does not hear. */
  #switchedOff(envelope: string): boolean {
    const kind = KINDS[envelope];
    if (kind === undefined || !this.#engine.settings.disabledMessages.includes(kind)) return false;
    this.close(DISCONNECTS.notAvailable);
    return true;
  }

  #join(requested: readonly SubscriptionMessage[]) {
    return this.#inTurn(requested.length, () =>
      this.#channels.join(requested, {
        extended: this.#extended,
        recovery: this.#capabilities.includes("recovery"),
        byClient: true,
        authorize: (channel, token) => this.#authorize(channel, token),
      }),
    );
  }

  /** Does something to many channels when it is the session's turn; to few at once. */
  #inTurn<T>(channels: number, work: () => Promise<T>): Promise<T> {
    if (channels <= CHANNELS_AT_ONCE) return work();
    return this.#engine.turns.run(work, Math.ceil(channels / CHANNELS_A_STEP));
  }

  /** Asks whether this user may subscribe. */
  async #authorize(channel: string, token: string): Promise<void> {
    const { proxy, settings } = this.#engine;
    if (proxy.authorizeSubscribe === undefined) return;
    const request = { channel, token, caller: this.#caller() };
    const terms = { ...AUTHORIZE, timeoutMs: settings.authTimeoutMs };
    try {
      await this.#backend.run(
        terms,
        async (cancellation) => await proxy.authorizeSubscribe?.(request, cancellation),
      );
    } catch (error) {
      this.#debug("subscription refused", { channel, ...reasonOf(error, token) });
      throw error;
    }
  }

  async #unsubscribe(
    message: InboundMessage,
    requested: readonly SubscriptionMessage[],
  ): Promise<void> {
    const channels = requested.map((entry) => entry.channel);
    await this.#order.run(channels, "exclusive", async () => {
      await this.#inTurn(channels.length, async () => {
        for (const channel of channels) this.#channels.leave(channel, true);
      });
      if (this.#isClosed()) return;
      this.#save();
      this.#reply(message, {
        case: "unsubscribeAck",
        value: {
          subscriptions: requested.map(({ channel, ephemeral, token }) => ({
            channel,
            ephemeral,
            token,
          })),
        },
      });
    });
  }

  async #publish(message: InboundMessage, received: CloudEvent, size: number): Promise<void> {
    const channel = message.channel || received.source;
    if (channel === "") {
      throw new MessagingError("INTERNAL_ERROR", "missing channel in publish message");
    }
    checkChannel(channel);
    const command = this.#command(channel, message, received);
    this.#channels.begins(channel);
    // The event may wait, and it waits as bytes: what was decoded would be its payload a second time.
    received.data = { case: undefined };
    await this.#order.run([channel], "shared", async () => {
      const { broker, publishGate } = this.#engine;
      const { position, duplicate } = await (this.#extended
        ? broker.publish(channel, command)
        : publishGate.publish(this, channel, command, size));
      this.#engine.counters.published += 1;
      if (duplicate) this.#engine.counters.duplicates += 1;
      this.#reply(message, {
        case: "publishAck",
        value: {
          offset: uint64Of(position.offset),
          ...(this.#extended ? { epoch: position.epoch, duplicate } : {}),
        },
      });
    });
  }

  /** What a publish is to the broker, if it may be one. */
  #command(channel: string, { metadata }: InboundMessage, received: CloudEvent): PublishCommand {
    const event = canonicalEvent(received);
    checkMetadata(metadata);
    const wait = this.#publishes?.take(this.#engine.steadyNow()) ?? 0;
    if (wait > 0) throw busy("too many publishes", wait);
    const body = create(EntryBodySchema, {
      event: toBinary(CloudEventSchema, event),
      publisher: { clientId: this.#clientId, userId: this.#userId, sessionId: this.id },
      metadata,
    });
    return { key: this.#publishKey(channel, event), body };
  }

  /** An extended client that publishes an event again means the same one. */
  #publishKey(channel: string, event: CloudEvent): string {
    const user = this.#extended ? ({ side: "user", name: this.#userId } as const) : undefined;
    return publishKey(this.#engine, channel, event, user);
  }

  async #history(message: InboundMessage, request: HistoryRequest): Promise<void> {
    const { channel } = request;
    this.#mayAsk(channel, "history");
    await this.#order.run([channel], "exclusive", () =>
      this.#read(channel, async ({ broker, turns }) => {
        const page = await turns.run(() => broker.history(channel, historyFilter(request)));
        await turns.run(() => {
          if (this.#isClosed()) return;
          const all = historyPage(page, request, this.encoding);
          const without = { ...all, messages: [], more: true };
          const room = this.#roomBeside(message, { case: "history", value: without });
          const value = fitHistory(all, this.encoding, room);
          this.#reply(message, { case: "history", value });
        });
      }),
    );
  }

  async #presence(message: InboundMessage, { channel }: PresenceRequest): Promise<void> {
    this.#mayAsk(channel, "presence");
    if (!this.#engine.rules.of(channel).presence) {
      throw new MessagingError("BAD_REQUEST", "presence is switched off for this channel");
    }
    await this.#order.run([channel], "exclusive", () =>
      this.#read(channel, async ({ broker, settings, turns }) => {
        const snapshot = await turns.run(() => broker.presence(channel, MAX_PRESENCE_MEMBERS));
        await turns.run(() => {
          if (this.#isClosed()) return;
          const all = presencePage(channel, snapshot.epoch, snapshot, settings.maxMessageBytes);
          const without = { ...all, members: [] };
          const room = this.#roomBeside(message, { case: "presence", value: without });
          const value = fitPresence(all, this.encoding, room);
          this.#reply(message, { case: "presence", value });
        });
      }),
    );
  }

  /** Runs a read of a channel that the session has, when those that it asked for before are done. */
  async #read(channel: string, read: (engine: SessionHost) => Promise<void>): Promise<void> {
    this.#mustHave(channel);
    await this.#channels.reads.run(async () => {
      if (this.#isClosed()) return;
      // A pattern that brought it may have been left meanwhile.
      this.#mustHave(channel);
      await read(this.#engine);
    });
  }

  /** Bytes that the list of an answer may take; undefined where the client has no wish. */
  #roomBeside(message: InboundMessage, without: OutboundEnvelope): number | undefined {
    if (this.maxFrameBytes === 0) return undefined;
    const frame = this.#codec.encodeOutbound(reply(message, this.#engine.clock.now(), without));
    return this.maxFrameBytes - sized(frame).bytes;
  }

  #mayAsk(channel: string, capability: "history" | "presence"): void {
    if (!this.#capabilities.includes(capability)) {
      const text = `${capability}_request needs the capability ${capability}`;
      throw new MessagingError("BAD_REQUEST", text);
    }
    checkChannel(channel);
  }

  #mustHave(channel: string): void {
    if (this.#channels.has(channel)) return;
    throw new MessagingError("ACL_ERROR", "not subscribed to this channel");
  }

  /** Runs beside everything else: a slow backend delays nothing but its own answer. */
  async #rpc(message: InboundMessage, received: CloudEvent): Promise<void> {
    const payload = canonicalEvent(received);
    const { proxy, settings } = this.#engine;
    if (proxy.rpc === undefined) {
      // Without a backend the request comes back, as in v0.1.1.
      this.#reply(message, { case: "rpcReply", value: this.#outbound(payload) });
      return;
    }
    if (!this.#rpcs.take()) {
      if (this.#extended) throw busy("too many RPCs are waiting for their answer", BUSY_RETRY_MS);
      // A v1 client cannot tell which of its RPCs was refused.
      if (!(await this.#rpcs.next()) || this.#isClosed()) return;
    }
    const request = {
      id: message.id,
      channel: message.channel || received.source,
      method: message.method || received.type,
      payload,
      metadata: message.metadata,
      caller: this.#caller(),
    };
    const terms = { ...RPC, timeoutMs: settings.rpcTimeoutMs };
    const answer = await this.#timed(() =>
      this.#backend.run(terms, async (cancellation) => await proxy.rpc?.(request, cancellation)),
    );
    const value = answer === undefined ? create(CloudEventSchema) : this.#outbound(answer);
    const answered = reply(message, this.#engine.clock.now(), { case: "rpcReply", value });
    const frame = sized(this.#codec.encodeOutbound(answered), true);
    if (frame.bytes > largestFrame(settings.maxMessageBytes)) {
      this.#backend.warnOf(RPC.backend, new BadValue("answer", `takes ${frame.bytes} bytes`));
      throw new MessagingError(...RPC.invalid);
    }
    this.write(frame);
  }

  /** Counts an RPC while it is open, and how long it took by how it ended. */
  async #timed<T>(call: () => Promise<T>): Promise<T> {
    const { clock, counters } = this.#engine;
    const began = clock.now();
    let outcome: RpcOutcome = "ok";
    try {
      return await call();
    } catch (error) {
      const late = MessagingError.from(error).code === RPC.timeout[0];
      outcome = this.#isClosed() ? "cancelled" : late ? "timeout" : "error";
      throw error;
    } finally {
      this.#rpcs.free();
      counters.rpcs[outcome].observe(clock.now() - began);
    }
  }

  #caller(): Caller {
    return {
      sessionId: this.id,
      clientId: this.#clientId,
      clientType: this.#clientType,
      userId: this.#userId,
    };
  }

  #wait(message: InboundMessage, size: number): void {
    this.#waitingBytes += size;
    this.#waiting ??= [];
    if (this.#waiting.length >= MAX_WAITING_FRAMES || this.#waitingBytes > MAX_WAITING_BYTES) {
      this.close(DISCONNECTS.badRequest);
      return;
    }
    this.#waiting.push({ message, size });
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
    this.#transport.save?.(this.record());
    this.saveMarks();
  }

  /** Has the marks saved before the host can fall asleep, however many change meanwhile. */
  #markSoon(): void {
    if (this.#unsavedMarks || this.#transport.mark === undefined) return;
    this.#unsavedMarks = true;
    this.#engine.marks.soon(this);
  }

  #refuse(message: InboundMessage, error: unknown): void {
    const known = MessagingError.from(error);
    if (known !== error) this.#note("request", error);
    this.#debug("request refused", refusalOf(message, known));
    this.#reply(message, { case: "error", value: known.toMessage() });
    if (known.counts) this.#countError();
  }

  /** Does one of several things that must all be tried. */
  #attempt(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#note(what, error);
    }
  }

  /** What nobody foresaw goes to the log, and is counted. */
  #note(what: string, error: unknown): void {
    const { counters, logger } = this.#engine;
    counters.internalErrors += 1;
    logger.warn("session failed", { what, session: this.id, error: errorText(error) });
  }

  /** A client whose requests keep failing is broken or hostile; either way it costs too much. */
  #countError(): void {
    const now = this.#engine.steadyNow();
    if (now - this.#errorsSince >= ERROR_WINDOW_MS) {
      this.#errorsSince = now;
      this.#errors = 0;
    }
    this.#errors += 1;
    if (this.#errors > this.#engine.settings.maxErrors) this.close(DISCONNECTS.tooManyErrors);
  }

  /** Notes a sign of life. An unconnected client cannot put off its deadline. */
  #touch(): void {
    if (this.#outflow.heard()) this.#markSoon();
    if (!this.connected) return;
    this.#seen = this.#engine.steadyNow();
    if (this.#seen - this.#savedSeen >= SEEN_SAVE_MS) this.saveMarks();
  }

  /** Says something that nobody asked for. */
  #tell(envelope: OutboundEnvelope): void {
    const { clock, random } = this.#engine;
    this.#send(unsolicited(random.uuid(), clock.now(), envelope));
  }

  #reply(message: InboundMessage, envelope: OutboundEnvelope): void {
    this.#send(reply(message, this.#engine.clock.now(), envelope));
  }

  #send(message: OutboundMessage): void {
    const urgent = !ORDERED.has(message.envelope.case);
    this.write(sized(this.#codec.encodeOutbound(message), urgent));
  }
}

function busy(message: string, retryAfterMs: number): MessagingError {
  return new MessagingError("RATE_LIMITED", message, {
    metadata: { retry_after_ms: retryAfterMs },
  });
}
