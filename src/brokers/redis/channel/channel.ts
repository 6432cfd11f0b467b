/** One channel as one node knows it in Redis: the calls of its scripts, and what its sessions need of it. */
import type { ChannelRules } from "../../../channels/rules.ts";
import { background, SharedCall } from "../../../engine/background.ts";
import type {
  HistoryFilter,
  HistoryPage,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
} from "../../../engine/ports/broker.ts";
import { repeated } from "../../../engine/ports/timers.ts";
import {
  PublishQueue,
  type QueuedBytes,
  type QueuedPublish,
} from "../../../engine/publishing/publish-queue.ts";
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_PRESENCE_MEMBERS,
} from "../../../protocol/limits.ts";
import { bodyBytes } from "../../../protocol/plain-protobuf/entry.ts";
import type { EpochPool } from "../epoch-pool.ts";
import type { RedisRetries } from "../outage/retries.ts";
import { type CallContext, patience, patiently, refused } from "../outage/retry.ts";
import { type RedisArgument, RedisFailure } from "../ports.ts";
import type { Place } from "../reply.ts";
import { CATCH_UP, HISTORY, OPEN, PUBLISH, REMOVE } from "../scripts/log.ts";
import { MEMBERS, PRESENCE } from "../scripts/presence.ts";
import type { Script } from "../scripts/script.ts";
import { type CursorHost, RedisCursor } from "./cursor.ts";
import type { CatchUp, Opened } from "./cursor-state.ts";
import { MemberSync, type PresenceCall } from "./member-sync.ts";

/**
 * The least that a channel is kept for after its last publish, in milliseconds: an unanswered publish
 * may be repeated for CHANNEL_TIMEOUT_MS, and its key has to be known then.
 */
const MIN_TTL_MS = 10_000;

/** What a channel needs from the broker around it. */
export interface ChannelHost extends CallContext {
  readonly epochs: EpochPool;
  readonly durable: boolean;
  readonly retries: RedisRetries;
  /** How long a channel is kept for a node that has subscribers or members there, in milliseconds. */
  readonly leaseMs: number;
  /** How often channels are looked at, in milliseconds. */
  readonly lookMs: number;
  readonly queued: QueuedBytes;
  readonly nextTurn: (callback: () => void) => void;
  ended(): boolean;
  node(): string;
  handler: CursorHost["handler"];
  flushSoon(channel: RedisChannel): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class RedisChannel {
  readonly name: string;
  readonly topic: string;
  /** Whether a session of this node is subscribed to it by itself, not only by a pattern. */
  subscribed = false;
  /** When something was last heard of it by a pattern alone, Unix milliseconds; 0 for never. */
  heardAt = 0;
  /** How often this node has left the channel: a subscribe that began before the last time is worth nothing. */
  left = 0;
  /** Nodes that have members here and are nowhere, and when that was found first, Unix milliseconds. */
  #missing = new Map<string, number>();
  /** Calls that are under way. */
  #calls = 0;
  readonly #host: ChannelHost;
  readonly #rules: ChannelRules;
  readonly #keys: readonly string[];
  readonly #queue: PublishQueue<QueuedPublish>;
  #opening = new SharedCall(() => this.#where());
  #cursor: RedisCursor | undefined;
  #memberSync: MemberSync | undefined;

  constructor(name: string, rules: ChannelRules, host: ChannelHost) {
    this.name = name;
    this.#host = host;
    this.#rules = rules;
    this.#keys = host.keys.channel(name);
    this.topic = host.keys.topic(name);
    this.#queue = new PublishQueue({
      publish: this.#publish.bind(this),
      turn: (first) => (first ? new Promise(host.nextTurn) : undefined),
      queued: host.queued,
      logger: host.troubles.logger,
    });
  }

  /** Made when it is needed: a channel that is only published to has no need of it. */
  get cursor(): RedisCursor {
    const host = this.#host;
    this.#cursor ??= new RedisCursor({
      channel: this.name,
      timers: host.timers,
      handler: host.handler,
      flushSoon: () => host.flushSoon(this),
      catchUp: (from, over) => this.#until("catching up", over, () => this.#catchUp(from)),
      presence: (over) => this.#until("presence", over, () => this.#members(MAX_PRESENCE_MEMBERS)),
      moved: () => this.#moved(),
      failed: (error) => host.troubles.note("catching up", error),
      warn: (message, fields) => host.warn(message, { channel: this.name, ...fields }),
    });
    return this.#cursor;
  }

  get memberSync(): MemberSync {
    this.#memberSync ??= new MemberSync({
      timers: this.#host.timers,
      logger: this.#host.troubles.logger,
      ended: this.#host.ended,
      tell: (call) => this.#tell(call),
      until: (over, call) => this.#until("telling who is present", over, call),
      answering: (yes) => this.#answering(yes),
    });
    return this.#memberSync;
  }

  /** Whether it has members of this node, or a grace to end. */
  get attended(): boolean {
    return this.#memberSync !== undefined && !this.#memberSync.idle;
  }

  /** The broker has ended. */
  end(): void {
    this.#memberSync?.end();
  }

  /** Whether there is nothing to remember of it. */
  get idle(): boolean {
    const listens = this.subscribed || this.heardAt > 0;
    return !listens && !this.attended && this.#calls === 0 && this.#queue.idle;
  }

  /** Bytes of publishes that can be added now. */
  get room(): number {
    return this.#queue.room;
  }

  publish({ key, body }: PublishCommand): Promise<PublishResult> {
    return this.#queue.push({ key, body: bodyBytes(body) });
  }

  /** Keeps the channel in the node's memory while something is done with it. */
  async busy<T>(work: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    try {
      return await work();
    } finally {
      this.#calls -= 1;
    }
  }

  /** The node has left the channel. */
  wasLeft(): void {
    this.subscribed = false;
    this.left += 1;
    // A subscribe after this does not share a question that was asked before it.
    this.#opening = new SharedCall(() => this.#where());
  }

  /** Asks where the channel is, and keeps it alive. @throws RedisFailure */
  async open(): Promise<Opened> {
    return await this.#opening.ask();
  }

  async #where(): Promise<Opened> {
    const answer = await this.#open()();
    const { first, reason } = answer;
    return { ...openedOf(answer), held: { first, reason } };
  }

  /**
   * The same, and looks whether all nodes that have members here are there. One that is nowhere may have
   * come back with an old snapshot, or have gone before Redis had its name: no other would see to it.
   *
   * @throws RedisFailure
   */
  async look(): Promise<Opened> {
    return await this.busy(async () => {
      const answer = await this.#open()();
      await this.#seek(answer.nodes);
      // Redis knows a session of this node that is not here any more.
      if (answer.nodes.includes(this.#host.node()) && !this.attended)
        this.#aside(this.memberSync.rejoin());
      else this.#memberSync?.nudge();
      return openedOf(answer);
    });
  }

  /** Looks for nodes, and sees to the members of those that are gone. */
  async #seek(nodes: readonly string[]): Promise<void> {
    const { clock, commands, keys, lookMs } = this.#host;
    const missing = new Map<string, number>();
    for (const node of nodes) {
      const known = await commands.command(keys.alive, ["ZSCORE", keys.alive, node]);
      if (known === null) missing.set(node, this.#missing.get(node) ?? clock.now());
    }
    this.#missing = missing;
    for (const [node, since] of missing) {
      // A node that is here says so between two looks, of which several may come at the same time.
      if (Math.abs(clock.now() - since) < 0.9 * lookMs) continue;
      missing.delete(node);
      this.#aside(this.memberSync.takeOver(node));
    }
  }

  #aside(work: Promise<unknown>): void {
    background(work, this.#host.troubles.logger, "telling who is present");
  }

  async #moved(): Promise<void> {
    if (!this.#memberSync?.occupied) return;
    try {
      await this.#memberSync.rejoin();
    } catch (error) {
      this.#host.troubles.note("telling who is present", error);
    }
  }

  #open() {
    const { historySize, historyTtlMs } = this.#rules;
    return this.#call(OPEN, this.#lease, [`${historySize}`, `${historyTtlMs}`]);
  }

  async history({ since, limit, reverse, maxBytes }: HistoryFilter): Promise<HistoryPage> {
    const { historySize, historyTtlMs } = this.#rules;
    const entries = limit < 0 ? MAX_BATCH_ENTRIES : Math.min(limit, MAX_BATCH_ENTRIES);
    const terms = [
      historySize,
      historyTtlMs,
      since?.epoch ?? "",
      since?.offset ?? "",
      entries,
      maxBytes ?? MAX_BATCH_BYTES,
      reverse ? 1 : 0,
    ];
    const { epoch, head, ...page } = await this.#ask(HISTORY, terms.map(String));
    return { position: { epoch, offset: head }, ...page };
  }

  async removeHistory(): Promise<void> {
    await this.#ask(REMOVE, []);
  }

  async presence(limit: number): Promise<PresenceSnapshot> {
    return await this.#patiently(() => this.#members(limit));
  }

  /** @throws MessagingError UNAVAILABLE */
  async #ask<A extends OfEpoch>(script: Script<A>, terms: readonly RedisArgument[]): Promise<A> {
    return await this.#patiently(this.#call(script, this.#ttl, terms));
  }

  async #patiently<T>(call: () => Promise<T>): Promise<T> {
    return await this.busy(() => patiently(this.#host, call));
  }

  /** @throws MessagingError UNAVAILABLE */
  async #publish(items: readonly QueuedPublish[]): Promise<readonly PublishResult[]> {
    const host = this.#host;
    const { historySize, dedupSize, dedupWindowMs } = this.#rules;
    const terms = [
      `${historySize}`,
      `${dedupSize}`,
      `${dedupWindowMs}`,
      ...items.flatMap(({ key, body }) => [key, body]),
    ];
    const call = this.#call(PUBLISH, this.#ttl, terms);
    const { epoch, places } = await repeated(call, patience(host));
    if (places.length !== items.length) {
      throw refused(host, new RedisFailure("garbled", "Redis did not answer each publish"));
    }
    return places.map(({ offset, duplicateOf }) => ({
      position: { epoch: duplicateOf ?? epoch, offset },
      duplicate: duplicateOf !== undefined,
    }));
  }

  async #catchUp(from: Place): Promise<CatchUp> {
    const { historySize } = this.#rules;
    const terms = [historySize, MAX_BATCH_ENTRIES, MAX_BATCH_BYTES].map(String);
    const answer = await this.#call(CATCH_UP, this.#lease, terms, from)();
    const { reason = "unavailable", tail, entries } = answer;
    return { ...openedOf(answer), reason, tail, entries };
  }

  async #members(limit: number): Promise<PresenceSnapshot> {
    const { presence, ...found } = await this.#call(MEMBERS, this.#ttl, [`${limit}`])();
    return { generation: presence, ...found };
  }

  async #tell({ lost, complete, changes }: PresenceCall): Promise<number> {
    const { presenceGraceMs } = this.#rules;
    const terms = [`${presenceGraceMs}`, this.#host.node(), lost, complete ? "1" : "0"];
    const { wait } = await this.#call(PRESENCE, this.#lease, [...terms, ...changes])();
    return wait;
  }

  async #answering(yes: boolean): Promise<void> {
    const { commands, keys, node, troubles } = this.#host;
    const list = keys.channelsOf(node());
    if (yes) {
      await commands.command(keys.alive, ["SADD", list, this.name]);
      return;
    }
    // A name too many in the list costs a look when the node is lost, and nothing else.
    await commands
      .command(keys.alive, ["SREM", list, this.name])
      .catch((error: unknown) => troubles.note("leaving a channel", error));
  }

  /** Answers undefined once nobody cares. */
  async #until<T>(
    what: string,
    over: () => boolean,
    call: () => Promise<T>,
  ): Promise<T | undefined> {
    const { ended, retries } = this.#host;
    return await retries.until(what, () => over() || ended(), call);
  }

  /**
   * One try at a script. Its arguments are those of all scripts, and then its own. The try rejects with
   * a RedisFailure.
   *
   * @param from where the node is; by default where its cursor is by then
   */
  #call<A extends OfEpoch>(
    script: Script<A>,
    ttl: number,
    terms: readonly RedisArgument[],
    from?: Place,
  ): () => Promise<A> {
    const { commands, durable, epochs } = this.#host;
    return async () => {
      const epoch = epochs.take();
      const seen = from ?? this.#cursor?.log;
      const reply = await commands.run(script, this.#keys, [
        epoch,
        durable ? "1" : "0",
        seen?.epoch ?? "",
        `${seen?.generation ?? 0}`,
        `${seen?.offset ?? 0}`,
        `${ttl}`,
        this.topic,
        ...terms,
      ]);
      const answer = script.read(reply);
      if (answer.epoch !== epoch) epochs.giveBack(epoch);
      return answer;
    };
  }

  get #ttl(): number {
    return Math.max(this.#rules.positionTtlMs, this.#rules.historyTtlMs, MIN_TTL_MS);
  }

  get #lease(): number {
    return Math.max(this.#ttl, this.#host.leaseMs);
  }
}

/** What every script of a channel answers. */
interface OfEpoch {
  readonly epoch: string;
}

function openedOf(
  answer: Pick<ReturnType<typeof OPEN.read>, "epoch" | "generation" | "head" | "presence">,
): Opened {
  const { epoch, generation, head, presence } = answer;
  return { place: { epoch, generation, offset: head }, presence };
}
