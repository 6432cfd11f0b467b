/** One connection of the fake server: what its client asks, and what it is told. */
import { MessagingError } from "../../protocol/errors.ts";
import { isPattern, stands } from "../core/patterns.ts";
import type { Clock, PublishResult, TransportEnd } from "../core/ports.ts";
import type {
  ConnectRequest,
  InboundFrame,
  OutboundFrame,
  Position,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireError,
  WireEvent,
  WireMember,
  WireMessage,
} from "../wire/frames.ts";
import { checkName, type FakeLog, type Published } from "./fake-log.ts";

/** The server around a session. */
export interface SessionHost {
  readonly clock: Clock;
  readonly sessions: readonly FakeSession[];
  /** Of logs that begin now. */
  readonly epoch: string;
  /** What `connected` says of limits. */
  readonly terms: object;
  nextId(): string;
  authenticate(token: string): string;
  authorize(userId: string, channel: string): void;
  rpc(channel: string, method: string, event: WireEvent, session: FakeSession): Promise<WireEvent>;
  log(channel: string): FakeLog;
  matching(pattern: string): readonly FakeLog[];
  take(channel: string, event: Published): PublishResult;
  members(channel: string): readonly WireMember[];
  forget(session: FakeSession): void;
}

/** What a request has become. */
interface Joined {
  readonly answers: readonly SubscriptionAnswer[];
  readonly granted: readonly SubscriptionRequest[];
  /** Channels and patterns that the session had before. */
  readonly before: ReadonlySet<string>;
}

const CAPABILITIES = ["control", "history", "presence", "recovery", "refresh"];

/** A connection that a test can look at and end. */
export class FakeSession {
  readonly id: string;
  /** As `authenticate` has said; empty before connect, and of anonymous users. */
  userId = "";
  clientId = "";
  readonly #server: SessionHost;
  readonly #tell: (frame: OutboundFrame) => void;
  readonly #end: (end: TransportEnd) => void;
  /** When each of its channels and patterns has begun. */
  readonly #channels = new Map<string, number>();
  #capabilities: readonly string[] = [];
  #connected = false;
  #ended = false;

  /** @internal */
  constructor(
    server: SessionHost,
    id: string,
    tell: (frame: OutboundFrame) => void,
    end: (end: TransportEnd) => void,
  ) {
    this.#server = server;
    this.id = id;
    this.#tell = tell;
    this.#end = end;
  }

  /** Channels and patterns that it is subscribed to. */
  get channels(): readonly string[] {
    return [...this.#channels.keys()];
  }

  get connected(): boolean {
    return this.#connected && !this.#ended;
  }

  /**
   * Ends the connection as a server does that says why.
   *
   * @param code a close code of the protocol, such as 3512
   */
  disconnect(code: number, reason = "", retryAfterMs = 0): void {
    if (this.#capabilities.includes("control")) {
      const reconnect = code < 3500 || code === 3512 || code === 3513;
      this.tell({ disconnect: { code, reason, reconnect, retry_after_ms: retryAfterMs } });
    }
    this.end(code, reason);
  }

  /** Ends the connection without a word; 1006 is a connection that was lost. */
  end(code = 1006, reason = ""): void {
    if (this.#ended) return;
    this.left();
    this.#end({ code, reason });
  }

  /** Sends a frame that nobody asked for. */
  tell(frame: OutboundFrame): void {
    if (this.#ended) return;
    this.#tell({ id: this.#server.nextId(), time: this.#server.clock.now(), ...frame });
  }

  /** @internal The client has gone. */
  left(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const channel of this.channels) this.#presence(channel, "leave");
    this.#server.forget(this);
  }

  /** @internal Whether a subscription of its stands for a channel. */
  hears(channel: string): boolean {
    return this.channels.some((name) => stands(name, channel));
  }

  /** @internal */
  deliver(message: WireMessage): void {
    if (this.hears(message.channel ?? "")) this.tell({ publication: { messages: [message] } });
  }

  /** @internal */
  async take(frame: InboundFrame): Promise<void> {
    // On its way when the connection ended.
    if (this.#ended) return;
    try {
      await this.#handle(frame);
    } catch (error) {
      this.#reply(frame, { error: wireError(error) });
    }
  }

  async #handle(frame: InboundFrame): Promise<void> {
    if (frame.ping !== undefined) return this.#reply(frame, { pong: {} });
    if (frame.connect !== undefined) return this.#connect(frame, frame.connect);
    if (!this.#connected) return this.disconnect(3502, "stale");
    const { subscribe, unsubscribe, publish, rpc_request, history_request } = frame;
    if (subscribe !== undefined) this.#subscribe(frame, subscribe.subscriptions);
    else if (unsubscribe !== undefined) this.#unsubscribe(frame, unsubscribe.subscriptions);
    else if (publish !== undefined) this.#publish(frame);
    else if (rpc_request !== undefined) {
      const { channel = "", method = "" } = frame;
      const answer = await this.#server.rpc(channel, method, rpc_request, this);
      this.#reply(frame, { rpc_reply: answer });
    } else if (history_request !== undefined) this.#history(frame);
    else if (frame.presence_request !== undefined) {
      const { channel } = frame.presence_request;
      const members = this.#server.members(channel);
      this.#reply(frame, { presence: { channel, members, total: members.length } });
    } else if (frame.sub_refresh !== undefined) {
      const subscriptions = Object.keys(frame.sub_refresh.tokens ?? {}).map((channel) => ({
        channel,
      }));
      this.#reply(frame, { sub_refresh_ack: { subscriptions } });
    } else if (frame.refresh !== undefined) this.#refresh(frame, frame.refresh.token);
    else if (frame.received === undefined) {
      throw new MessagingError("UNIMPLEMENTED", "the fake server does not have this");
    }
  }

  #connect(frame: InboundFrame, request: ConnectRequest): void {
    const { token = "", client_id = "", capabilities = [], subscriptions = [] } = request;
    if (this.#connected) {
      this.disconnect(3501, "bad request");
      return;
    }
    try {
      this.userId = this.#server.authenticate(token);
    } catch (error) {
      this.#reply(frame, { error: wireError(error) });
      this.end(3500, "invalid token");
      return;
    }
    this.clientId = client_id;
    this.#capabilities = CAPABILITIES.filter((name) => capabilities.includes(name));
    this.#connected = true;
    const joined = this.#join(subscriptions);
    this.#reply(frame, {
      connected: {
        session_id: this.id,
        subscriptions: joined.answers,
        capabilities: this.#capabilities,
        user_id: this.userId,
        ...this.#server.terms,
      },
    });
    this.#replay(joined);
  }

  #subscribe(frame: InboundFrame, subscriptions: readonly SubscriptionRequest[]): void {
    const joined = this.#join(subscriptions);
    this.#reply(frame, { subscribe_ack: { subscriptions: joined.answers } });
    this.#replay(joined);
  }

  #join(requests: readonly SubscriptionRequest[]): Joined {
    const granted: SubscriptionRequest[] = [];
    const before = new Set(this.channels);
    const now = this.#server.clock.now();
    const answers = requests.map((request): SubscriptionAnswer => {
      const { channel } = request;
      try {
        checkName(channel, true);
        this.#server.authorize(this.userId, channel);
      } catch (error) {
        return { channel, error: wireError(error) };
      }
      granted.push(request);
      if (!this.#channels.has(channel)) {
        this.#channels.set(channel, now);
        if (!request.ephemeral) this.#presence(channel, "join");
      }
      const position = isPattern(channel)
        ? { epoch: this.#server.epoch, offset: now }
        : this.#server.log(channel).position;
      return { channel, position };
    });
    return { answers, granted, before };
  }

  /**
   * What each subscription asks for of the past, with one verdict for each channel. A channel that the session has by itself
   * comes by that, whatever patterns stand for it.
   */
  #replay({ granted, before }: Joined): void {
    if (!this.#capabilities.includes("recovery")) return;
    const patterns = granted.filter((request) => isPattern(request.channel) && catchesUp(request));
    for (const request of granted) {
      const { channel } = request;
      if (isPattern(channel)) continue;
      if (catchesUp(request)) this.#replayChannel(request);
      else if (![...before].some((name) => stands(name, channel))) {
        this.#replayOwed(channel, patterns);
      }
    }
    const told = new Set<string>();
    for (const pattern of patterns) this.#replayPattern(pattern, patterns, told);
  }

  #replayChannel({ channel, since, rewind = 0 }: SubscriptionRequest): void {
    const log = this.#server.log(channel);
    if (since !== undefined) this.#recovered(log, log.after(since));
    else if (rewind > 0) this.#recovered(log, log.last(rewind));
    else this.#recovered(log, { messages: [], gap: { reason: "unavailable" } });
  }

  /** What patterns of the same request would have brought of a channel that has asked for nothing. */
  #replayOwed(channel: string, patterns: readonly SubscriptionRequest[]): void {
    const standing = patterns.filter((pattern) => stands(pattern.channel, channel));
    const position = standing.map(({ positions }) => positions?.[channel]).find(Boolean);
    const times = standing.flatMap(({ since }) => since?.offset ?? []);
    const log = this.#server.log(channel);
    if (position !== undefined) this.#recovered(log, log.after(position));
    else if (times.length > 0) this.#recovered(log, log.from(Math.max(...times)));
  }

  /** @param told channels that others of the request have brought */
  #replayPattern(
    { channel, since, positions }: SubscriptionRequest,
    patterns: readonly SubscriptionRequest[],
    told: Set<string>,
  ): void {
    const asking = new Set(patterns.map((pattern) => pattern.channel));
    for (const log of this.#server.matching(channel)) {
      const position = positions?.[log.channel];
      if (told.has(log.channel) || this.#channels.has(log.channel)) continue;
      if (position !== undefined) this.#recovered(log, log.after(position));
      // What another one has brought since then was not missed.
      else if (since === undefined || this.#heardSince(log.channel, since, asking)) continue;
      else this.#recovered(log, log.from(since.offset ?? 0));
      told.add(log.channel);
    }
    const gap = since === undefined && { gap: { channel, reason: "unavailable" } };
    this.tell({ recovered: { channel, ...gap } });
  }

  /** @param but patterns that do not count */
  #heardSince(channel: string, { offset = 0 }: Position, but: ReadonlySet<string>): boolean {
    return [...this.#channels].some(
      ([name, begun]) => !but.has(name) && begun <= offset && stands(name, channel),
    );
  }

  #recovered(log: FakeLog, { messages, gap }: ReturnType<FakeLog["after"]>): void {
    const { channel, position } = log;
    if (messages.length > 0) this.tell({ publication: { messages } });
    this.tell({
      recovered: { channel, position, ...(gap === undefined ? {} : { gap: { channel, ...gap } }) },
    });
  }

  #unsubscribe(frame: InboundFrame, subscriptions: readonly SubscriptionRequest[]): void {
    for (const { channel } of subscriptions) {
      if (this.#channels.delete(channel)) this.#presence(channel, "leave");
    }
    this.#reply(frame, { unsubscribe_ack: { subscriptions } });
  }

  #publish(frame: InboundFrame): void {
    const { channel = "", publish: payload = {}, metadata } = frame;
    const publisher = { client_id: this.clientId, user_id: this.userId, session_id: this.id };
    const { epoch, offset, duplicate } = this.#server.take(channel, {
      payload,
      publisher,
      metadata,
    });
    this.#reply(frame, { publish_ack: { offset, epoch, duplicate } });
  }

  #history(frame: InboundFrame): void {
    const { channel = "", since, limit = 0, reverse = false } = frame.history_request ?? {};
    const log = this.#server.log(channel);
    const { position } = log;
    const place = since?.offset ?? (reverse ? Number.POSITIVE_INFINITY : 0);
    const all = log.messages.filter(({ offset = 0 }) =>
      reverse ? offset < place : offset > place,
    );
    if (reverse) all.reverse();
    const messages = limit < 0 ? all : all.slice(0, limit);
    this.#reply(frame, {
      history: { channel, messages, position, more: messages.length < all.length },
    });
  }

  #refresh(frame: InboundFrame, token: string): void {
    const userId = this.#server.authenticate(token);
    if (userId === this.userId) this.#reply(frame, { refresh_ack: {} });
    else {
      this.#reply(frame, { error: { code: "AUTH_ERROR", message: "another user" } });
      this.end(3500, "invalid token");
    }
  }

  #presence(channel: string, change: "join" | "leave"): void {
    if (isPattern(channel)) return;
    const { userId, clientId } = this;
    const sessions = this.#server.sessions;
    // Sessions of one user on one client are one member.
    const isStill = sessions.some(
      (other) =>
        other !== this &&
        other.userId === userId &&
        other.clientId === clientId &&
        other.channels.includes(channel),
    );
    if (isStill && (userId !== "" || clientId !== "")) return;
    const member = { user_id: userId, client_id: clientId };
    for (const session of sessions) {
      if (session === this || !session.hears(channel)) continue;
      if (!session.#capabilities.includes("presence")) continue;
      session.tell({ presence_event: { channel, [change]: member } });
    }
  }

  #reply({ id, metadata }: InboundFrame, frame: OutboundFrame): void {
    if (this.#ended) return;
    this.#tell({
      ...(id === undefined ? {} : { id }),
      ...(metadata === undefined ? {} : { metadata }),
      time: this.#server.clock.now(),
      ...frame,
    });
  }
}

/** Whether a subscription asks for what was before. */
function catchesUp({ since, rewind = 0, recover, positions }: SubscriptionRequest): boolean {
  return since !== undefined || rewind > 0 || recover === true || positions !== undefined;
}

function wireError(error: unknown): WireError {
  const { code, type, message, metadata } = MessagingError.from(error);
  return { code, type, message, ...(metadata === undefined ? {} : { metadata }) };
}
