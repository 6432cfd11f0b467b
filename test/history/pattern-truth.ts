/**
 * Judges what one subscriber saw of one pattern. What it owes in each channel is the affair of the channel's
 * own truth; here is when it begins and ends, and whether what is said of the pattern is so.
 */
import type { Grade, PatternFact, Place, SeenGap } from "./facts.ts";
import type { ListenerTruth } from "./listener-truth.ts";
import { type LogTruth, type Moment, show } from "./log-truth.ts";
import type { RequestTally } from "./verdict.ts";

/** How far clocks may lie apart, in milliseconds. */
const CLOCK_SLACK_MS = 100;

type Fact<Kind extends PatternFact["kind"]> = Extract<PatternFact, { kind: Kind }>;

/** A channel that a pattern stands for. */
export interface PatternChannel {
  readonly name: string;
  readonly log: LogTruth;
  /** What the subscriber saw there. */
  readonly listener: ListenerTruth;
}

export interface PatternTruthOptions {
  readonly grade: Grade;
  readonly clock: PatternClock;
  readonly channels: readonly PatternChannel[];
  readonly report: (channel: string, problem: string) => void;
}

/** A request that is not done. */
interface Pending {
  readonly fact: Fact<"subscribe">;
  readonly sent: Moment;
  readonly tally: RequestTally;
  readonly acknowledged: Place | undefined;
}

/** The lives of what a host remembers of its channels: one ends where something is lost, and only there. */
export class PatternClock {
  #life: { readonly epoch: string; readonly last: Moment } | undefined;
  /** Losses that are not over. */
  readonly #open = new Set<number>();
  #lost = -1;
  /** Unix milliseconds. */
  #lostAt = Number.NEGATIVE_INFINITY;

  lose({ span, done, seq, time }: Moment & { span: number; done: boolean }): void {
    if (done) this.#open.delete(span);
    else this.#open.add(span);
    this.#lost = seq;
    this.#lostAt = time;
  }

  lostSince({ seq }: Moment): boolean {
    return this.#open.size > 0 || this.#lost > seq;
  }

  /** The same since a time, Unix milliseconds. */
  lostAfter(time: number): boolean {
    return this.#open.size > 0 || this.#lostAt >= time;
  }

  /** What is wrong with a position that is told, or undefined. */
  saw({ epoch, offset }: Place, now: Moment): string | undefined {
    const life = this.#life;
    this.#life = { epoch, last: now };
    if (epoch === "") return "a position has no epoch";
    if (offset > now.time + CLOCK_SLACK_MS) return `a position lies ${offset - now.time} ms ahead`;
    if (life === undefined || life.epoch === epoch) return undefined;
    return this.lostSince(life.last)
      ? undefined
      : `what is remembered has begun anew, ${life.epoch} to ${epoch}`;
  }
}

export class PatternTruth {
  readonly #options: PatternTruthOptions;
  #pending: Pending | undefined;
  /** Whether it is acknowledged. */
  #live = false;
  /** When each position was told. */
  readonly #acknowledged = new Map<string, Moment>();

  constructor(options: PatternTruthOptions) {
    this.#options = options;
  }

  take(fact: PatternFact, now: Moment, tally: RequestTally): void {
    const { channels } = this.#options;
    switch (fact.kind) {
      case "subscribe":
        this.#pending = { fact, sent: now, tally, acknowledged: undefined };
        break;
      case "ack":
        this.#acknowledge(fact, now);
        break;
      case "recovered":
        this.#recovered(fact, now);
        break;
      case "gap":
        if (!this.#live) this.#report("a gap came without a subscription");
        if (!this.#troubled(now)) this.#report("nothing kept channels from being heard");
        for (const { listener } of channels) listener.excuse(now);
        break;
      case "unsubscribe":
        break;
      case "unsubscribed":
        this.drop();
        for (const { listener } of channels) listener.unhear();
        break;
    }
  }

  /** The connection is gone: its channels know. */
  drop(): void {
    this.#pending = undefined;
    this.#live = false;
  }

  #acknowledge({ position, error }: Fact<"ack">, now: Moment): void {
    const { grade, clock, channels, report } = this.#options;
    const pending = this.#pending;
    if (pending === undefined || pending.acknowledged !== undefined) {
      this.#report("an acknowledgement that nobody waits for");
      return;
    }
    this.#pending = undefined;
    if (error !== undefined) {
      if (error === "UNAVAILABLE" && this.#troubled(now)) return;
      this.#report(`the subscription is refused with ${error}`);
      return;
    }
    this.#live = true;
    const { fact, sent, tally } = pending;
    const problem = grade === "v1" ? undefined : clock.saw(position ?? NOWHERE, now);
    if (problem !== undefined) this.#report(problem);
    const since = fact.since && this.#acknowledged.get(show(fact.since));
    if (position !== undefined) this.#acknowledged.set(show(position), now);
    const asks = grade === "recovery" && fact.recover;
    if (asks) this.#pending = { ...pending, acknowledged: position ?? NOWHERE };
    for (const { name, listener } of channels) {
      const recovery = { tally, sent, since, position: fact.positions[name] };
      listener.hear(now, asks ? recovery : undefined);
    }
    for (const name of Object.keys(fact.positions)) {
      if (channels.some((channel) => channel.name === name)) continue;
      report(name, "a position is of a channel that the pattern is not for");
    }
  }

  #recovered({ position, gap }: Fact<"recovered">, now: Moment): void {
    const pending = this.#pending;
    if (pending?.acknowledged === undefined) {
      this.#report("a verdict that nobody waits for");
      return;
    }
    this.#pending = undefined;
    const { acknowledged, fact } = pending;
    if (position === undefined || show(position) !== show(acknowledged)) {
      this.#report(`the verdict is told at ${show(position)}, and ${show(acknowledged)} was`);
    }
    const problem = this.#verdict(fact.since, { ...pending, acknowledged }, gap, now);
    if (problem !== undefined) {
      this.#report(`${problem}: asked from ${show(fact.since)}, ${gap?.reason ?? "no gap"}`);
    }
    const { channels, clock } = this.#options;
    // What is lost while it catches up may have been named and not be there any more.
    const excused = gap !== undefined || clock.lostSince(pending.sent);
    for (const { name, listener } of channels) {
      const told = listener.heard(excused);
      if (told !== undefined) this.#options.report(name, told);
    }
  }

  #verdict(
    since: Place | undefined,
    { acknowledged, sent }: { readonly acknowledged: Place; readonly sent: Moment },
    gap: SeenGap | undefined,
    now: Moment,
  ): string | undefined {
    if (since === undefined) {
      return gap?.reason === "unavailable" ? undefined : "nothing was known, and that is not told";
    }
    switch (gap?.reason) {
      case undefined:
        return since.epoch === acknowledged.epoch ? undefined : "the position is of no such life";
      case "unavailable":
        return this.#troubled(now) ? undefined : "nothing kept channels from being named";
      case "epoch_changed":
        // It may be lost behind the acknowledgement.
        if (this.#options.clock.lostSince(sent)) return undefined;
        return since.epoch !== acknowledged.epoch ? undefined : "the epoch has not changed";
      case "expired": {
        const known = this.#acknowledged.get(show(since));
        const ttls = this.#options.channels.map(({ log }) => log.terms.rules.positionTtlMs);
        const young = known !== undefined && now.time - known.time < Math.min(...ttls);
        return young ? "no channel was forgotten since" : undefined;
      }
      default:
        return `${gap?.reason} is no reason why channels are not named`;
    }
  }

  #troubled(now: Moment): boolean {
    return this.#options.channels.some(({ log }) => log.troubled(now));
  }

  #report(problem: string): void {
    this.#options.report("all", problem);
  }
}

const NOWHERE: Place = { epoch: "", offset: 0 };
