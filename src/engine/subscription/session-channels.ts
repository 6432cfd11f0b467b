/**
 * The channels and patterns of one session: joining them with the broker's and the authorizer's consent, catching up
 * with what was missed, leaving them, and what a sleeping host must remember of them.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { checkChannel, isPattern } from "../../channels/names.ts";
import { SmallMap } from "../../channels/small-map.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import type {
  SubscriptionRecord,
  SubscriptionRecordSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { blankSubscription } from "../../protocol/plain-json/gen/blank.ts";
import type { Position, SubscribeResult } from "../ports/broker.ts";
import type { TokenBucket } from "../token-bucket.ts";
import { ChannelSubscription, type ReplayPlan } from "./channel-subscription.ts";
import { higher, ORIGINS, type Origin } from "./listener.ts";
import type { Beginner } from "./new-channels.ts";
import type { ChannelsHost, ChannelsOwner, JoinTerms } from "./ports.ts";
import { countOf, positionMessage, positionOf, uint64Of } from "./positions.ts";
import { SessionReads } from "./reads.ts";
import { CatchUp } from "./recovery/catch-up.ts";
import type { JoinedPattern } from "./recovery/pattern-recovery.ts";
import type { RecoveryRequest } from "./recovery/recovery.ts";
import { SessionPatterns } from "./session-patterns.ts";

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

const NOTHING: JoinOutcome = { acknowledged: [], added: [], joined: [], patterns: [], errors: [] };

/** A subscription that was granted, and what its client wants to catch up with. */
export interface Joined {
  readonly subscription: ChannelSubscription;
  readonly recovery: ReplayPlan | undefined;
  /** Whether the request holds it. */
  readonly isHeld: boolean;
}

export class SessionChannels implements Beginner {
  /** What the session reads: what it missed, and what it asks for. */
  readonly reads = new SessionReads();
  allowance: TokenBucket | undefined;
  readonly #host: ChannelsHost;
  readonly #owner: ChannelsOwner;
  readonly #subscriptions = new SmallMap<string, ChannelSubscription>();
  /** Made for the first pattern. */
  #patterns: SessionPatterns | undefined;
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

  /** Those of some names that the session has, or has room for beside what is asked for. */
  #fitting(names: Iterable<string>): ReadonlySet<string> {
    const wanted = new Set([...this.names, ...(this.#undecided ?? [])]);
    const fitting = new Set<string>();
    for (const name of names) {
      if (!wanted.has(name) && wanted.size >= this.#host.settings.maxSubscriptions) continue;
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
      subscription.began = subscription.floor;
      this.#subscriptions.set(channel, subscription);
      hub.add(subscription);
      // The session that stands first now remembers what another one has remembered so far.
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
    if (requested.length === 0) return NOTHING;
    const unique = new Map(requested.map((entry) => [entry.channel, entry]));
    const fitting = this.#fitting(unique.keys());
    if (terms.byClient && fitting.size < unique.size) {
      this.#owner.close(DISCONNECTS.channelLimit);
      return NOTHING;
    }
    const positions = new Map<string, Position>();
    const joined = new Map<string, Joined>();
    const patterns: JoinedPattern[] = [];
    const fresh = new Set<string>();
    const errors = new Map<string, MessagingError>();
    this.#undecided ??= new Set();
    const undecided = this.#undecided;
    for (const channel of fitting) undecided.add(channel);
    await Promise.all(
      [...unique.values()].map(async (entry) => {
        const { channel } = entry;
        const before = this.#subscriptions.get(channel);
        try {
          if (!fitting.has(channel)) throw this.#tooMany();
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
          const position = await this.#joinChannel(entry, terms, (one) => {
            joined.set(channel, one);
            if (before === undefined) fresh.add(channel);
          });
          if (position !== undefined) positions.set(channel, position);
        } catch (error) {
          errors.set(channel, MessagingError.from(error));
          if (before !== undefined || isPattern(channel)) return;
          joined.delete(channel);
          this.leave(channel, true);
        }
      }),
    );
    for (const channel of fitting) undecided.delete(channel);
    if (undecided.size === 0) this.#undecided = undefined;
    if (errors.size > 0 && !terms.extended) {
      for (const channel of fresh) this.leave(channel, true);
      return { ...NOTHING, errors: [...errors.values()] };
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

  /**
   * @param take takes the subscription, and again with what is to be caught up with
   * @returns undefined where the session has ended meanwhile
   */
  async #joinChannel(
    entry: SubscriptionMessage,
    terms: JoinTerms,
    take: (joined: Joined) => void,
  ): Promise<Position | undefined> {
    const { channel } = entry;
    const before = this.#subscriptions.get(channel);
    checkChannel(channel);
    const request = recoveryRequest(entry, terms);
    const origin = await terms.authorize(channel, entry.token);
    // A session that has the channel by a pattern goes on after what that has brought.
    if (before === undefined) await this.#patterns?.givenOut(channel);
    if (this.#owner.ended) return undefined;
    const { hub } = this.#host;
    const { ephemeral } = entry;
    const made = { channel, origin, ephemeral };
    const subscription = before ?? new ChannelSubscription(this.#owner, hub.tally, made);
    subscription.origin = higher(subscription.origin, origin);
    const covered = before === undefined && this.#patterns?.covers(channel) === true;
    const reached = before === undefined && !covered ? undefined : this.#reached(channel);
    if (before === undefined) {
      hub.begin(subscription, terms.byClient ? this : undefined);
      this.#subscriptions.set(channel, subscription);
    }
    // One that is fresh is silent until it is acknowledged.
    const isHeld = before === undefined || request !== undefined;
    if (isHeld) subscription.hold(reached);
    take({ subscription, recovery: undefined, isHeld });
    const registering = this.#register(subscription, entry, terms);
    if (before === undefined) subscription.registering = registering.catch(() => {});
    const { position, generation, held } = await registering;
    if (this.#owner.ended) return undefined;
    if (before === undefined) {
      subscription.registering = undefined;
      if (request === undefined) subscription.began = reached ?? position;
      if (covered) subscription.floor = reached ?? { epoch: position.epoch, offset: 0 };
    }
    // A second subscribe of a live session moves nothing: it has taken what came before.
    if (subscription.floor === undefined) {
      subscription.floor = position;
      subscription.generation = generation;
    }
    if (request === undefined) return position;
    const plan = subscription.plan(request, reached, position);
    take({ subscription, recovery: { ...plan, held }, isHeld });
    return position;
  }

  /** How far the session is in a channel that it hears already. */
  #reached(channel: string): Position | undefined {
    const position = this.#host.broker.position(channel);
    const floor = this.#patterns?.floor(channel);
    if (position === undefined || floor === undefined) return position ?? floor;
    // A floor in another log is one that the node has not entered yet: entering it would have taken the floor away.
    return position.epoch === floor.epoch && floor.offset <= position.offset ? position : floor;
  }

  /**
   * Lets each subscription catch up with what was asked for, then lets out what came in meanwhile. What
   * has nothing to catch up with is live when this returns, before its promise settles.
   */
  async settle({ joined, patterns }: Pick<JoinOutcome, "joined" | "patterns">): Promise<void> {
    this.#patterns?.begin(patterns);
    const behind: Joined[] = [];
    for (const one of joined) {
      const { subscription, recovery, isHeld } = one;
      const { channel, began, asked } = subscription;
      const isOwed =
        recovery === undefined &&
        (began ?? asked) !== undefined &&
        this.#patterns?.asks(channel) === true;
      if (isOwed && !isHeld) subscription.hold(this.#reached(channel));
      else if (!isHeld) continue;
      subscription.buffer?.beginIn(subscription.floor?.epoch ?? "");
      if (isOwed || recovery !== undefined || subscription.buffer?.overflowed === true) {
        behind.push(one);
      } else subscription.release();
    }
    if (behind.length === 0 && patterns.every((one) => one.recovery === undefined)) return;
    await this.reads.run(async () => {
      const catchUp = new CatchUp(this.#host, this.#owner);
      for (const { subscription, recovery, isHeld } of behind) {
        if (this.#owner.ended) return;
        if (subscription.isOver) continue;
        if (recovery !== undefined) await catchUp.recover(subscription, recovery, this.#patterns);
        else if (this.#patterns !== undefined) {
          await catchUp.recoverOwed(subscription, this.#patterns, isHeld);
        }
        await catchUp.goOn(subscription);
      }
      await this.#patterns?.settle(patterns, {
        budget: catchUp.budget,
        has: (channel) => this.#subscriptions.has(channel),
        catchUp: (channel) => this.#catchUpOwed(channel, catchUp),
      });
    });
  }

  /**
   * Catches up for patterns with a channel that the session has by itself.
   *
   * @returns false where the session has it by patterns alone
   */
  async #catchUpOwed(channel: string, catchUp: CatchUp): Promise<boolean> {
    await this.#subscriptions.get(channel)?.registering;
    const subscription = this.#subscriptions.get(channel);
    if (subscription?.floor === undefined) return false;
    // It was given for another pattern, from a time on.
    if ((subscription.began ?? subscription.asked) === undefined) return true;
    subscription.hold(this.#reached(channel));
    await catchUp.recoverOwed(subscription, this.#ofPatterns, false);
    await catchUp.goOn(subscription);
    return true;
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
    // It may be catching up: rules take channels away at any time.
    subscription.end();
  }

  leaveAll(clean: boolean): void {
    this.#patterns?.leaveAll();
    for (const channel of this.names) this.leave(channel, clean);
  }

  #tooMany(): MessagingError {
    const { maxSubscriptions } = this.#host.settings;
    const text = `a session has at most ${maxSubscriptions} channels and patterns`;
    return new MessagingError("BAD_REQUEST", text);
  }

  get #ofPatterns(): SessionPatterns {
    this.#patterns ??= new SessionPatterns(this.#host, this.#owner);
    return this.#patterns;
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
    // Whatever becomes of the subscribe: a record has to say what was reported to the broker.
    subscription.ephemeral = ephemeral;
    subscription.member = member;
    const seen = extended || joining !== undefined ? undefined : broker.position(channel);
    const registering =
      seen === undefined ? broker.subscribe(channel) : { position: seen, generation: 0 };
    const [registration] = await Promise.all([
      registering,
      // A session that is no member is subscribed all the same.
      joining?.catch((error: unknown) => logger.warn("join failed", { error: String(error) })),
    ]);
    return registration;
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
  // A client that means a position and has none cannot hear that nothing was missed.
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
  const echo = { ...blankSubscription(), channel, ephemeral, token };
  if (!extended) return echo;
  if (error !== undefined)
    return create(SubscriptionSchema, { channel, ephemeral, token, error: errorMessage(error) });
  if (position !== undefined) echo.position = positionMessage(position);
  return echo;
}
