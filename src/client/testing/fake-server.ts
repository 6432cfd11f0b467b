/**
 * A server in the process of a test: channels with a log, recovery, presence, history and RPC, as the real one has them
 * for one user at a time. It keeps no limits, has no surveys of clients, and speaks JSON only.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { stands } from "../core/patterns.ts";
import type {
  Clock,
  PublishResult,
  Transport,
  TransportEvents,
  TransportFactory,
} from "../core/ports.ts";
import type { InboundFrame, OutboundFrame, WireEvent, WireMember } from "../wire/frames.ts";
import { checkName, FakeLog, type Published } from "./fake-log.ts";
import { FakeSession, type SessionHost } from "./fake-session.ts";

export interface FakeServerOptions {
  /** The same that the client has. Its `now()` is the server's clock as well. */
  readonly clock: Clock;
  /** Who a token stands for; it throws a MessagingError to refuse. Default: everybody is anonymous. */
  readonly authenticate?: (token: string) => string;
  /** Throws a MessagingError to refuse a subscription. Default: everything is allowed. */
  readonly authorize?: (userId: string, channel: string) => void;
  /** Answers RPCs; it throws a MessagingError to refuse. Default: the event comes back as it was. */
  readonly rpc?: (
    channel: string,
    method: string,
    event: WireEvent,
    session: FakeSession,
  ) => WireEvent | Promise<WireEvent>;
  /** Largest frame of a client in bytes. Default 65,536. */
  readonly maxMessageBytes?: number;
  /** How long a repeated event is recognised, in milliseconds. Default 300,000. */
  readonly dedupWindowMs?: number;
}

/**
 * @example
 * const clock = new ManualClock();
 * const server = new FakeServer({ clock });
 * const client = await dial("ws://fake", { clock, transport: server.transport });
 * server.publish("room", { id: "1", source: "/test", type: "t", text_data: "hello" });
 * server.cut();
 */
export class FakeServer implements SessionHost {
  readonly clock: Clock;
  /** What a client connects by. */
  readonly transport: TransportFactory = {
    name: "fake",
    open: (_url, subprotocol, events) => this.#open(subprotocol, events),
  };
  readonly #options: FakeServerOptions;
  readonly #sessions = new Set<FakeSession>();
  readonly #logs = new Map<string, FakeLog>();
  #refusal: { readonly code: number; readonly reason: string } | undefined;
  #silent = false;
  #epochs = 1;
  #ids = 0;

  constructor(options: FakeServerOptions) {
    this.#options = options;
    this.clock = options.clock;
  }

  /** Connections, connected or not yet. */
  get sessions(): readonly FakeSession[] {
    return [...this.#sessions];
  }

  /**
   * Publishes from the server's side.
   *
   * @returns where the event stands
   * @throws MessagingError BAD_REQUEST for what is no channel
   */
  publish(channel: string, payload: WireEvent): PublishResult {
    return this.take(channel, { payload, publisher: {} });
  }

  /** What a channel's history holds, the oldest first. */
  history(channel: string): readonly WireEvent[] {
    return this.log(channel).messages.map(({ payload = {} }) => payload);
  }

  /** Ends all connections, as when the network goes. */
  cut(code?: number, reason?: string): void {
    for (const session of this.sessions) session.end(code, reason);
  }

  /** From now on connections end before they are there, until `accept`. */
  refuse(code = 1006, reason = ""): void {
    this.#refusal = { code, reason };
  }

  accept(): void {
    this.#refusal = undefined;
  }

  /** From now on nothing arrives and nothing is answered, pings among it, while connections seem to be there; or again. */
  silence(on: boolean): void {
    this.#silent = on;
  }

  /** Forgets the oldest messages of a channel but so many: who has missed them gets a gap. */
  trim(channel: string, left = 0): void {
    this.log(channel).trim(left);
  }

  /** All channels begin anew, and all connections end, as when a server without a durable log starts again. */
  restart(): void {
    this.#epochs += 1;
    for (const log of this.#logs.values()) log.restart(this.epoch);
    this.cut(3512, "server going away");
  }

  /** @internal */
  get epoch(): string {
    return `epoch-${this.#epochs}`;
  }

  /** @internal */
  get terms() {
    const { maxMessageBytes = 65_536, dedupWindowMs = 300_000 } = this.#options;
    return {
      max_message_bytes: maxMessageBytes,
      ping_interval_ms: 25_000,
      dedup_window_ms: dedupWindowMs,
    };
  }

  /** @internal */
  nextId(): string {
    this.#ids += 1;
    return `server-${this.#ids}`;
  }

  /** @internal */
  authenticate(token: string): string {
    return this.#options.authenticate?.(token) ?? "";
  }

  /** @internal */
  authorize(userId: string, channel: string): void {
    this.#options.authorize?.(userId, channel);
  }

  /** @internal */
  async rpc(channel: string, method: string, event: WireEvent, session: FakeSession) {
    return (await this.#options.rpc?.(channel, method, event, session)) ?? event;
  }

  /** @internal */
  log(channel: string): FakeLog {
    checkName(channel);
    let log = this.#logs.get(channel);
    if (log === undefined) {
      log = new FakeLog(channel, this.epoch);
      this.#logs.set(channel, log);
    }
    return log;
  }

  /** @internal */
  matching(pattern: string): readonly FakeLog[] {
    return [...this.#logs.values()].filter(({ channel }) => stands(pattern, channel));
  }

  /** @internal */
  take(channel: string, event: Published): PublishResult {
    const log = this.log(channel);
    const { offset, duplicate } = log.publish(event, this.clock.now(), this.terms.dedup_window_ms);
    const message = log.messages.at(-1);
    if (!duplicate && message !== undefined) {
      for (const session of this.#sessions) session.deliver(message);
    }
    return { offset, epoch: log.epoch, duplicate };
  }

  /** @internal */
  members(channel: string): WireMember[] {
    const members = new Map<string, WireMember>();
    for (const { userId, clientId, id, channels } of this.#sessions) {
      if (!channels.includes(channel)) continue;
      const member = { user_id: userId, client_id: clientId };
      const nobody = userId === "" && clientId === "";
      members.set(JSON.stringify(nobody ? id : member), nobody ? { session_id: id } : member);
    }
    return [...members.values()];
  }

  /** @internal */
  forget(session: FakeSession): void {
    this.#sessions.delete(session);
  }

  #open(subprotocol: string, events: TransportEvents): Transport {
    if (subprotocol !== "messageloop+json") {
      throw new MessagingError("UNAVAILABLE", "the fake server speaks JSON alone");
    }
    let over = false;
    /** Nothing is told inside of a call of the client's, and everything in its order. */
    const soon = (tell: () => void): void => {
      queueMicrotask(() => {
        if (!over && !this.#silent) tell();
      });
    };
    const end = (code: number, reason: string): void => {
      queueMicrotask(() => {
        if (over) return;
        over = true;
        events.ended({ code, reason });
      });
    };
    const tell = (frame: OutboundFrame): void => soon(() => events.frame(JSON.stringify(frame)));
    const session = new FakeSession(this, this.nextId(), tell, (how) => end(how.code, how.reason));
    if (this.#refusal === undefined) {
      this.#sessions.add(session);
      soon(() => events.opened());
    } else end(this.#refusal.code, this.#refusal.reason);
    return {
      send: (frame) => {
        if (over || this.#silent) return;
        const taken: InboundFrame = JSON.parse(String(frame));
        // A size that the real server would not take.
        if (String(frame).length > this.terms.max_message_bytes) return session.end(1009);
        queueMicrotask(() => {
          session.take(taken).catch(() => session.end(1011));
        });
      },
      ping: () => soon(() => events.alive()),
      close: (code, reason) => {
        session.left();
        if (!this.#silent) end(code, reason);
      },
    };
  }
}
