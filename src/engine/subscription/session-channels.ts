/**
 * The channels and patterns of one session: joining them with the broker's and the authorizer's consent, catching up
 * with what was missed, leaving them, and what a sleeping host must remember of them.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { checkChannel, isPattern } from "../../channels/names.ts";
import type { ChannelRules } from "../../channels/rules.ts";
import { SmallMap } from "../../channels/small-map.ts";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import type {
  SubscriptionRecord,
  SubscriptionRecordSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { Position, SubscribeResult } from "../ports/broker.ts";
import type { TokenBucket } from "../token-bucket.ts";
import { askedByPatterns } from "./asked-by-patterns.ts";
import { ChannelSubscription, type ReplayPlan } from "./channel-subscription.ts";
import { type Absence, readHead, recoverFromTime } from "./pattern-recovery.ts";
import type { ChannelsHost, ChannelsOwner, JoinTerms } from "./ports.ts";
import { countOf, positionMessage, positionOf, uint64Of } from "./positions.ts";
import { SessionReads } from "./reads.ts";
import {
  type LogReader,
  onlyGap,
  type RecoveryRequest,
  type RecoveryResult,
  type ReplayBudget,
  readRange,
  recover,
} from "./recovery.ts";
import { readPresence, replay } from "./replay.ts";
import { type JoinedPattern, SessionPatterns } from "./session-patterns.ts";
import { higher, ORIGINS, type Origin } from "./subscriber.ts";

export interface JoinOutcome {
  /** The entries of the acknowledgement, in the order of the request. */
  readonly acknowledged: SubscriptionMessage[];
  /** The channels and patterns that the session has by this, and has not had before. */
  readonly added: readonly string[];
  /** Held until `settle`. */
  readonly joined: readonly Joined[];
  /** Silent until `settle`. */
  readonly patterns: readonly JoinedPattern[];
  /** Why entries were refused, one for each refused channel. */
  readonly errors: readonly MessagingError[];
}

/** A subscription that was granted, and what its client wants to catch up with. */
export interface Joined {
  readonly subscription: ChannelSubscription;
  readonly recovery: Recovery | undefined;
}

interface Recovery extends ReplayPlan {
  /** In place of the request: what was missed meanwhile is asked for. */
  readonly absence?: Absence;
  /** Whether the session may be given what was before. */
  readonly permitted: boolean;
}

export class SessionChannels {
  /** What the session reads: what it missed, and what it asks for. */
  readonly reads = new SessionReads();
  readonly #host: ChannelsHost;
  readonly #owner: ChannelsOwner;
  readonly #subscriptions = new SmallMap<string, ChannelSubscription>();
  /** Made for the first pattern. */
  #patterns: SessionPatterns | undefined;
  /** What the client may still begin; made for its first new channel. */
  #allowance: TokenBucket | undefined;
  /** Names that are asked for and not decided yet; undefined while there are none. */
  #undecided: Set<string> | undefined;

  constructor(host: ChannelsHost, owner: ChannelsOwner) {
    this.#host = host;
    this.#owner = owner;
  }

  /** Channels and patterns. */
  get names(): readonly string[] {
    return [...this.#subscriptions.keys(), ...(this.#patterns?.names ?? [])];
  }

  /** The channels that the session has by themselves. */
  get channels(): Iterable<string> {
    return this.#subscriptions.keys();
  }

  /** Whether the session is the one that has had one of its patterns for the longest time. */
  get leadsPattern(): boolean {
    return this.#patterns?.leads === true;
  }

  /** Whether the session has been granted a channel, by itself or by a pattern. */
  has(channel: string): boolean {
    const granted = this.#subscriptions.get(channel)?.floor !== undefined;
    return granted || this.#patterns?.covers(channel) === true;
  }

  /**
   * Counts a channel that the client subscribes or publishes to, if it is new.
   *
   * @throws MessagingError RATE_LIMITED where the client has begun too many
   */
  begins(channel: string): void {
    this.#allowance = this.#host.newChannels.count(channel, this.#allowance);
  }

  /** How many channels the session would have with these, if all that are asked for were granted. */
  sizeWith(requested: readonly SubscriptionMessage[]): number {
    const wanted = new Set(this.#undecided);
    for (const { channel } of requested) wanted.add(channel);
    for (const name of this.names) wanted.add(name);
    return wanted.size;
  }

  /** Those of some names that the session has, or has room for beside what is asked for. */
  fitting(names: readonly string[], most: number): ReadonlySet<string> {
    const wanted = new Set([...this.names, ...(this.#undecided ?? [])]);
    const fitting = new Set<string>();
    for (const name of names) {
      if (!wanted.has(name) && wanted.size >= most) continue;
      wanted.add(name);
      fitting.add(name);
    }
    return fitting;
  }

  /** Channels and patterns that the session has been granted, and whose doing each is. */
  *origins(): Iterable<readonly [name: string, origin: Origin]> {
    for (const { channel, floor, origin } of this.#subscriptions.values()) {
      if (floor !== undefined) yield [channel, origin];
    }
    for (const { pattern, origin } of this.#patterns?.granted() ?? []) yield [pattern, origin];
  }

  /** Makes the subscriptions of a record live again. */
  restore(records: readonly SubscriptionRecord[]): void {
    for (const { channel, ephemeral, epoch, floor: offset, origin: told } of records) {
      const origin = ORIGINS.find((one) => one === told) ?? "client";
      if (isPattern(channel)) {
        this.#ofPatterns.restore(channel, origin);
        continue;
      }
      const { hub, broker, rules } = this.#host;
      const terms = { channel, origin, ephemeral };
      const subscription = new ChannelSubscription(this.#owner, hub.tally, terms);
      subscription.member = !ephemeral && rules.of(channel).presence;
      if (epoch !== "") subscription.floor = { epoch, offset: countOf(offset) };
      this.#add(subscription);
      // Who stands first now remembers what another one has remembered so far.
      const carries = hub.first(channel) === this.#owner;
      if (carries && broker.position(channel) === undefined) this.#owner.changed();
    }
  }

  records(): MessageInitShape<typeof SubscriptionRecordSchema>[] {
    const channels = [...this.#subscriptions.values()]
      .filter((subscription) => subscription.floor !== undefined)
      .map(({ channel, origin, ephemeral, floor }) => ({
        channel,
        ...recorded(origin),
        ephemeral,
        epoch: floor?.epoch ?? "",
        floor: uint64Of(floor?.offset ?? 0),
      }));
    const patterns = [...(this.#patterns?.granted() ?? [])].map(({ pattern, origin }) => ({
      channel: pattern,
      ...recorded(origin),
    }));
    return [...channels, ...patterns];
  }

  /** Registers the entries of one request with the broker, side by side. */
  async join(requested: readonly SubscriptionMessage[], terms: JoinTerms): Promise<JoinOutcome> {
    const unique = new Map(requested.map((entry) => [entry.channel, entry]));
    const positions = new Map<string, Position>();
    const joined = new Map<string, Joined>();
    const patterns: JoinedPattern[] = [];
    const fresh = new Set<string>();
    const errors = new Map<string, MessagingError>();
    this.#undecided ??= new Set();
    const undecided = this.#undecided;
    for (const channel of unique.keys()) undecided.add(channel);
    await Promise.all(
      [...unique.values()].map(async (entry) => {
        const { channel } = entry;
        const before = this.#subscriptions.get(channel);
        try {
          if (isPattern(channel)) {
            if (this.#patterns?.has(channel) !== true) fresh.add(channel);
            const one = await this.#ofPatterns.join(entry, terms);
            if (one === undefined) return;
            patterns.push(one);
            positions.set(channel, one.position);
            return;
          }
          if (Object.keys(entry.positions).length > 0) {
            throw new MessagingError("BAD_REQUEST", "positions are for patterns");
          }
          const one = await this.#joinChannel(entry, terms, () => fresh.add(channel));
          if (one === undefined) return;
          joined.set(channel, one.joined);
          positions.set(channel, one.position);
        } catch (error) {
          errors.set(channel, MessagingError.from(error));
          if (before !== undefined) {
            joined.set(channel, { subscription: before, recovery: undefined });
          } else if (!isPattern(channel)) this.leave(channel, true);
        }
      }),
    );
    for (const [channel, one] of joined) {
      const recovery = fresh.has(channel) ? this.#owedByPatterns(one, patterns, terms) : undefined;
      if (recovery !== undefined) joined.set(channel, { ...one, recovery });
    }
    for (const channel of unique.keys()) undecided.delete(channel);
    if (undecided.size === 0) this.#undecided = undefined;
    if (errors.size > 0 && !terms.extended) {
      for (const channel of fresh) this.leave(channel, true);
      return {
        acknowledged: [],
        added: [],
        joined: [],
        patterns: [],
        errors: [...errors.values()],
      };
    }
    const acknowledged = requested.map((entry) =>
      acknowledgement(entry, terms, positions.get(entry.channel), errors.get(entry.channel)),
    );
    // What one request may replay is shared in the order in which it was asked for.
    const inOrder = [...unique.keys()].flatMap((channel) => joined.get(channel) ?? []);
    const added = [...unique.keys()].filter(
      (channel) => fresh.has(channel) && !errors.has(channel),
    );
    return { acknowledged, added, joined: inOrder, patterns, errors: [...errors.values()] };
  }

  /** Undefined where the session has ended meanwhile. */
  async #joinChannel(
    entry: SubscriptionMessage,
    terms: JoinTerms,
    added: () => void,
  ): Promise<{ readonly joined: Joined; readonly position: Position } | undefined> {
    const { channel } = entry;
    const before = this.#subscriptions.get(channel);
    const origin = terms.origin(channel);
    checkChannel(channel);
    const request = recoveryRequest(entry, terms);
    await terms.authorize(channel, entry.token);
    // Who has the channel by a pattern goes on behind what that has brought.
    if (before === undefined) await this.#patterns?.givenOut(channel);
    if (this.#owner.ended) return undefined;
    const { hub, newChannels } = this.#host;
    const { ephemeral } = entry;
    const made = { channel, origin, ephemeral };
    const subscription = before ?? new ChannelSubscription(this.#owner, hub.tally, made);
    subscription.origin = higher(subscription.origin, origin);
    const covered = before === undefined && this.#patterns?.covers(channel) === true;
    const reached = before === undefined && !covered ? undefined : this.#reached(channel);
    if (before === undefined) {
      if (terms.byClient) this.begins(channel);
      if (!hub.hasDirectSubscriber(channel)) newChannels.checkRoom();
      this.#add(subscription);
      added();
    }
    // One that is fresh is silent until it is acknowledged.
    if (before === undefined || request !== undefined) subscription.hold(reached);
    const { position, generation } = await this.#register(subscription, entry, terms);
    if (this.#owner.ended) return undefined;
    if (subscription.floor === undefined && covered) {
      subscription.floor = reached ?? { epoch: position.epoch, offset: 0 };
    }
    // A second subscribe of a live session moves nothing: it has taken what came before.
    if (subscription.floor === undefined) {
      subscription.floor = position;
      subscription.generation = generation;
    }
    if (request === undefined) {
      return { joined: { subscription, recovery: undefined }, position };
    }
    const planned = subscription.plan(request, reached, position);
    const recovery = { ...planned, permitted: terms.mayReadHistory(channel) };
    return { joined: { subscription, recovery }, position };
  }

  /** What patterns of the request ask of a channel that this subscription brings from now on. */
  #owedByPatterns(
    { subscription, recovery }: Joined,
    patterns: readonly JoinedPattern[],
    terms: JoinTerms,
  ): Recovery | undefined {
    const { channel, floor: until } = subscription;
    // What is live by another pattern was not missed.
    if (recovery !== undefined || until === undefined || this.#patterns?.covers(channel)) {
      return undefined;
    }
    const asked = askedByPatterns(channel, patterns);
    if (asked === undefined) return undefined;
    const permitted = terms.mayReadHistory(channel);
    if ("since" in asked) return { request: { since: asked.since, rewind: 0 }, until, permitted };
    return { request: { since: undefined, rewind: 0 }, absence: asked.absence, until, permitted };
  }

  /** How far the session is in a channel that it hears already. */
  #reached(channel: string): Position | undefined {
    const position = this.#host.broker.position(channel);
    const floor = this.#patterns?.floor(channel);
    if (position === undefined || floor === undefined) return position ?? floor;
    return position.epoch === floor.epoch && floor.offset > position.offset ? floor : position;
  }

  /**
   * Lets each subscription catch up with what was asked for, then lets out what came in meanwhile. What
   * has nothing to catch up with is live when this returns, before its promise settles.
   */
  async settle({ joined, patterns }: Pick<JoinOutcome, "joined" | "patterns">): Promise<void> {
    this.#patterns?.begin(patterns);
    const behind: Joined[] = [];
    for (const one of joined) {
      const { subscription, recovery } = one;
      subscription.buffer?.beginIn(subscription.floor?.epoch ?? "");
      if (recovery === undefined && subscription.buffer?.overflowed !== true) {
        subscription.release();
      } else behind.push(one);
    }
    if (behind.length === 0 && patterns.every((one) => one.recovery === undefined)) return;
    await this.reads.run(async () => {
      const budget = this.#host.replayBudget();
      for (const { subscription, recovery } of behind) {
        if (this.#owner.ended) return;
        if (recovery !== undefined) await this.#recover(subscription, recovery, budget);
        await this.#catchUp(subscription);
        if (this.#owner.ended) return;
        subscription.release();
      }
      const exact = (channel: string): boolean => this.#subscriptions.has(channel);
      await this.#patterns?.settle(patterns, budget, exact);
    });
  }

  /** @param clean whether the session means it; otherwise it may be back soon */
  leave(channel: string, clean: boolean): void {
    this.#patterns?.leave(channel);
    const { hub, broker } = this.#host;
    const subscription = this.#subscriptions.get(channel);
    if (subscription === undefined) return;
    this.#subscriptions.delete(channel);
    const carrier = hub.first(channel);
    const last = hub.remove(this.#owner, channel);
    if (subscription.member) broker.leave(channel, this.#owner.id, clean);
    if (last) broker.unsubscribe(channel);
    // Another session has to remember now how far this node is.
    if (carrier === this.#owner) hub.first(channel)?.changed();
    this.#patterns?.takeOver(subscription);
  }

  leaveAll(clean: boolean): void {
    this.#patterns?.leaveAll();
    for (const channel of this.names) this.leave(channel, clean);
  }

  get #ofPatterns(): SessionPatterns {
    this.#patterns ??= new SessionPatterns(this.#host, this.#owner);
    return this.#patterns;
  }

  #add(subscription: ChannelSubscription): void {
    this.#subscriptions.set(subscription.channel, subscription);
    this.#host.hub.add(subscription);
  }

  /**
   * Tells the broker of the subscriber and of the member. Asks the channel for its head, unless a v1
   * client, which takes no position, can do with what the node has seen.
   */
  async #register(
    subscription: ChannelSubscription,
    { channel, ephemeral }: SubscriptionMessage,
    { extended }: JoinTerms,
  ): Promise<SubscribeResult> {
    const { broker, logger, rules } = this.#host;
    const member = !ephemeral && rules.of(channel).presence;
    let joining: Promise<void> | undefined;
    if (member && !subscription.member) {
      const { id: sessionId, userId, clientId } = this.#owner;
      joining = broker.join(channel, { sessionId, userId, clientId });
    } else if (!member && subscription.member) broker.leave(channel, this.#owner.id, true);
    // Whatever becomes of the subscribe: a record has to say what the broker was told.
    subscription.ephemeral = ephemeral;
    subscription.member = member;
    const seen = extended || joining !== undefined ? undefined : broker.position(channel);
    const registering =
      seen === undefined ? broker.subscribe(channel) : { position: seen, generation: 0 };
    const [registration] = await Promise.all([
      registering,
      // Who is not seen is subscribed all the same.
      joining?.catch((error: unknown) => logger.warn("join failed", { error: String(error) })),
    ]);
    return registration;
  }

  async #recover(
    subscription: ChannelSubscription,
    { request, absence, until, permitted }: Recovery,
    budget: ReplayBudget,
  ): Promise<void> {
    const { channel } = subscription;
    const rules = this.#host.rules.of(channel);
    const recovery = permitted && rules.recovery;
    const found =
      absence === undefined
        ? await recover(this.#reader, channel, request, until, budget, recovery)
        : await this.#meanwhile(channel, until, absence, budget, { ...rules, recovery });
    if (found === undefined || this.#owner.ended) return;
    await this.#replay(subscription, until.epoch, found);
    if (!this.#owner.ended) this.#owner.tellRecovered(channel, until, found.gap);
  }

  /** What was missed of a channel that its client has never seen; undefined where that is nothing. */
  async #meanwhile(
    channel: string,
    until: Position,
    absence: Absence,
    budget: ReplayBudget,
    rules: ChannelRules,
  ): Promise<RecoveryResult | undefined> {
    const head = await readHead(this.#reader, channel);
    if (head?.position.epoch !== until.epoch) return onlyGap("unavailable", undefined, until);
    const { oldest } = head;
    const then = {
      position: until,
      oldest: (oldest?.offset ?? 0) > until.offset ? undefined : oldest,
    };
    return await recoverFromTime(this.#reader, channel, then, absence, budget, rules);
  }

  /** Reads what was too much for the buffer. */
  async #catchUp(subscription: ChannelSubscription): Promise<void> {
    const { channel, buffer } = subscription;
    for (;;) {
      if (this.#owner.ended) return;
      const dropped = buffer?.takeDropped();
      if (dropped === undefined) {
        if (buffer?.takeLostPresence() !== true) return;
        const notice = await readPresence(this.#host, channel);
        if (notice !== undefined) buffer.putFirst(channel, notice);
        continue;
      }
      const { floor } = subscription;
      const same = floor?.epoch === dropped.epoch;
      // Of another log than the subscription's only what a gap has announced is for it.
      if (same ? floor.offset >= dropped.offset : !buffer?.announced(dropped.epoch)) continue;
      const budget = this.#host.replayBudget();
      const found = same
        ? await readRange(this.#reader, channel, floor.offset, dropped, budget)
        : await recover(this.#reader, channel, { since: floor, rewind: 0 }, dropped, budget, true);
      if (this.#owner.ended) return;
      subscription.floor = dropped;
      if (found.gap !== undefined) this.#owner.tellGap(channel, found.gap);
      await this.#replay(subscription, dropped.epoch, found);
    }
  }

  get #reader(): LogReader {
    const { broker, logger, turns } = this.#host;
    return { broker, logger, turns, over: () => this.#owner.ended };
  }

  async #replay(
    subscription: ChannelSubscription,
    epoch: string,
    { entries }: RecoveryResult,
  ): Promise<void> {
    const { channel } = subscription;
    await replay(this.#host, this.#owner, subscription, { channel, epoch, entries });
  }
}

/** Most are a client's own, of which a record says nothing. */
function recorded(origin: Origin): { readonly origin?: Origin } {
  return origin === "client" ? {} : { origin };
}

/** What an entry asks to catch up with, or undefined. */
function recoveryRequest(
  { recover, since, rewind }: SubscriptionMessage,
  { extended, recovery }: JoinTerms,
): RecoveryRequest | undefined {
  if (!extended || (!recover && since === undefined && rewind === 0)) return undefined;
  if (!recovery) {
    throw new MessagingError("BAD_REQUEST", "recovery needs the capability recovery");
  }
  // Who means a position and has none cannot be told that nothing was missed.
  const meant = recover || since !== undefined;
  return { since: since && positionOf(since), rewind: meant ? 0 : rewind };
}

function acknowledgement(
  { channel, ephemeral, token }: SubscriptionMessage,
  { extended }: JoinTerms,
  position: Position | undefined,
  error: MessagingError | undefined,
): SubscriptionMessage {
  // v0.1.1 echoes the request, token included.
  const echo = { channel, ephemeral, token };
  if (!extended) return create(SubscriptionSchema, echo);
  if (error !== undefined)
    return create(SubscriptionSchema, { ...echo, error: errorMessage(error) });
  if (position === undefined) return create(SubscriptionSchema, echo);
  return create(SubscriptionSchema, { ...echo, position: positionMessage(position) });
}
