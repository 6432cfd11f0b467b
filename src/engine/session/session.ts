/**
 * One client's session: its states, and the way of each frame through them. It never waits while reading.
 *
 * | state | since | a frame |
 * | --- | --- | --- |
 * | `new` | the connection | `connect` leads to `connecting`; any other closes |
 * | `connecting` | `connect` has come | a second `connect` closes; any other waits |
 * | `connected` | the connect was granted | a second `connect` closes; any other is performed, by `requests/` |
 * | `closed` | the end, which may come in each state | is not read |
 */
import { type Codec, codecFor, type Encoding, type Frame } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type {
  SessionMarks,
  SessionRecord,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Connect, InboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import {
  frameLimit,
  type SizedFrame,
  type Variant,
  variantOf,
} from "../../protocol/publication-frames.ts";
import { frameLength } from "../../protocol/utf8.ts";
import { SEEN_SAVE_MS } from "../mark-timer.ts";
import type { LogGap, Position } from "../ports/broker.ts";
import type { Peer, Transport } from "../ports/transport.ts";
import type { ChannelsOwner } from "../subscription/ports.ts";
import { countOf } from "../subscription/positions.ts";
import { SessionChannels } from "../subscription/session-channels.ts";
import type { Question } from "../survey/question.ts";
import type { Respondent } from "../survey/surveys.ts";
import { ChannelOrder } from "./channel-order.ts";
import { Client } from "./client.ts";
import { expireToken } from "./expiry/token-expiry.ts";
import { FlowControl } from "./flow-control.ts";
import { Intake } from "./intake.ts";
import { debug, durationSince, noteFailure } from "./log.ts";
import type { SessionHost } from "./ports.ts";
import { flowMarksOf, identityOf, marksOf, recordOf } from "./record.ts";
import { Replies } from "./replies.ts";
import { mayDo } from "./requests/access.ts";
import { type ConnectingSession, connect } from "./requests/connect.ts";
import { RequestContext } from "./requests/context.ts";
import type { SessionEnd } from "./requests/lifecycle.ts";
import { perform } from "./requests/perform.ts";
import { addition, leaveDisallowed, removal } from "./requests/subscriptions.ts";
import { type SendCall, Sends, type StreamTerms } from "./stream/sends.ts";

export class Session implements ChannelsOwner, ConnectingSession, Respondent {
  readonly id: string;
  readonly encoding: Encoding;
  /** Where the client connects from; empty where it is unknown. */
  readonly address: string;
  variant: Variant;
  maxFrameBytes = 0;
  readonly #node: SessionHost;
  readonly #transport: Transport;
  readonly #codec: Codec;
  /** For the node and the session's parts alone. */
  readonly client: Client;
  readonly #order = new ChannelOrder();
  readonly #channels: SessionChannels;
  readonly #flow: FlowControl;
  readonly #replies: Replies;
  readonly #requests: RequestContext;
  readonly #intake: Intake;
  #state: "new" | "connecting" | "connected" | "closed" = "new";
  /** Of a client that sends by calls of their own. */
  #sends: Sends | undefined;
  /** When the connection came, Unix milliseconds; undefined where a sleep lies between. */
  #since: number | undefined;
  /** Last sign of life by the steady clock, in milliseconds; before connect the time of the connection. */
  #seen: number;
  #savedSeen: number;
  #unsavedMarks = false;

  constructor(node: SessionHost, transport: Transport, id: string, encoding: Encoding, peer: Peer) {
    this.#node = node;
    this.#transport = transport;
    this.id = id;
    this.encoding = encoding;
    this.address = peer.address;
    this.#codec = codecFor(encoding);
    this.variant = variantOf(encoding, "v1");
    this.client = new Client(id, encoding, peer.admitted);
    this.#channels = new SessionChannels(node, this);
    this.#intake = new Intake(node.settings.maxOpenRequestBytes, node.intake, transport);
    this.#flow = new FlowControl(node.flowLimits, transport);
    this.#replies = new Replies(node, this, this.client);
    this.#requests = new RequestContext({
      node,
      session: this,
      client: this.client,
      channels: this.#channels,
      order: this.#order,
      intake: this.#intake,
      flow: this.#flow,
      replies: this.#replies,
    });
    this.#seen = node.steadyNow();
    this.#since = this.#seen;
    this.#savedSeen = this.#seen;
  }

  /** A session as its record says it was. */
  static restore(node: SessionHost, transport: Transport, record: SessionRecord): Session {
    const encoding: Encoding = record.encoding === "proto" ? "proto" : "json";
    const session = new Session(node, transport, record.sessionId, encoding, { address: "" });
    session.#state = record.connected ? "connected" : "new";
    session.#since = undefined;
    session.client.restore(record, identityOf(record));
    session.#adapt(record.maxFrameBytes);
    if (record.streamSecret !== "") {
      const taken = countOf(record.marks?.takenSeq ?? 0n);
      session.#sends = new Sends(node, session, { secret: record.streamSecret, taken });
    }
    if (record.connected && !record.extended) session.#intake.wait();
    const { marks } = record;
    if (marks !== undefined) {
      // Without a mark there is no evidence of silence: the session counts as heard now.
      session.#seen = countOf(marks.seen);
      session.#flow.restore(flowMarksOf(marks));
    }
    session.#savedSeen = session.#seen;
    session.#channels.restore(record.subscriptions);
    if (record.connected) session.#requests.lifecycle?.restored();
    return session;
  }

  /** The client's own name for itself; never authenticated. */
  get clientId(): string {
    return this.client.clientId;
  }

  /** The user, as authentication says; empty without authentication. */
  get userId(): string {
    return this.client.userId;
  }

  get connected(): boolean {
    return this.#state === "connected";
  }

  get ended(): boolean {
    return this.#isClosed();
  }

  /** Whether it hears of joins and leaves. */
  get followsPresence(): boolean {
    return this.client.can("presence");
  }

  mayFollowPresence(channel: string): boolean {
    return mayDo(this.#requests, "presence", channel);
  }

  /** When this session ends unless the client is heard, by the steady clock in milliseconds. */
  get expiry(): number {
    const { connectDeadlineMs, idleTimeoutMs } = this.#node.settings;
    if (!this.connected) return this.#seen + connectDeadlineMs;
    // A client that is not read cannot be heard.
    if (this.#intake.paused) return this.#node.steadyNow() + idleTimeoutMs;
    return Math.max(this.#seen, this.#transport.heard?.() ?? 0) + idleTimeoutMs;
  }

  /** The channels this session is subscribed to. */
  get channels(): readonly string[] {
    return this.#channels.names;
  }

  /** Backend calls that wait for their answer. */
  get openCalls(): number {
    return this.#requests.openCalls;
  }

  /** Ends the session when its time, or its token's, is over. */
  expire(now: number): void {
    if (this.connected) expireToken(this.#requests);
    if (now < this.expiry || this.#isClosed()) return;
    this.close(this.connected ? DISCONNECTS.idleTimeout : DISCONNECTS.stale);
  }

  /** Never throws: others get the same frame after this session. */
  write(frame: SizedFrame): void {
    if (this.#state === "closed") return;
    this.#node.watch?.wrote(this, frame);
    try {
      this.#transport.write(frame);
      this.#flow.wrote(frame.bytes);
      this.#node.counters.bytesOut += frame.bytes;
      if (this.#flow.exceeded) this.close(DISCONNECTS.slowConsumer);
      else this.#markSoon();
    } catch (error) {
      this.fail("write", error);
    }
  }

  /** Tells a client that can take it of messages that it will not get. Never throws. */
  tellGap(channel: string, gap: LogGap): void {
    try {
      // Its subscription goes on elsewhere: a session that wakes later must not report it again.
      this.save();
      this.#replies.tellGap(channel, gap);
    } catch (error) {
      this.fail("gap", error);
    }
  }

  /** Ends the replay of a channel. */
  tellRecovered(channel: string, position: Position, gap: LogGap | undefined): void {
    this.#replies.tellRecovered(channel, position, gap);
  }

  /**
   * The client sends what it has to say by calls of their own. Called first, if at all. It learns how when connect
   * is there, and not before: what it sends could overtake a connect that is still on its way.
   */
  open(terms: StreamTerms): void {
    this.#sends = new Sends(this.#node, this, { secret: terms.secret, terms });
  }

  /**
   * Takes such a call, of any caller that knows the secret.
   *
   * @returns the last number of which all messages have been taken; undefined where the caller does not know
   *   the secret, or the session ends by this
   * @throws MessagingError BAD_REQUEST
   */
  send(call: SendCall): number | undefined {
    if (!this.#sends?.knows(call.secret)) return undefined;
    this.#touch();
    const taken = this.#sends.put(call);
    this.#markSoon();
    return this.#isClosed() ? undefined : taken;
  }

  /** What a sleeping host must remember of this session has changed. */
  changed(): void {
    this.#markSoon();
  }

  /** Subscribes from the server's side, without asking anybody. */
  async addChannels(channels: readonly string[]): Promise<ReadonlyMap<string, MessagingError>> {
    const errors = new Map<string, MessagingError>();
    await this.#order.run(channels, "exclusive", addition(this.#requests, channels, errors));
    return errors;
  }

  /** Takes away what rules and grants do not allow any more. */
  leaveDisallowed(): void {
    if (this.connected) leaveDisallowed(this.#requests);
  }

  /** Unsubscribes from the server's side. */
  async removeChannels(channels: readonly string[]): Promise<void> {
    await this.#order.run(channels, "exclusive", removal(this.#requests, channels));
  }

  /** Puts a survey's question to the client. Never throws. */
  ask(question: Question): void {
    try {
      this.write(question.frame(this.variant));
    } catch (error) {
      this.fail("question of a survey", error);
    }
  }

  /** Takes one frame, and returns when it has taken effect; the next need not wait. Never rejects: see `fail`. */
  async receive(frame: Frame): Promise<void> {
    try {
      const size = typeof frame === "string" ? frameLength(frame) : frame.length;
      if (!this.#arrived(size)) return;
      if (!this.#intake.hold(frame, size)) return await this.#takeFrame(frame, size);
      if (this.#intake.overrun) this.close(DISCONNECTS.slowConsumer);
      await this.#intake.drain((each, length) => this.#takeFrame(each, length));
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
    noteFailure(this.#node, this.id, what, error);
    this.close(DISCONNECTS.internal);
  }

  /**
   * Ends the session from the server's side.
   *
   * @param retryAfterMs how long the client should wait before it comes back, in milliseconds
   */
  close(disconnect: Disconnect, retryAfterMs = 0): void {
    if (this.#state === "closed") return;
    this.#node.closed(disconnect.code, this);
    this.#attempt("farewell", () => this.#farewell(disconnect, retryAfterMs));
    // A client that should come back by itself may do so before its end is reported.
    const { code, reason } = disconnect;
    this.#end(!reconnects(code), { by: "server", code, reason });
    this.#attempt("close", () => this.#transport.close(disconnect));
  }

  /** Says why the session ends, past every bound: a slow client has to learn it as well. */
  #farewell(disconnect: Disconnect, retryAfterMs: number): void {
    const frame = this.connected ? this.#replies.farewell(disconnect, retryAfterMs) : undefined;
    if (frame === undefined) return;
    this.#node.watch?.wrote(this, frame);
    this.#transport.write(frame);
    this.#node.counters.bytesOut += frame.bytes;
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

  #end(clean: boolean, why: SessionEnd): void {
    if (this.#state === "closed") return;
    debug(this.#node, this.id, "disconnected", {
      ...why,
      ...durationSince(this.#since, this.#node.steadyNow()),
    });
    this.#state = "closed";
    this.#node.watch?.ended(this, why.code);
    this.#intake.letGo();
    this.#sends?.end();
    this.#attempt("cancellation", () => this.#requests.cancel());
    this.#attempt("leave", () => this.#channels.leaveAll(clean));
    // One that could not be left must not keep the session in the others.
    for (const name of this.#channels.names) {
      this.#attempt("leave", () => this.#channels.leave(name, clean));
    }
    this.#attempt("lifecycle", () => this.#requests.lifecycle?.disconnected({ ...why, clean }));
    this.#node.forget(this);
  }

  /** What a sleeping host must remember, without the marks. */
  record(): SessionRecord {
    return recordOf(this, this.client, this.#channels, this.#sends?.secret);
  }

  /** The part of the record that changes with the traffic. */
  marks(): SessionMarks {
    const taken = this.#sends?.taken;
    return marksOf(this, this.#node, this.#channels, this.#flow, { seen: this.#seen, taken });
  }

  /** Has a host that sleeps keep the session as it is. */
  save(): void {
    if (this.#state !== "connected") return;
    this.#transport.save?.(this.record());
    this.saveMarks();
  }

  /** Saves the marks where the host can sleep. */
  saveMarks(): void {
    this.#unsavedMarks = false;
    if (this.#state !== "connected") return;
    this.#savedSeen = this.#seen;
    this.#transport.mark?.(this.marks());
  }

  #takeFrame(frame: Frame, size: number): Promise<void> {
    let message: InboundMessage;
    try {
      message = this.#codec.decodeInbound(frame);
    } catch (error) {
      if (!(error instanceof MessagingError)) throw error;
      debug(this.#node, this.id, "frame refused", { code: error.code, bytes: frame.length });
      this.#node.watch?.refused(this, size, error.code);
      this.#replies.refuseFrame(error);
      return Promise.resolve();
    }
    return this.#take(message, size);
  }

  async #take(message: InboundMessage, size: number): Promise<void> {
    this.#node.watch?.took(this, message, size);
    if (this.#state === "connecting" && message.envelope.case !== "connect") {
      if (!this.#intake.putOff(message, size)) this.close(DISCONNECTS.badRequest);
      return;
    }
    const waits = this.#intake.begin(size);
    try {
      await this.#handle(message, size);
    } finally {
      // The time in which a client is not read is no silence.
      if (this.#intake.paused) this.#seen = this.#node.steadyNow();
      this.#intake.end(size, waits);
    }
  }

  /** Notes that something came in. Returns false where it is not to be looked at. */
  #arrived(size: number): boolean {
    if (this.#state === "closed") return false;
    this.#touch();
    this.#node.counters.bytesIn += size;
    if (size <= this.#node.settings.maxMessageBytes) return true;
    this.close(DISCONNECTS.messageTooBig);
    return false;
  }

  /** Undefined where there is nothing to wait for. */
  #handle(message: InboundMessage, size: number): Promise<void> | undefined {
    if (this.#state === "closed") return undefined;
    const { envelope } = message;
    if (envelope.case === "connect") {
      if (this.#state === "new") {
        this.#sends?.tellTerms(this.#replies, this.id);
        return connect(this.#requests, this, message, envelope.value);
      }
      this.close(DISCONNECTS.badRequest);
      return undefined;
    }
    if (envelope.case !== undefined) return perform(this.#requests, message, envelope, size);
    if (this.#state !== "connected") this.close(DISCONNECTS.stale);
    return undefined;
  }

  introduce(request: Connect): void {
    this.#state = "connecting";
    this.client.introduce(request);
    this.#adapt(request.maxFrameBytes);
    if (!this.client.extended) this.#intake.wait();
  }

  establish(): void {
    this.#state = "connected";
    this.#seen = this.#node.steadyNow();
    this.save();
  }

  takeWaiting(): void {
    for (const { message, size } of this.#intake.takeWaiting()) {
      this.#take(message, size).catch((error: unknown) => this.fail("waiting frame", error));
    }
  }

  /** What the session does from now on as its client can take it. */
  #adapt(maxFrameBytes: number): void {
    if (this.client.extended) this.maxFrameBytes = frameLimit(maxFrameBytes);
    this.variant = variantOf(this.encoding, this.client.kind);
    if (this.client.can("credit")) this.#flow.grantCredit();
  }

  /** A method, so that the compiler does not assume the state unchanged across an await. */
  #isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Has the marks saved before the host can fall asleep, however many change meanwhile. */
  #markSoon(): void {
    if (this.#unsavedMarks || this.#transport.mark === undefined) return;
    this.#unsavedMarks = true;
    this.#node.marks.soon(this);
  }

  /** Does one of several things that must all be tried. */
  #attempt(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      noteFailure(this.#node, this.id, what, error);
    }
  }

  /** Notes a sign of life. An unconnected client cannot put off its deadline. */
  #touch(): void {
    if (this.#flow.heard()) this.#markSoon();
    if (!this.connected) return;
    this.#seen = this.#node.steadyNow();
    if (this.#seen - this.#savedSeen >= SEEN_SAVE_MS) this.saveMarks();
  }
}
