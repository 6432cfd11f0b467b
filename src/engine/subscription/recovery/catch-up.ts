/** How the channels that a session has by themselves catch up with what its client missed. */
import type { ChannelRules } from "../../../channels/rules.ts";
import type { Position } from "../../ports/broker.ts";
import type { ChannelSubscription, ReplayPlan } from "../channel-subscription.ts";
import type { ChannelsHost, ChannelsOwner } from "../ports.ts";
import type { SessionPatterns } from "../session-patterns.ts";
import { budgetOf, type RecoveryResult, type ReplayBudget } from "./found.ts";
import {
  type Absence,
  type AskedByPatterns,
  readHead,
  recoverFromTime,
  rulesFor,
} from "./pattern-recovery.ts";
import { type LogReader, onlyGap, type RecoveryRequest, readRange, recover } from "./recovery.ts";
import { readPresence, replay } from "./replay.ts";

/** One request that catches up: what it may replay is shared by its subscriptions. */
export class CatchUp {
  readonly budget: ReplayBudget;
  readonly #host: ChannelsHost;
  readonly #owner: ChannelsOwner;
  readonly #reader: LogReader;

  constructor(host: ChannelsHost, owner: ChannelsOwner) {
    const { broker, logger, turns, reads } = host;
    this.budget = budgetOf(host.settings);
    this.#host = host;
    this.#owner = owner;
    this.#reader = { broker, logger, turns, reads, over: () => owner.ended };
  }

  /** @param patterns what they ask of the channel is brought with it, in one replay from whatever is lower */
  async recover(
    subscription: ChannelSubscription,
    { request, until, held }: ReplayPlan,
    patterns: SessionPatterns | undefined,
  ): Promise<void> {
    const { channel } = subscription;
    const recoverable = rulesFor(this.#host, this.#owner, channel).recovery;
    const own = startOf(request, until);
    // Where nothing can be replayed there is one verdict for all.
    const isShared = !recoverable || own.offset <= until.offset;
    const asked = isShared ? patterns?.takeAsked(channel) : undefined;
    const last = asked?.last;
    const isLower = last !== undefined && (last.epoch !== own.epoch || last.offset < own.offset);
    const wanted = isLower ? { since: last, rewind: 0 } : request;
    const before = { ...this.budget };
    const reader = { ...this.#reader, held };
    let found = await recover(reader, channel, wanted, until, this.budget, recoverable);
    if (isLower && request.since === undefined && request.rewind === 0) {
      // The client means a position and has none: nothing says what it has of the channel by itself.
      found = {
        ...found,
        gap: found.gap ?? { reason: "unavailable", after: undefined, until: last },
      };
    }
    if (request.rewind > 0 && asked !== undefined && asked.last === undefined) {
      found = await this.#beforeRewind(channel, own, until, asked, { found, before });
    }
    await this.#give(subscription, until, found);
    subscription.asked = isLower && last.epoch === own.epoch ? last : own;
  }

  /**
   * What was missed since a time, where that reaches back further than the last messages that were asked for.
   *
   * @param rewound those, and what the request might replay before them
   */
  async #beforeRewind(
    channel: string,
    own: Position,
    until: Position,
    asked: AskedByPatterns & { readonly last?: undefined },
    {
      found: rewound,
      before: most,
    }: { readonly found: RecoveryResult; readonly before: ReplayBudget },
  ): Promise<RecoveryResult> {
    const rules = rulesFor(this.#host, this.#owner, channel);
    const missed = await this.#meanwhile(channel, until, asked.absence, most, rules);
    if (missed === undefined) return rewound;
    const first = Number(missed.entries[0]?.offset ?? until.offset + 1);
    if (first <= own.offset) {
      // It is replayed in place of the rewind, and what the request may replay is shared by all its channels.
      Object.assign(this.budget, most);
      return missed;
    }
    const { gap } = missed;
    if (gap === undefined) return rewound;
    const end = { epoch: gap.until.epoch, offset: Math.min(gap.until.offset, own.offset) };
    return { ...rewound, gap: rewound.gap ?? { ...gap, until: end } };
  }

  /**
   * Brings what patterns that catch up ask of a channel and the session has not had by this subscription. Where the
   * subscription is live already, what it has brought is replayed as well, as where a client subscribes again.
   *
   * @param isFresh whether the same request has made the subscription
   */
  async recoverOwed(
    subscription: ChannelSubscription,
    patterns: SessionPatterns,
    isFresh: boolean,
  ): Promise<void> {
    const { channel, floor } = subscription;
    const began = subscription.began ?? subscription.asked;
    const asked = patterns.takeAsked(channel);
    if (asked === undefined || began === undefined || floor === undefined) return;
    const rules = rulesFor(this.#host, this.#owner, channel);
    // What cannot be replayed is not missing where it has come; but a verdict never leads back into a log that has ended.
    const isLive = floor.epoch !== began.epoch || (rules.recovery && floor.offset > began.offset);
    const until = isLive ? floor : began;
    const { last } = asked;
    let found: RecoveryResult | undefined;
    if (last !== undefined) {
      const isBrought = last.epoch === began.epoch && last.offset >= began.offset;
      if (isBrought && !isFresh) return;
      const request = { since: last, rewind: 0 };
      const { budget } = this;
      found = await recover(this.#reader, channel, request, until, budget, rules.recovery);
    } else {
      const { since, absence } = asked;
      // A client that has asked for the channel by itself has said what it has of it.
      if (subscription.began === undefined || patterns.hasBrought(channel, since)) return;
      // Whether anything was missed is to be known first, and takes nothing away from other channels.
      const most = isLive ? { ...this.budget } : this.budget;
      found = await this.#meanwhile(channel, began, absence, most, rules);
      if (isLive && found !== undefined && found.entries.length > 0) {
        found = await this.#meanwhile(channel, until, absence, this.budget, rules);
      }
    }
    if (found === undefined) return;
    subscription.raise(until);
    await this.#give(subscription, until, found);
    subscription.asked = last?.epoch === until.epoch ? last : undefined;
  }

  /** Reads what was too much to be held, and lets out the rest. */
  async goOn(subscription: ChannelSubscription): Promise<void> {
    await this.#readDropped(subscription);
    if (!this.#isOver(subscription)) subscription.release();
  }

  /** Replays what was found, and ends that with the verdict. */
  async #give(
    subscription: ChannelSubscription,
    until: Position,
    found: RecoveryResult,
  ): Promise<void> {
    if (this.#isOver(subscription)) return;
    subscription.began = undefined;
    await this.#replay(subscription, until.epoch, found);
    if (this.#isOver(subscription)) return;
    this.#owner.tellRecovered(subscription.channel, until, found.gap);
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

  async #readDropped(subscription: ChannelSubscription): Promise<void> {
    const { channel, buffer } = subscription;
    for (;;) {
      if (this.#isOver(subscription)) return;
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
      const budget = budgetOf(this.#host.settings);
      const found = same
        ? await readRange(this.#reader, channel, floor.offset, dropped, budget)
        : await recover(this.#reader, channel, { since: floor, rewind: 0 }, dropped, budget, true);
      if (this.#isOver(subscription)) return;
      subscription.floor = dropped;
      if (found.gap !== undefined) this.#owner.tellGap(channel, found.gap);
      await this.#replay(subscription, dropped.epoch, found);
    }
  }

  async #replay(
    subscription: ChannelSubscription,
    epoch: string,
    { entries }: RecoveryResult,
  ): Promise<void> {
    const { channel } = subscription;
    const isOver = (): boolean => this.#isOver(subscription);
    await replay(this.#host, isOver, subscription, { channel, epoch, entries });
  }

  /** Whether nothing more is for the client. */
  #isOver(subscription: ChannelSubscription): boolean {
    return this.#owner.ended || subscription.isOver;
  }
}

/** After which position the log is replayed for a request. */
function startOf({ since, rewind }: RecoveryRequest, { epoch, offset }: Position): Position {
  if (since !== undefined) return { epoch, offset: since.epoch === epoch ? since.offset : 0 };
  return { epoch, offset: Math.max(0, offset - rewind) };
}
