/**
 * The coordinator of one node: sessions, hub and broker. Hosts create sessions through it and give
 * it what the broker delivers; it never touches a socket or a database.
 */
import type { Encoding } from "../protocol/codec.ts";
import type { Entry, SessionRecord } from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  CONNECT_DEADLINE_MS,
  IDLE_TIMEOUT_MS,
  MAX_ERRORS,
  MAX_IN_FLIGHT_RPCS,
  MAX_MESSAGE_BYTES,
  MAX_SUBSCRIPTIONS,
  PING_INTERVAL_MS,
  RPC_TIMEOUT_MS,
} from "../protocol/limits.ts";
import { PublicationBatch } from "../protocol/publication-frames.ts";
import { Hub } from "./hub.ts";
import type {
  Broker,
  BrokerHandler,
  Clock,
  Logger,
  Proxy as ProxyPort,
  Random,
  Timers,
  Transport,
} from "./ports.ts";
import { Session } from "./session.ts";

export interface EngineOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers: Timers;
  /** The application's backends. Default none. */
  readonly proxy?: ProxyPort;
  /** How long a backend may take to answer an RPC, in milliseconds. Default 30 s. */
  readonly rpcTimeoutMs?: number;
  /** RPCs of one session that may be waiting for their answer. Default 32. */
  readonly maxInFlightRpcs?: number;
  /** Largest inbound frame in bytes. Default 64 KiB. */
  readonly maxMessageBytes?: number;
  /** How often clients should send the text frame `ping`, in milliseconds. Default 25 s. */
  readonly pingIntervalMs?: number;
  /** How long a connection may take to send connect, in milliseconds. Default 10 s. */
  readonly connectDeadlineMs?: number;
  /** How long a client may be silent, in milliseconds. Default 300 s. */
  readonly idleTimeoutMs?: number;
  /** Channels one session may be subscribed to. Default 1,000. */
  readonly maxSubscriptions?: number;
  /** Requests of one session that may fail within a minute. Default 100. */
  readonly maxErrors?: number;
}

/** When sessions have to be looked at again, in Unix milliseconds. */
export interface NextExpiry {
  /** The earliest end of a connection that has not sent connect; undefined when there is none. */
  readonly connect: number | undefined;
  /** The earliest possible end of a silent session; undefined when there is none. */
  readonly idle: number | undefined;
}

export class Engine implements BrokerHandler {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers: Timers;
  readonly proxy: ProxyPort;
  readonly rpcTimeoutMs: number;
  readonly maxInFlightRpcs: number;
  readonly hub = new Hub();
  readonly maxMessageBytes: number;
  readonly pingIntervalMs: number;
  readonly connectDeadlineMs: number;
  readonly idleTimeoutMs: number;
  readonly maxSubscriptions: number;
  readonly maxErrors: number;
  readonly #sessions = new Map<string, Session>();

  constructor(options: EngineOptions) {
    this.broker = options.broker;
    this.clock = options.clock;
    this.random = options.random;
    this.logger = options.logger;
    this.timers = options.timers;
    this.proxy = options.proxy ?? {};
    this.rpcTimeoutMs = options.rpcTimeoutMs ?? RPC_TIMEOUT_MS;
    this.maxInFlightRpcs = options.maxInFlightRpcs ?? MAX_IN_FLIGHT_RPCS;
    this.maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
    this.pingIntervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
    this.connectDeadlineMs = options.connectDeadlineMs ?? CONNECT_DEADLINE_MS;
    this.idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    this.maxSubscriptions = options.maxSubscriptions ?? MAX_SUBSCRIPTIONS;
    this.maxErrors = options.maxErrors ?? MAX_ERRORS;
    this.broker.start(this);
  }

  /** Number of sessions, connected or not yet. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** A session for a fresh connection. Its id is public and proves nothing. */
  accept(transport: Transport, id: string, encoding: Encoding): Session {
    return this.#register(new Session(this, transport, id, encoding));
  }

  /** A session as it was before the host slept: its subscriptions are live again, nothing is sent. */
  restore(transport: Transport, record: SessionRecord): Session {
    return this.#register(Session.restore(this, transport, record));
  }

  /** The session with this id on this node, if there is one. */
  session(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Called by a session that has ended. */
  forget(session: Session): void {
    this.#sessions.delete(session.id);
  }

  /**
   * Closes connections that did not connect in time and sessions that fell silent. Hosts call it
   * when the time comes that it returned; there is no timer per connection.
   */
  expire(): NextExpiry {
    const now = this.clock.now();
    for (const session of [...this.#sessions.values()]) session.expire(now);
    let connect: number | undefined;
    let idle: number | undefined;
    for (const { connected, expiry } of this.#sessions.values()) {
      if (connected) idle = Math.min(idle ?? expiry, expiry);
      else connect = Math.min(connect ?? expiry, expiry);
    }
    return { connect, idle };
  }

  publications(channel: string, epoch: string, entries: readonly Entry[]): void {
    if (entries.length === 0 || !this.hub.has(channel)) return;
    this.hub.broadcast(
      new PublicationBatch(channel, epoch, entries, {
        id: () => this.random.uuid(),
        now: () => this.clock.now(),
      }),
    );
  }

  #register(session: Session): Session {
    this.#sessions.set(session.id, session);
    return session;
  }
}
