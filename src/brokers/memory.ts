/**
 * The broker of a single process: one log per channel in memory. What is published in one turn of the
 * event loop is delivered as one batch in the next.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { ChannelLog, DEFAULT_LOG_RULES, type LogRules } from "../channels/log.ts";
import { MemoryLogStore } from "../channels/memory-store.ts";
import type {
  Broker,
  BrokerHandler,
  Clock,
  Position,
  PublishCommand,
  PublishResult,
} from "../engine/ports.ts";
import {
  type Entry,
  EntryBodySchema,
  EntrySchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  /** Names the life of a log. */
  readonly random: { epoch(): string };
  /** Calls back in the next turn of the event loop. */
  readonly nextTurn: (callback: () => void) => void;
  readonly rules?: LogRules;
}

export class MemoryBroker implements Broker {
  readonly #options: MemoryBrokerOptions;
  readonly #rules: LogRules;
  readonly #channels = new Map<string, Channel>();
  /** Channels with entries that wait for the next turn. */
  readonly #waiting = new Set<Channel>();
  #handler: BrokerHandler | undefined;

  constructor(options: MemoryBrokerOptions) {
    this.#options = options;
    this.#rules = options.rules ?? DEFAULT_LOG_RULES;
  }

  /** Channels that have a log. */
  get size(): number {
    return this.#channels.size;
  }

  /** Channels whose entries have not been delivered yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  start(handler: BrokerHandler): void {
    this.#handler = handler;
  }

  async subscribe(name: string): Promise<Position> {
    const channel = this.#channel(name);
    channel.wanted = true;
    return { epoch: channel.log.epoch, offset: channel.log.head };
  }

  unsubscribe(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    channel.wanted = false;
    channel.touched = this.#options.clock.now();
  }

  async publish(name: string, { key, body }: PublishCommand): Promise<PublishResult> {
    const channel = this.#channel(name);
    const { log } = channel;
    const { offset, time, duplicate } = log.append(key, toBinary(EntryBodySchema, body));
    channel.touched = time;
    if (!duplicate) {
      channel.entries.push(
        create(EntrySchema, { offset: BigInt(offset), time: BigInt(time), body }),
      );
      if (this.#waiting.size === 0) this.#options.nextTurn(() => this.flush());
      this.#waiting.add(channel);
    }
    return { position: { epoch: log.epoch, offset }, duplicate };
  }

  /** A channel answers at once: nothing is gained by remembering what was seen. */
  seen(): undefined {
    return undefined;
  }

  /** Delivers what waits for the next turn now. */
  flush(): void {
    const channels = [...this.#waiting];
    this.#waiting.clear();
    for (const channel of channels) {
      const { entries } = channel;
      channel.entries = [];
      this.#handler?.publications(channel.name, channel.log.epoch, entries);
    }
  }

  /** Forgets channels that nobody wants and whose history has run out. */
  sweep(): void {
    const before = this.#options.clock.now() - this.#rules.historyTtlMs;
    for (const [name, channel] of this.#channels) {
      const idle = !channel.wanted && channel.entries.length === 0;
      if (idle && channel.touched <= before) this.#channels.delete(name);
    }
  }

  #channel(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      const { clock, random } = this.#options;
      channel = {
        name,
        log: new ChannelLog(new MemoryLogStore(), clock, random, this.#rules),
        entries: [],
        wanted: false,
        touched: clock.now(),
      };
      this.#channels.set(name, channel);
    }
    return channel;
  }
}

interface Channel {
  readonly name: string;
  readonly log: ChannelLog;
  /** Appended and not delivered yet. */
  entries: Entry[];
  /** Whether a session of this node wants it. */
  wanted: boolean;
  /** When it was last published to or left, Unix milliseconds. */
  touched: number;
}
