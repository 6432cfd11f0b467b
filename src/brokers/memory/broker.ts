/**
 * The broker of a single process: one log per channel in memory. What is published in one turn of the
 * event loop is delivered as one batch in the next.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import { ChannelLog } from "../../channels/log.ts";
import { MemoryLogStore } from "../../channels/memory-store.ts";
import { PatternMap } from "../../channels/pattern-map.ts";
import { matcherOf } from "../../channels/patterns.ts";
import {
  ChannelPresence,
  FORGETFUL_STORE,
  type MemberSession,
  type PresenceChange,
} from "../../channels/presence.ts";
import { type ChannelRules, RuleBook } from "../../channels/rules.ts";
import type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  HistoryFilter,
  HistoryPage,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "../../engine/ports/broker.ts";
import type { ListedChannel } from "../../engine/ports/directory.ts";
import type { Clock, Timers } from "../../engine/ports/platform.ts";
import { rateLimited } from "../../protocol/errors.ts";
import {
  type Entry,
  EntryBodySchema,
  EntrySchema,
  type Transient,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_CHANNELS,
  MAX_PATTERN_LOOKS,
  MAX_RETAINED_BYTES,
} from "../../protocol/limits.ts";
import { bodyBytes } from "../../protocol/plain-protobuf/entry.ts";
import { MemoryDirectory } from "./directory.ts";
import { type Recent, RecentChannels } from "./recent-channels.ts";
import { MemoryRevocations } from "./revocations.ts";
import { Sweeper } from "./sweeper.ts";

/** The only node there is. */
const NODE = "";
/** Channels that do not exist, and of which it is remembered which epoch was promised. */
const MAX_PROMISED = 4_096;
/** How long a client should wait when there are too many channels, in milliseconds. */
const FULL_RETRY_MS = 30_000;

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  /** Names the life of a log. */
  readonly random: { epoch(): string };
  /** Calls back in the next turn of the event loop. */
  readonly nextTurn: (callback: () => void) => void;
  readonly timers: Timers;
  /** What channels keep and offer. Default: the default rules for all. */
  readonly rules?: RuleBook;
  /** Channels that there may be; one more is RATE_LIMITED. Default 200,000. */
  readonly maxChannels?: number;
  /**
   * Bytes of messages that all channels keep together; of more, the oldest of the channels that were
   * published to the longest time ago are let go. Default 512 MiB.
   */
  readonly maxRetainedBytes?: number;
}

/**
 * A broker of one process: logs, presence and the directory are in memory, and end with it.
 *
 * @example
 * const broker = new MemoryBroker({
 *   clock: { now: () => Date.now() },
 *   random: { epoch: () => crypto.randomUUID() },
 *   nextTurn: (callback) => void setImmediate(callback),
 *   timers: {
 *     after: (ms, callback) => {
 *       const timer = setTimeout(callback, ms).unref();
 *       return () => clearTimeout(timer);
 *     },
 *   },
 * });
 * const server = createServer({ broker });
 */
export class MemoryBroker implements Broker {
  readonly directory: MemoryDirectory;
  readonly revocations: MemoryRevocations;
  readonly #options: MemoryBrokerOptions;
  readonly #rules: RuleBook;
  readonly #channels = new Map<string, Channel>();
  /** Channels with something that waits for the next turn. */
  readonly #waiting = new Set<Channel>();
  /** Messages outside of the logs that wait for it, by channel. */
  readonly #transients = new Map<string, Transient[]>();
  readonly #recent = new RecentChannels<Channel>();
  /** The patterns of this node. Whatever is published is handed over: they are looked at only where a position is asked for. */
  readonly #patterns = new PatternMap<true>();
  /** Names the life of the broker, where somebody asked: all channels of another one are forgotten. */
  #life: string | undefined;
  /** Never goes back: what was published after a time has no earlier one. */
  readonly #clock: Clock;
  /** When the last channel that is forgotten was published to, Unix milliseconds. */
  #forgotten = 0;
  #handler: BrokerHandler | undefined;
  readonly #maxChannels: number;
  readonly #maxRetainedBytes: number;
  /** Bytes of messages that all channels keep. */
  #retained = 0;
  /** Epochs of channels that were asked for and do not exist yet, so that they begin in the epoch that was promised. */
  readonly #promised = new Map<string, string>();
  readonly #sweeper: Sweeper<Channel>;

  constructor(options: MemoryBrokerOptions) {
    this.#options = options;
    this.#maxChannels = options.maxChannels ?? MAX_CHANNELS;
    this.#maxRetainedBytes = options.maxRetainedBytes ?? MAX_RETAINED_BYTES;
    this.directory = new MemoryDirectory({
      channels: () => this.#listed(),
      now: options.clock.now,
      nextTurn: options.nextTurn,
    });
    this.revocations = new MemoryRevocations(() => options.clock.now());
    this.#sweeper = new Sweeper({
      things: this.#channels,
      timers: options.timers,
      look: (channel) => this.#look(channel),
    });
    this.#rules = options.rules ?? new RuleBook();
    let last = 0;
    this.#clock = {
      now: () => {
        last = Math.max(last, options.clock.now());
        return last;
      },
    };
  }

  /** Channels that have a log. */
  get size(): number {
    return this.#channels.size;
  }

  /** Bytes of messages that all channels keep, with what each takes beside its body. */
  get retainedBytes(): number {
    return this.#retained;
  }

  /** Channels whose entries have not been delivered yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  start(handler: BrokerHandler): void {
    this.#handler = handler;
  }

  async subscribe(name: string): Promise<SubscribeResult> {
    const channel = this.#channel(name);
    channel.wanted = true;
    const { log, presence } = channel;
    const { first, reason } = log.retained();
    const held = { first, reason };
    return { position: positionOf(channel), generation: presence?.generation ?? 0, held };
  }

  unsubscribe(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    channel.wanted = false;
    channel.touched = this.#options.clock.now();
  }

  async subscribePattern(pattern: string): Promise<PatternSubscribeResult> {
    this.#patterns.set(pattern, true);
    this.#life ??= this.#options.random.epoch();
    return { position: { epoch: this.#life, offset: this.#clock.now() } };
  }

  unsubscribePattern(pattern: string): void {
    this.#patterns.delete(pattern);
  }

  async activeChannels(pattern: string, since: Position, limit: number): Promise<ActiveChannels> {
    const channels: string[] = [];
    const fits = matcherOf(pattern);
    let looked = 0;
    for (const { name } of this.#recent.since(since.offset)) {
      looked += 1;
      if (looked > MAX_PATTERN_LOOKS) return { channels, gap: "limit" };
      if (!fits(name)) continue;
      if (channels.length >= limit) return { channels, gap: "limit" };
      channels.push(name);
    }
    if (since.epoch !== this.#life) return { channels, gap: "epoch_changed" };
    return { channels, gap: this.#forgotten >= since.offset ? "expired" : undefined };
  }

  async publish(name: string, { key, body }: PublishCommand): Promise<PublishResult> {
    const channel = this.#channel(name);
    const { log } = channel;
    const { offset, time, duplicate } = this.#counted(channel, () =>
      log.append(key, bodyBytes(body)),
    );
    // An event that is published again is a publish of now, whenever its first one was.
    channel.touched = this.#options.clock.now();
    if (!duplicate) {
      channel.published = time;
      this.#recent.push(channel);
      channel.entries.push({
        $typeName: "messageloop.internal.v1.Entry",
        offset: BigInt(offset),
        time: BigInt(time),
        body,
      });
      this.#deliverSoon(channel);
      this.#makeRoom();
    }
    return { position: { epoch: log.epoch, offset }, duplicate };
  }

  async transmit(name: string, message: Transient): Promise<void> {
    const waiting = this.#transients.get(name);
    if (waiting !== undefined) {
      waiting.push(message);
      return;
    }
    this.#flushSoon();
    this.#transients.set(name, [message]);
  }

  async join(name: string, session: MemberSession): Promise<void> {
    const channel = this.#channel(name);
    const { clock } = this.#options;
    channel.presence ??= new ChannelPresence(FORGETFUL_STORE, clock, channel.rules.presenceGraceMs);
    this.#changed(channel, [channel.presence.join(NODE, session)]);
  }

  leave(name: string, sessionId: string, clean: boolean): void {
    const channel = this.#channels.get(name);
    if (channel?.presence === undefined) return;
    this.#changed(channel, [channel.presence.leave(sessionId, clean)]);
    this.#watch(channel);
  }

  async history(name: string, { since, limit, ...filter }: HistoryFilter): Promise<HistoryPage> {
    const log = this.#channels.get(name)?.log;
    if (log === undefined) {
      const position = { epoch: this.#promise(name), offset: 0 };
      return { position, first: 1, reason: undefined, entries: [], more: false };
    }
    const foreign = since !== undefined && since.epoch !== log.epoch;
    const { rows, first, reason, more } = log.page({
      since: since?.offset,
      limit: foreign ? 0 : limit < 0 ? MAX_BATCH_ENTRIES : Math.min(limit, MAX_BATCH_ENTRIES),
      maxBytes: MAX_BATCH_BYTES,
      ...filter,
    });
    const position = { epoch: log.epoch, offset: log.head };
    const entries = rows.map(({ offset, time, body }) =>
      create(EntrySchema, {
        offset: BigInt(offset),
        time: BigInt(time),
        body: fromBinary(EntryBodySchema, body),
      }),
    );
    return { position, first, reason, entries, more: more && !foreign };
  }

  async removeHistory(name: string): Promise<void> {
    const channel = this.#channels.get(name);
    if (channel !== undefined) this.#counted(channel, () => channel.log.removeHistory());
  }

  async presence(name: string, limit: number): Promise<PresenceSnapshot> {
    const channel = this.#channels.get(name);
    const epoch = channel?.log.epoch ?? this.#promise(name);
    const nobody = { members: [], total: 0, generation: 0 };
    return { epoch, ...(channel?.presence?.snapshot(limit) ?? nobody) };
  }

  knows(name: string): boolean {
    return this.#channels.has(name);
  }

  /** What waits for the next turn has not been handed over. */
  position(name: string): Position | undefined {
    const channel = this.#channels.get(name);
    if (channel === undefined) return undefined;
    if (!channel.wanted && this.#patterns.match(name).length === 0) return undefined;
    const { epoch, head } = channel.log;
    return { epoch, offset: head - channel.entries.length };
  }

  /** Delivers what waits for the next turn now. */
  flush(): void {
    const channels = [...this.#waiting];
    this.#waiting.clear();
    for (const channel of channels) {
      const { name, log, entries, changes } = channel;
      channel.entries = [];
      channel.changes = undefined;
      if (changes !== undefined) this.#handler?.presence(name, log.epoch, changes);
      if (entries.length > 0) this.#handler?.publications(name, log.epoch, entries);
    }
    const transients = [...this.#transients];
    this.#transients.clear();
    for (const [name, messages] of transients) this.#handler?.transients(name, messages);
  }

  /**
   * Forgets channels that nobody wants and whose position has run out, and entries that have grown old. One
   * call looks at a thousand channels; the broker calls it by itself, so that nobody else has to.
   */
  sweep(): void {
    this.#sweeper.sweep();
    this.revocations.sweep();
  }

  /** Those that are over may not have been forgotten yet. */
  *#listed(): Iterable<ListedChannel> {
    for (const channel of this.#channels.values()) {
      if (this.#over(channel)) continue;
      const members = channel.presence?.size ?? 0;
      yield { channel: channel.name, members, head: positionOf(channel) };
    }
  }

  /** Whether nobody wants the channel and its position has run out. */
  #over({ wanted, presence, touched, rules }: Channel): boolean {
    if (wanted || presence?.size) return false;
    return touched <= this.#options.clock.now() - rules.positionTtlMs;
  }

  /** Returns whether the channel is forgotten. */
  #look(channel: Channel): boolean {
    if (channel.entries.length > 0 || !this.#over(channel)) {
      this.#counted(channel, () => channel.log.trim());
      return false;
    }
    this.#forgotten = Math.max(this.#forgotten, channel.published);
    this.#retained -= channel.store.bytes;
    this.#recent.delete(channel);
    this.#channels.delete(channel.name);
    return true;
  }

  /** Does something to a channel's log, and counts what it keeps more or less afterwards. */
  #counted<T>({ store }: Channel, change: () => T): T {
    const before = store.bytes;
    const result = change();
    this.#retained += store.bytes - before;
    return result;
  }

  /** Lets messages go until all that is kept is within its bound. */
  #makeRoom(): void {
    while (this.#retained > this.#maxRetainedBytes) {
      const channel = this.#recent.giver;
      if (channel === undefined) return;
      this.#counted(channel, () => channel.log.shed(this.#retained - this.#maxRetainedBytes));
      if (this.#retained > this.#maxRetainedBytes) this.#recent.gaveAll();
    }
  }

  /** The epoch that a channel will begin in, where it begins soon. */
  #promise(name: string): string {
    let epoch = this.#promised.get(name);
    if (epoch === undefined) {
      epoch = this.#options.random.epoch();
      if (this.#promised.size >= MAX_PROMISED) {
        for (const [oldest] of this.#promised) {
          this.#promised.delete(oldest);
          break;
        }
      }
      this.#promised.set(name, epoch);
    }
    return epoch;
  }

  #deliverSoon(channel: Channel): void {
    this.#flushSoon();
    this.#waiting.add(channel);
  }

  /** Called before anything is added to what waits. */
  #flushSoon(): void {
    if (this.#waiting.size + this.#transients.size > 0) return;
    this.#options.nextTurn(() => this.flush());
  }

  /** Tells the node of changes in the next turn, with what else has happened to the channel. */
  #changed(channel: Channel, changes: readonly (PresenceChange | undefined)[]): void {
    const real = changes.filter((change) => change !== undefined);
    if (real.length === 0) return;
    channel.changes ??= [];
    channel.changes.push(...real);
    this.#deliverSoon(channel);
  }

  /** Sees to it that dropped sessions are gone when their grace is over. */
  #watch(channel: Channel): void {
    const at = channel.presence?.nextExpiry;
    if (at === undefined || channel.watched) return;
    channel.watched = true;
    this.#options.timers.after(Math.max(at - this.#options.clock.now(), 1), () => {
      channel.watched = false;
      this.#changed(channel, channel.presence?.expire() ?? []);
      this.#watch(channel);
    });
  }

  #channel(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      if (this.#channels.size >= this.#maxChannels) {
        throw rateLimited("there are as many channels as there may be", FULL_RETRY_MS);
      }
      const { clock } = this.#options;
      const rules = this.#rules.of(name);
      const store = new MemoryLogStore();
      const epoch = this.#promise(name);
      this.#promised.delete(name);
      channel = {
        name,
        rules,
        store,
        log: new ChannelLog(store, this.#clock, { epoch: () => epoch }, rules),
        presence: undefined,
        entries: [],
        changes: undefined,
        wanted: false,
        watched: false,
        touched: clock.now(),
        published: 0,
        older: undefined,
        newer: undefined,
      };
      this.#channels.set(name, channel);
      this.#sweeper.start();
    }
    return channel;
  }
}

function positionOf({ log }: Channel): Position {
  return { epoch: log.epoch, offset: log.head };
}

interface Channel extends Recent<Channel> {
  readonly name: string;
  readonly rules: ChannelRules;
  readonly store: MemoryLogStore;
  readonly log: ChannelLog;
  /** Made for its first member. */
  presence: ChannelPresence | undefined;
  /** Appended and not delivered yet. */
  entries: Entry[];
  /** Presence changes that are not delivered yet. */
  changes: PresenceChange[] | undefined;
  /** Whether a session of this node wants it. */
  wanted: boolean;
  /** Whether a timer waits for the end of a grace. */
  watched: boolean;
  /** When it was last published to or left, Unix milliseconds. */
  touched: number;
  published: number;
}
