/**
 * The coordinator of one node: sessions, hub and broker. Hosts create sessions through it and give
 * it what the broker delivers; it never touches a socket or a database.
 */
import type { Encoding } from "../protocol/codec.ts";
import type { Entry, SessionRecord } from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_MESSAGE_BYTES, PING_INTERVAL_MS } from "../protocol/limits.ts";
import { PublicationBatch } from "../protocol/publication-frames.ts";
import { Hub } from "./hub.ts";
import type { Broker, BrokerHandler, Clock, Logger, Random, Transport } from "./ports.ts";
import { Session } from "./session.ts";

export interface EngineOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Largest inbound frame in bytes. Default 64 KiB. */
  readonly maxMessageBytes?: number;
  /** How often clients should send the text frame `ping`, in milliseconds. Default 25 s. */
  readonly pingIntervalMs?: number;
}

export class Engine implements BrokerHandler {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hub = new Hub();
  readonly maxMessageBytes: number;
  readonly pingIntervalMs: number;
  readonly #sessions = new Map<string, Session>();

  constructor(options: EngineOptions) {
    this.broker = options.broker;
    this.clock = options.clock;
    this.random = options.random;
    this.logger = options.logger;
    this.maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
    this.pingIntervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
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
