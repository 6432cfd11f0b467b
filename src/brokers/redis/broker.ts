/**
 * The broker of many processes: the logs of all channels are in Redis, and what happens to a channel is
 * sent to the nodes that listen to it. The stream is the truth and Pub/Sub a wake-up that carries the
 * entry: what does not go on where a node is, it reads from the stream.
 */
import { matcherOf } from "../../channels/patterns.ts";
import type { MemberSession } from "../../channels/presence.ts";
import { RecentIds } from "../../channels/recent-ids.ts";
import { RuleBook } from "../../channels/rules.ts";
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
import type { Cluster } from "../../engine/ports/cluster.ts";
import type { LogFields } from "../../engine/ports/platform.ts";
import { unavailable } from "../../protocol/errors.ts";
import type { Transient } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_PATTERN_LOOKS, MAX_QUEUED_BYTES } from "../../protocol/limits.ts";
import { type ChannelHost, RedisChannel } from "./channel/channel.ts";
import { ChannelActivity } from "./channel-activity.ts";
import { RedisDirectory } from "./directory/directory.ts";
import { RedisRevocations } from "./directory/revocations.ts";
import { EpochPool } from "./epoch-pool.ts";
import { RedisKeys } from "./keys.ts";
import { RedisOutbox } from "./lifecycle/outbox.ts";
import { NodeCalls } from "./node-calls.ts";
import { BEAT_MS, RedisNodes } from "./nodes.ts";
import type { RedisBrokerOptions } from "./options.ts";
import { RedisHealth } from "./outage/health.ts";
import { RedisLink } from "./outage/link.ts";
import { Reception } from "./outage/reception.ts";
import { RedisRetries } from "./outage/retries.ts";
import { patiently } from "./outage/retry.ts";
import { Troubles } from "./outage/troubles.ts";
import { RedisPatterns } from "./patterns.ts";
import { type RedisConnection, RedisFailure } from "./ports.ts";
import { isTransient, noticeOf, transientNotice, transientOf } from "./reply.ts";
import { chunks, TopicSubscriptions } from "./topic-subscriptions.ts";
import { Upkeep } from "./upkeep.ts";

/** How often channels are kept alive, and looked after for what was not heard, in milliseconds. */
const REFRESH_MS = 10_000;
/** How long a channel is kept alive by that, in refreshes. */
const REFRESHES_TO_LIVE = 3;
/** Messages outside of the logs whose ids are remembered: one comes by every name and glob that it fits. */
const KNOWN_TRANSIENTS = 4_096;
/** Bytes of publishes that may wait in one node. */
const MAX_WAITING_PUBLISH_BYTES = 64 * 1024 * 1024;

export class RedisBroker implements Broker {
  readonly directory: RedisDirectory | undefined;
  /** Where lifecycle events wait; undefined where none are kept. */
  readonly outbox: RedisOutbox | undefined;
  readonly revocations: RedisRevocations;
  readonly #options: RedisBrokerOptions;
  readonly #rules: RuleBook;
  readonly #keys: RedisKeys;
  readonly #host: ChannelHost;
  readonly #topics: TopicSubscriptions;
  readonly #nodes: RedisNodes;
  readonly #nodeCalls: NodeCalls;
  readonly #activity: ChannelActivity;
  readonly #patterns: RedisPatterns;
  readonly #globs: TopicSubscriptions;
  readonly #channels = new Map<string, RedisChannel>();
  /** Channels with something that waits for the next turn. */
  readonly #waiting = new Set<RedisChannel>();
  /** Messages outside of the logs that wait for it, by channel. */
  readonly #transients = new Map<string, Transient[]>();
  readonly #transmitted = new RecentIds(KNOWN_TRANSIENTS);
  readonly #link: RedisLink;
  readonly #troubles: Troubles;
  readonly #retries: RedisRetries;
  readonly #health: RedisHealth;
  readonly #reception: Reception;
  readonly #upkeep: Upkeep;
  #handler: BrokerHandler | undefined;
  /** What was last said to `onReady`. */
  #told = false;
  #stray = 0;
  #connected = false;
  #ended = false;

  constructor(options: RedisBrokerOptions) {
    const { clock, durable, logger, nextTurn, node, prefix, random, timers } = options;
    this.#options = options;
    this.#rules = options.rules ?? new RuleBook();
    const refreshMs = options.refreshMs ?? REFRESH_MS;
    this.#keys = new RedisKeys(prefix);
    this.#link = new RedisLink({
      clock,
      failed: (cause) => this.#health.failed(cause),
      back: () => this.#retries.hurry(),
    });
    this.#topics = new TopicSubscriptions(this.#link.topics, nextTurn);
    this.#globs = new TopicSubscriptions(this.#link.globs, nextTurn);
    this.#troubles = new Troubles(clock, logger);
    this.#retries = new RedisRetries(timers, this.#troubles);
    this.#health = new RedisHealth({
      timers,
      logger: this.#troubles.logger,
      nextTurn,
      probe: () => this.#link.ping(this.#keys.alive),
      changed: () => this.#judge(),
    });
    const shared = {
      clock,
      timers,
      nextTurn,
      node,
      durable,
      epochs: new EpochPool(random),
      rules: this.#rules,
      beatMs: options.beatMs ?? BEAT_MS,
      commands: this.#link,
      outage: this.#link.outage,
      keys: this.#keys,
      troubles: this.#troubles,
      retries: this.#retries,
      handler: () => this.#handler,
      ended: () => this.#ended,
      channel: (name: string) => this.#channel(name),
      channels: () => this.#channels.values(),
      others: () => this.#nodes.others(),
      changed: () => this.#judge(),
      warn: (message: string, fields: LogFields) => logger.warn(message, fields),
    };
    this.#nodes = new RedisNodes({
      ...shared,
      renamed: () => {
        this.#activity.doubt();
        this.directory?.doubt();
        this.revocations.doubt();
        return this.#rejoin();
      },
      takeOverProcess: async (process) => await this.outbox?.takeOver(process),
      takeOver: (channel, lost) => this.#channel(channel).memberSync.takeOver(lost),
    });
    this.#nodeCalls = new NodeCalls({
      ...shared,
      signer: options.signer,
      topicOf: (name) => this.#keys.mailbox(name),
      now: () => this.#nodes.time,
    });
    this.#activity = new ChannelActivity(shared);
    const { lifecycle } = options;
    this.outbox =
      lifecycle === undefined ? undefined : new RedisOutbox({ ...shared, terms: lifecycle });
    this.directory = options.keepsDirectory === true ? new RedisDirectory(shared) : undefined;
    this.revocations = new RedisRevocations(shared);
    this.#patterns = new RedisPatterns({
      ...shared,
      activity: this.#activity,
      subscriptions: this.#globs,
      look: (channel) => this.#upkeep.look(channel),
      forget: (channel) => this.#forget(channel),
    });
    this.#reception = new Reception({
      ...shared,
      topics: this.#topics,
      globs: this.#globs,
      patterns: this.#patterns,
      mailbox: this.#nodeCalls.topic,
    });
    this.#upkeep = new Upkeep({
      ...shared,
      refreshMs,
      looked: (subscribed) => this.#looked(subscribed),
    });
    this.#host = {
      ...shared,
      leaseMs: REFRESHES_TO_LIVE * refreshMs,
      lookMs: refreshMs,
      queued: { most: MAX_WAITING_PUBLISH_BYTES, waiting: 0 },
      node: () => this.#nodes.name,
      flushSoon: (channel) => this.#flushSoon(channel),
    };
  }

  /** Whether Redis is there, and all that is published to this node's channels reaches it. */
  get ready(): boolean {
    return this.#reception.complete && this.#health.cause === undefined;
  }

  /** Messages in Pub/Sub on names of this deployment that are nothing of ours, since the start. */
  get stray(): number {
    return this.#stray;
  }

  /** Calls that wait until Redis is back. */
  get waiting(): number {
    return this.#retries.size;
  }

  /** The other nodes. */
  get cluster(): Cluster {
    return this.#nodeCalls;
  }

  /** Channels that are remembered. */
  get size(): number {
    return this.#channels.size;
  }

  /**
   * Says for the first time that the node is there, and listens. Comes before everything else.
   *
   * @throws RedisFailure where Redis is not there, or refuses
   */
  async connect(connection: RedisConnection): Promise<void> {
    const { logger, signer } = this.#options;
    if (signer === undefined) logger.warn("nodes without a secret do not call each other");
    this.#link.opened = connection;
    connection.subscriptions.start({
      message: (topic, payload) => this.#hear(topic, payload),
      lost: (cause) => this.#reception.lost(cause),
      regained: () => this.#reception.regain(),
    });
    // A node that hears of this one can call it.
    await this.#topics.listen(this.#nodeCalls.topic);
    this.#connected = true;
    await this.#nodes.start();
    this.directory?.start();
    this.outbox?.start();
    await this.revocations.begin();
    this.#reception.begun();
    this.#health.start();
    this.#upkeep.start();
  }

  start(handler: BrokerHandler): void {
    this.#handler = handler;
  }

  /** What this node leaves behind is seen to by the others. Never rejects. */
  async close(): Promise<void> {
    if (this.#connected) await this.outbox?.end();
    this.#ended = true;
    this.#upkeep.end();
    this.#health.end();
    this.#retries.end();
    this.#nodeCalls.end();
    this.directory?.end();
    this.revocations.end();
    for (const channel of this.#channels.values()) channel.end();
    if (!this.#connected) return;
    // Where Redis is away the others find out by themselves.
    await this.#nodes.end().catch((error: unknown) => this.#troubles.note("leaving Redis", error));
  }

  async subscribe(name: string): Promise<SubscribeResult> {
    const channel = this.#channel(name);
    const { left } = channel;
    channel.subscribed = true;
    return await channel.busy(async () => {
      const opened = await patiently(this.#host, async () => {
        const { round } = this.#topics;
        await this.#topics.listen(channel.topic);
        await this.#patterns.prepare(channel);
        const found = await channel.open();
        // A pattern may have been registered meanwhile.
        await this.#patterns.prepare(channel);
        // What was said between the two may have been lost with the connection.
        if (round !== this.#topics.round) {
          throw new RedisFailure("lost", "the connection was lost");
        }
        return found;
      });
      // The node may even have come back since: this answer is of the time before.
      if (channel.left !== left) throw unavailable("the channel was left");
      const position = await channel.cursor.opened(opened);
      this.directory?.touch(name);
      const isOfLog = position.epoch === opened.place.epoch;
      return { position, generation: opened.presence, held: isOfLog ? opened.held : undefined };
    });
  }

  unsubscribe(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    channel.wasLeft();
    if (this.#patterns.matches(name)) channel.heardAt = this.#host.clock.now();
    else channel.cursor.reset();
    this.#topics.forget(channel.topic);
    this.#forget(channel);
  }

  async subscribePattern(pattern: string): Promise<PatternSubscribeResult> {
    return await this.#patterns.subscribe(pattern);
  }

  unsubscribePattern(pattern: string): void {
    this.#patterns.unsubscribe(pattern);
  }

  async activeChannels(pattern: string, since: Position, limit: number): Promise<ActiveChannels> {
    const search = { fits: matcherOf(pattern), looks: MAX_PATTERN_LOOKS, limit };
    const { channels, gap } = await patiently(this.#host, () =>
      this.#activity.active(since, search),
    );
    return { channels, gap };
  }

  async publish(name: string, command: PublishCommand): Promise<PublishResult> {
    const listing = this.#activity.list(name);
    // Whatever becomes of the publish, this is waited for only with it.
    listing?.catch(() => {});
    const result = await this.#using(name, (channel) => channel.publish(command));
    await listing;
    this.directory?.touch(name);
    if (!result.duplicate) await this.#activity.published(name, result.position.epoch);
    return result;
  }

  async transmit(name: string, message: Transient): Promise<void> {
    const topic = this.#keys.topic(name);
    const { commands } = this.#host;
    const payload = transientNotice(message);
    // Sent twice it is still handed over once.
    await patiently(this.#host, () => commands.command(topic, ["PUBLISH", topic, payload]));
  }

  room(name: string): number {
    const { most, waiting } = this.#host.queued;
    return this.#channels.get(name)?.room ?? Math.min(MAX_QUEUED_BYTES, most - waiting);
  }

  async join(name: string, session: MemberSession): Promise<void> {
    const channel = this.#channel(name);
    const joined = channel.memberSync.join(session);
    await patiently({ ...this.#host, outage: { since: undefined } }, () => joined);
  }

  leave(name: string, sessionId: string, clean: boolean): void {
    const channel = this.#channel(name);
    channel.memberSync.leave(sessionId, clean);
    this.#forget(channel);
  }

  async history(name: string, filter: HistoryFilter): Promise<HistoryPage> {
    return await this.#using(name, (channel) => channel.history(filter));
  }

  async removeHistory(name: string): Promise<void> {
    await this.#using(name, (channel) => channel.removeHistory());
  }

  async presence(name: string, limit: number): Promise<PresenceSnapshot> {
    return await this.#using(name, (channel) => channel.presence(limit));
  }

  position(name: string): Position | undefined {
    const channel = this.#channels.get(name);
    if (channel === undefined) return undefined;
    return channel.subscribed || this.#patterns.matches(name) ? channel.cursor.position : undefined;
  }

  async #using<T>(name: string, call: (channel: RedisChannel) => Promise<T>): Promise<T> {
    const channel = this.#channel(name);
    try {
      return await call(channel);
    } finally {
      this.#forget(channel);
    }
  }

  /** Never throws: any program that may publish in Redis can send anything. */
  #hear(topic: string, payload: Uint8Array): void {
    try {
      if (topic === this.#nodeCalls.topic) this.#nodeCalls.take(payload);
      else if (!this.#heard(this.#keys.channelOf(topic), payload)) this.#strayed(topic);
    } catch (error) {
      this.#troubles.note("taking a message of Redis", error);
    }
  }

  /** Returns false for what is nothing of ours. */
  #heard(name: string, payload: Uint8Array): boolean {
    const known = this.#channels.get(name);
    const subscribed = known?.subscribed === true;
    if (!subscribed && !this.#patterns.matches(name)) return true;
    if (isTransient(payload)) return this.#heardTransient(name, payload);
    const notice = noticeOf(payload);
    if (notice === undefined) return false;
    const channel = known ?? this.#channel(name);
    if (!subscribed) {
      channel.heardAt = this.#host.clock.now();
      if (!channel.cursor.placed && this.#patterns.incomplete) channel.cursor.wait(notice);
      else channel.cursor.takeFirst(notice);
    } else channel.cursor.take(notice);
    return true;
  }

  #heardTransient(name: string, payload: Uint8Array): boolean {
    const message = transientOf(payload);
    if (message === undefined) return false;
    if (!this.#transmitted.add(message.id)) return true;
    const waiting = this.#transients.get(name);
    if (waiting !== undefined) waiting.push(message);
    else {
      this.#flushLater();
      this.#transients.set(name, [message]);
    }
    return true;
  }

  #strayed(topic: string): void {
    this.#stray += 1;
    if (this.#stray > 1) return;
    const message =
      "somebody else publishes on names of this deployment in Redis; such are counted";
    this.#options.logger.warn(message, { topic });
  }

  #flushSoon(channel: RedisChannel): void {
    this.#flushLater();
    this.#waiting.add(channel);
  }

  /** Called before anything is added to what waits. */
  #flushLater(): void {
    if (this.#waiting.size + this.#transients.size > 0) return;
    this.#options.nextTurn(() => this.#flush());
  }

  #flush(): void {
    const channels = [...this.#waiting];
    this.#waiting.clear();
    for (const { cursor } of channels) cursor.flush();
    const transients = [...this.#transients];
    this.#transients.clear();
    for (const [name, messages] of transients) this.#handler?.transients(name, messages);
  }

  /** Reports all members to Redis again. */
  async #rejoin(): Promise<void> {
    await this.outbox?.renew();
    const busy = [...this.#channels.values()].filter(({ attended }) => attended);
    for (const some of chunks(busy)) {
      const told = await Promise.allSettled(some.map(({ memberSync }) => memberSync.rejoin()));
      this.#troubles.noteAll("telling who is present", told);
    }
  }

  /** The channels of this node have been looked at, and so is what else goes with time. */
  async #looked(subscribed: readonly RedisChannel[]): Promise<void> {
    this.directory?.refresh(subscribed.map(({ name }) => name));
    await this.#patterns.refresh();
    this.#reception.retry();
    for (const channel of this.#channels.values()) this.#forget(channel);
  }

  /** Says what has become of `ready`. */
  #judge(): void {
    const { ready } = this;
    if (this.#told === ready || this.#ended) return;
    this.#told = ready;
    this.#options.onReady?.(
      ready,
      ready ? undefined : (this.#health.cause ?? this.#reception.cause),
    );
  }

  #channel(name: string): RedisChannel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new RedisChannel(name, this.#rules.of(name), this.#host);
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #forget(channel: RedisChannel): void {
    if (channel.idle && this.#channels.get(channel.name) === channel) {
      this.#channels.delete(channel.name);
    }
  }
}
