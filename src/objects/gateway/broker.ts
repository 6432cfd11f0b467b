/**
 * The broker of a gateway: the channel objects are its cluster. This is the gateway's side of the
 * contract between the two; `channel/fan-out.ts` is the other. What is reported to one channel stands in its
 * `ChannelRegistration`, how far it was heard in its cursor; what is reported to pattern indexes in a
 * `PatternRegistration` for each pattern.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { made } from "../../channels/maps.ts";
import { PatternMap } from "../../channels/pattern-map.ts";
import { matches } from "../../channels/patterns.ts";
import type { MemberSession } from "../../channels/presence.ts";
import { RecentIds } from "../../channels/recent-ids.ts";
import { background } from "../../engine/background.ts";
import type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  HistoryFilter,
  HistoryPage,
  Interest,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "../../engine/ports/broker.ts";
import type {
  DeliverRequest,
  PublishItem,
  SeenRecord,
  SeenRecordSchema,
  Transient,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_QUEUED_BYTES } from "../../protocol/limits.ts";
import { bodyBytes } from "../../protocol/plain-protobuf/entry.ts";
import { gatewaysOf, historyOf, presenceOf } from "../calls/channel-calls.ts";
import { GONE, type Run, runOf, STAYS } from "../calls/gateway-calls.ts";
import { readDelivery } from "../calls/internal-reader.ts";
import { indexesOf } from "../calls/lease-terms.ts";
import { activeOf } from "../calls/pattern-calls.ts";
import { mergeInterest, type PatternInterest } from "../calls/pattern-interest.ts";
import { retrying, toIndex } from "../calls/retry.ts";
import type { Called, ChannelStub, GatewayStub, ObjectCalls } from "../ports/calls.ts";
import type { NearPublish } from "../ports/near-channel.ts";
import { Trouble } from "../trouble.ts";
import { CallSlots } from "./call-slots.ts";
import { ChannelLink, type LinkHost } from "./channel-link.ts";
import { ObjectDirectory, type ObjectDirectoryOptions } from "./directory.ts";
import { GatewayCluster, type GatewayClusterHost } from "./gateway-cluster.ts";
import { HeardChannels } from "./heard-channels.ts";
import {
  PatternRegistration,
  type PatternRegistrationHost,
  TIME_EPOCH,
} from "./pattern-registration.ts";
import type { ObjectRevocations } from "./revocations.ts";

/** Messages outside of the logs whose ids are remembered. */
const KNOWN_TRANSIENTS = 4_096;
/** Channels, or patterns, that a sweep settles at the same time. */
const SWEPT_TOGETHER = 32;

export interface ObjectBrokerOptions
  extends Omit<
      LinkHost,
      | "handler"
      | "interest"
      | "sequence"
      | "patternInterest"
      | "listensSince"
      | "take"
      | "takeRun"
      | "channelTrouble"
      | "tellings"
      | "questions"
    >,
    Omit<PatternRegistrationHost, "indexTrouble" | "interest">,
    GatewayClusterHost,
    Omit<ObjectDirectoryOptions, "sequence"> {
  readonly calls: ObjectCalls;
  /** Whether the directory is kept. Where it was and is not any more, that is reported to users' objects. */
  readonly keepsDirectory: boolean;
}

/** Which objects have lost all that they knew. */
export interface LostObjects {
  channel(name: string): boolean;
  index(name: string): boolean;
  user(id: string): boolean;
}

export interface BrokerStats {
  /**
   * Channels, patterns and users that this gateway is registered with, or whose objects still have to
   * hear that it is not.
   */
  readonly registrations: number;
  /** Channels with publishes that wait for their acknowledgement. */
  readonly publishing: number;
}

export class ObjectBroker implements Broker, Called<GatewayStub> {
  /** The other gateways. */
  readonly cluster: GatewayCluster;
  readonly directory: ObjectDirectory | undefined;
  readonly revocations: ObjectRevocations | undefined;
  readonly #users: ObjectDirectory;
  readonly #options: ObjectBrokerOptions;
  readonly #host: LinkHost;
  readonly #patternHost: PatternRegistrationHost;
  readonly #channels = new Map<string, ChannelLink>();
  readonly #patterns = new PatternMap<PatternRegistration>();
  /** The channels among them that may be heard through patterns alone. */
  readonly #heard: HeardChannels;
  #handler: BrokerHandler | undefined;
  /** What the sessions of this gateway want to hear. */
  #interest!: Interest;
  /** Ids of messages outside of the logs: a delivery may come twice. */
  readonly #transmitted = new RecentIds(KNOWN_TRANSIENTS);
  #sequence = 0;

  constructor(options: ObjectBrokerOptions) {
    this.#options = options;
    this.cluster = new GatewayCluster(options, (channel) => this.#asking(channel, gatewaysOf));
    const sequence = (): number => this.#nextSequence();
    this.#users = new ObjectDirectory({ ...options, sequence });
    this.directory = options.keepsDirectory ? this.#users : undefined;
    this.revocations = this.directory?.revocations;
    const { platform, turn } = options;
    this.#heard = new HeardChannels(platform.clock);
    const indexTrouble = new Trouble("calls to pattern indexes", platform);
    const interest = (): Interest => this.#interest;
    this.#patternHost = { ...options, indexTrouble, interest };
    this.#host = {
      ...options,
      channelTrouble: new Trouble("calls to channels", platform),
      tellings: new CallSlots(turn, platform.timers),
      questions: new CallSlots(turn, platform.timers),
      handler: () => this.#handler,
      interest,
      sequence,
      patternInterest: (channel) => this.#patternInterest(channel),
      listensSince: (channel) => this.#listensSince(channel),
      take: (delivery) => this.#take(delivery) || undefined,
      takeRun: (channel, run) => this.#takeRun(channel, run) || undefined,
    };
  }

  start(handler: BrokerHandler, interest: Interest): void {
    this.#handler = handler;
    this.#interest = interest;
  }

  async subscribe(channel: string): Promise<SubscribeResult> {
    return await this.#link(channel).registration.subscribe();
  }

  unsubscribe(channel: string): void {
    const link = this.#link(channel);
    if (this.#interest.hasAnySubscriber(channel)) this.#heard.add(channel);
    else link.cursor.reset();
    background(
      this.#settle(channel, link),
      this.#options.platform.logger,
      "telling the end of a channel",
    );
  }

  async subscribePattern(pattern: string): Promise<PatternSubscribeResult> {
    return await this.#registration(pattern).subscribe();
  }

  unsubscribePattern(pattern: string): void {
    const registration = this.#registration(pattern);
    registration.end();
    const settling = this.#settlePattern(pattern, registration);
    background(settling, this.#options.platform.logger, "telling the end of a pattern");
    for (const channel of this.#heard.channels()) {
      if (!matches(pattern, channel) || this.#interest.hasAnySubscriber(channel)) continue;
      // What comes of it later is another story.
      this.#heard.delete(channel);
      const link = this.#link(channel);
      link.cursor.reset();
      this.#forget(channel, link);
    }
  }

  async activeChannels(pattern: string, since: Position, limit: number): Promise<ActiveChannels> {
    const { calls, platform } = this.#options;
    const ask = (name: string): Promise<ActiveChannels> =>
      retrying(
        () => activeOf(calls.index(name), pattern, since.offset, limit),
        toIndex(platform, this.#patternHost.indexTrouble),
      );
    const answers = await Promise.all(indexesOf(pattern).map(ask));
    const channels = answers.flatMap((answer) => answer.channels);
    const gap = answers.map((answer) => answer.gap).find((reason) => reason !== undefined);
    if (since.epoch !== TIME_EPOCH) return { channels, gap: "epoch_changed" };
    if (channels.length > limit) return { channels: channels.slice(0, limit), gap: "limit" };
    return { channels, gap };
  }

  async join(channel: string, session: MemberSession): Promise<void> {
    await this.#link(channel).registration.join(session);
  }

  leave(channel: string, sessionId: string, clean: boolean): void {
    this.#link(channel).registration.leave(sessionId, clean);
  }

  async publish(channel: string, { key, body }: PublishCommand): Promise<PublishResult> {
    return await this.#push(channel, { item: item(key, bodyBytes(body), false), body });
  }

  /** With what is published to the channel, in its order. */
  async transmit(channel: string, { id, body }: Transient): Promise<void> {
    const bytes = body === undefined ? new Uint8Array() : bodyBytes(body);
    await this.#push(channel, { item: item(id, bytes, true), body: undefined });
  }

  async #push(channel: string, publish: NearPublish): Promise<PublishResult> {
    const link = this.#link(channel);
    try {
      return await link.publish(publish);
    } finally {
      this.#forget(channel, link);
    }
  }

  room(channel: string): number {
    return this.#channels.get(channel)?.room ?? MAX_QUEUED_BYTES;
  }

  async history(channel: string, filter: HistoryFilter): Promise<HistoryPage> {
    return await this.#asking(channel, async (stub, link) => {
      const since = this.#listensSince(channel);
      const page = await historyOf(stub, filter);
      // The head counts for patterns that were registered before the question.
      if (since === Number.POSITIVE_INFINITY || this.#listensSince(channel) !== since) return page;
      if (link.cursor.tell(page.position)) this.#heard.add(channel);
      return page;
    });
  }

  async removeHistory(channel: string): Promise<void> {
    await this.#asking(channel, (stub) => stub.removeHistory());
  }

  async presence(channel: string, limit: number): Promise<PresenceSnapshot> {
    return await this.#asking(channel, (stub) => presenceOf(stub, limit));
  }

  position(channel: string): Position | undefined {
    return this.#channels.get(channel)?.cursor.position;
  }

  snapshot(channel: string): MessageInitShape<typeof SeenRecordSchema> | undefined {
    const cursor = this.#channels.get(channel)?.cursor;
    if (cursor?.position === undefined) return undefined;
    const { epoch, offset } = cursor.position;
    return { channel, epoch, offset: BigInt(offset), generation: BigInt(cursor.generation) };
  }

  restore({ channel, epoch, offset, generation }: SeenRecord): void {
    const position = { epoch, offset: Number(offset) };
    this.#link(channel).cursor.restore(position, Number(generation));
    this.#heard.add(channel);
  }

  *recentChannels(): Iterable<string> {
    const interest = this.#interest;
    for (const channel of this.#heard.channels()) {
      if (!interest.hasDirectSubscriber(channel) && interest.hasAnySubscriber(channel))
        yield channel;
    }
  }

  stats(): BrokerStats {
    const busy = [...this.#channels.values()].filter(({ publishing }) => publishing);
    const { channelRegistrations, patternRegistrations } = this.#options;
    return {
      registrations:
        channelRegistrations.size + patternRegistrations.size + this.#users.registrations,
      publishing: busy.length,
    };
  }

  /**
   * A deliver call from a channel. Without a hole everything down to the sockets happens in this
   * synchronous step; the promise is only for the case that something must be read first.
   *
   * @returns a DeliverResponse, which says whether this gateway has no subscriber for the channel
   */
  deliver(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const taken = this.#take(readDelivery(bytes));
    if (taken === false) return GONE;
    return taken === undefined ? STAYS : taken.then(() => STAYS);
  }

  /** False where there is no subscriber, undefined when it has been handed over, else a promise that settles then. */
  #take(delivery: DeliverRequest): false | undefined | Promise<void> {
    const { channel, transients } = delivery;
    const taken = this.#takeRun(channel, runOf(delivery));
    if (taken === false) return false;
    const fresh = transients.filter(({ id }) => this.#transmitted.add(id));
    if (fresh.length > 0) this.#handler?.transients(channel, fresh);
    return taken;
  }

  /** The same of a run of entries and changes. */
  #takeRun(channel: string, run: Run): false | undefined | Promise<void> {
    const interest = this.#interest;
    if (!interest.hasAnySubscriber(channel)) return false;
    this.#forgetOld();
    if (!interest.hasDirectSubscriber(channel)) this.#heard.add(channel);
    return this.#link(channel).cursor.take(run);
  }

  /** A call about a session of this gateway. Takes a NodeCall, answers a NodeAnswer. */
  async call(request: Uint8Array): Promise<Uint8Array> {
    return await this.cluster.answer(request);
  }

  /** Takes back what no session here wants any more, and repeats what may not have been heard. */
  async sweep(): Promise<void> {
    const interest = this.#interest;
    this.#adopt();
    this.#forgetOld();
    // What a session remembered of a channel that it has left is of no use.
    for (const [channel, link] of [...this.#channels]) this.#forget(channel, link);
    const stale = [...this.#options.channelRegistrations.all()].filter(
      ([channel, { unsettled }]) => !interest.hasDirectSubscriber(channel) || unsettled,
    );
    const settlings = [
      ...stale.map(
        ([channel]) =>
          () =>
            this.#settle(channel, this.#link(channel)),
      ),
      ...[...this.#patterns].map(
        ([pattern]) =>
          () =>
            this.#settlePattern(pattern, this.#registration(pattern)),
      ),
    ];
    for (let i = 0; i < settlings.length; i += SWEPT_TOGETHER) {
      await Promise.all(settlings.slice(i, i + SWEPT_TOGETHER).map((one) => this.#swept(one)));
    }
    await this.#swept(() => this.#users.sweep());
  }

  /**
   * Objects have lost all that they knew, as where they were in the memory of something that has ended: what holds is
   * registered with them again, and sessions hear that channels have begun a new log.
   *
   * @returns when each of them has been called; what one did not take is left for the next sweep
   */
  async renew(lost: LostObjects): Promise<void> {
    const interest = this.#interest;
    const links = [...this.#channels].filter(([channel]) => lost.channel(channel));
    const heard = links.filter(
      ([channel]) => !interest.hasDirectSubscriber(channel) && interest.hasAnySubscriber(channel),
    );
    const registered = links.filter(([channel]) => interest.hasDirectSubscriber(channel));
    for (const [, link] of registered) link.registration.forgotten();
    const patterns = [...this.#patterns].filter(([pattern]) => indexesOf(pattern).some(lost.index));
    for (const [, registration] of patterns) registration.forgotten();
    await Promise.all([
      ...registered.map(([channel, link]) => this.#swept(() => this.#settle(channel, link))),
      ...heard.map(([, link]) => this.#swept(() => link.lookAtLog())),
      ...patterns.map(([pattern, one]) => this.#swept(() => this.#settlePattern(pattern, one))),
      this.#swept(() => this.#users.renew(lost.user)),
    ]);
  }

  /** What cannot be settled now keeps nothing else from it, and is left for the next sweep. */
  async #swept(settle: () => Promise<void>): Promise<void> {
    try {
      await settle();
    } catch (error) {
      this.#options.platform.logger.warn("a registration was not settled", {
        error: String(error),
      });
    }
  }

  /** Takes up what an earlier life has left of patterns, whether it is wanted or not. */
  #adopt(): void {
    const interest = this.#interest;
    for (const [pattern, row] of this.#options.patternRegistrations.all()) {
      if (this.#patterns.has(pattern)) continue;
      const registration = this.#registration(pattern);
      if (interest.hasPattern(pattern)) registration.adopt(row);
    }
    for (const pattern of interest.patterns()) this.#registration(pattern);
  }

  async #settlePattern(pattern: string, registration: PatternRegistration): Promise<void> {
    await registration.settle();
    // Another registration may have taken its place meanwhile.
    if (this.#patterns.get(pattern) !== registration || !registration.idle) return;
    if (!this.#interest.hasPattern(pattern)) this.#patterns.delete(pattern);
  }

  #registration(pattern: string): PatternRegistration {
    return made(this.#patterns, pattern, () => new PatternRegistration(pattern, this.#patternHost));
  }

  /** What channels hear of this gateway's patterns; undefined where none of them is for the channel. */
  #patternInterest(channel: string): PatternInterest | undefined {
    let all: PatternInterest | undefined;
    for (const { interest } of this.#patterns.match(channel)) {
      if (interest !== undefined) all = mergeInterest(all, interest);
    }
    return all;
  }

  /**
   * When the first pattern for the channel was registered, Unix milliseconds; Infinity without one. A subscriber
   * by name needs no such time: its acknowledgement had a position.
   */
  #listensSince(channel: string): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { since } of this.#patterns.match(channel)) first = Math.min(first, since ?? first);
    return first;
  }

  /** Forgets channels of patterns that have been quiet for so long that nothing can come twice. */
  #forgetOld(): void {
    for (const channel of this.#heard.takeOld()) {
      const link = this.#channels.get(channel);
      if (link === undefined) continue;
      // Where something is being read it is not quiet.
      if (!link.idle) this.#heard.add(channel);
      this.#forget(channel, link);
    }
  }

  async #settle(channel: string, link: ChannelLink): Promise<void> {
    await link.registration.settle();
    this.#forget(channel, link);
  }

  async #asking<T>(
    channel: string,
    call: (stub: ChannelStub, link: ChannelLink) => Promise<T>,
  ): Promise<T> {
    const link = this.#link(channel);
    try {
      return await link.ask((stub) => call(stub, link));
    } finally {
      this.#forget(channel, link);
    }
  }

  #link(channel: string): ChannelLink {
    return made(this.#channels, channel, () => new ChannelLink(channel, this.#host));
  }

  /** Rises over all channels, users and lives: the clock, in thousandths of a millisecond, or one more. */
  #nextSequence(): number {
    this.#sequence = Math.max(this.#sequence + 1, this.#options.platform.clock.now() * 1000);
    return this.#sequence;
  }

  /** Drops what is known of a channel that is neither subscribed nor published to here. */
  #forget(channel: string, link: ChannelLink): void {
    const interest = this.#interest;
    // Another link may have taken its place since the caller was given this one.
    if (this.#channels.get(channel) !== link) return;
    if (
      !link.idle ||
      interest.hasDirectSubscriber(channel) ||
      (this.#heard.has(channel) && interest.hasAnySubscriber(channel))
    )
      return;
    this.#heard.delete(channel);
    this.#channels.delete(channel);
  }
}

function item(key: string, body: Uint8Array, transient: boolean): PublishItem {
  return { $typeName: "messageloop.internal.v1.PublishItem", key, body, transient };
}
