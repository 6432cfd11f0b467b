/**
 * Judges what one subscriber saw of one channel. From the acknowledgement on every message follows the
 * one before, or what lies between was announced: by a gap, or for a replay by the verdict that ends it.
 */
import { MAX_REPLAY_BUFFER_BYTES } from "../../src/protocol/limits.ts";
import type { ChannelFact, Grade, Place, Reason, SeenGap } from "./facts.ts";
import { type LogTruth, type Moment, show } from "./log-truth.ts";
import { type Pending, type RequestTally, VerdictJudge } from "./verdict.ts";

type Fact<Kind extends ChannelFact["kind"]> = Extract<ChannelFact, { kind: Kind }>;

/** What the subscriber of a pattern asks for in one of its channels. */
export interface PatternRecovery {
  readonly tally: RequestTally;
  readonly sent: Moment;
  /** Its last position in the channel; undefined where it has none. */
  readonly position: Place | undefined;
  /** When the pattern was last acknowledged, as it says; undefined where it does not know. */
  readonly since: Moment | undefined;
}

export class ListenerTruth {
  readonly #grade: Grade;
  readonly #log: LogTruth;
  readonly #judge: VerdictJudge;
  readonly #limit: number;
  readonly #report: (problem: string) => void;
  #pending: Pending | undefined;
  /** When the subscription that is live was acknowledged; undefined without one. */
  #since: Moment | undefined;
  /** When it was last told something. */
  #told: Moment | undefined;
  /** Everything up to here was received or announced; undefined where nothing says so yet. */
  #at: Place | undefined;
  /** The same, of the subscription before. */
  #left: Place | undefined;
  /** Whether it is subscribed to the channel itself, and whether to a pattern that stands for it. */
  #exact = false;
  #heard = false;
  /** Whether a subscription to the channel has kept its log from being forgotten since it was told `#at`. */
  #kept = false;
  /** What was told without a gap of a log that it had no position in; there may have been another one. */
  #whole: { readonly pending: Pending; readonly epoch: string } | undefined;
  /** Lives of the log that have ended, as the subscription that is live was told. */
  readonly #over = new Set<string>();
  /** What it has by its own word, and nothing else says how far it is. */
  #known: Place | undefined;
  /** When its subscription to the channel was last acknowledged. */
  #acknowledged: Moment | undefined;

  constructor(
    grade: Grade,
    log: LogTruth,
    recoveryMessages: number,
    report: (problem: string) => void,
  ) {
    this.#grade = grade;
    this.#log = log;
    this.#judge = new VerdictJudge(log, recoveryMessages);
    this.#limit = recoveryMessages;
    this.#report = report;
  }

  take(fact: ChannelFact, now: Moment, tally: RequestTally): void {
    this.#told = now;
    switch (fact.kind) {
      case "subscribe":
        this.#subscribe(fact, now, tally);
        break;
      case "ack":
        this.#acknowledge(fact, now);
        break;
      case "message":
        this.#message(fact, now);
        break;
      case "recovered":
        this.#recovered(fact, now);
        break;
      case "gap":
        this.#gap(fact.gap, now);
        break;
      case "unsubscribe":
        break;
      case "unsubscribed":
        if (this.#heard) {
          this.#exact = false;
          this.#kept = false;
        } else this.drop();
        break;
    }
  }

  /** The connection is gone, or every subscription has ended. */
  drop(): void {
    this.#pending = undefined;
    this.#since = undefined;
    this.#left = this.#at ?? this.#left;
    this.#at = undefined;
    this.#exact = false;
    this.#heard = false;
    this.#known = undefined;
    this.#acknowledged = undefined;
    this.#whole = undefined;
    this.#over.clear();
  }

  /** A pattern that stands for the channel is acknowledged: what is published from now on is owed. */
  hear(now: Moment, recovery: PatternRecovery | undefined): void {
    this.#heard = true;
    // Who is subscribed to the channel itself has it from there.
    if (this.#exact) return;
    this.#told = now;
    this.#since = now;
    if (recovery === undefined) return;
    const { tally, sent, position, since } = recovery;
    this.#pending = {
      ask: { recover: true, since: position, rewind: 0 },
      tally,
      sent,
      least: this.#log.least(sent.seq),
      acknowledged: { head: undefined },
      replayed: [],
      pattern: { since },
    };
  }

  /**
   * The verdict on the pattern: nothing more of what was missed is told.
   *
   * @param excused whether channels without a position may be missing
   * @returns what is wrong with that
   */
  heard(excused: boolean): string | undefined {
    const pending = this.#pending;
    const whole = this.#whole;
    this.#whole = undefined;
    if (pending?.pattern !== undefined) {
      this.#pending = undefined;
      if (pending.ask.since !== undefined) return "it has a position, and no verdict";
      if (pending.replayed.length > 0) return "a replay ends without a verdict";
    }
    const { pattern, sent } = whole?.pending ?? pending ?? {};
    if (excused || pattern?.since === undefined || sent === undefined) return undefined;
    const missed = this.#log.settledBetween(pattern.since.seq, sent.seq, whole?.epoch);
    return missed && `${show(missed)} was missed, and nothing is told`;
  }

  /** What was published until now may be missed, unless the channel is known. */
  excuse(now: Moment): void {
    if (this.#heard && !this.#exact && this.#at === undefined) this.#since = now;
  }

  /** A pattern that stands for the channel has ended. */
  unhear(): void {
    this.#heard = false;
    if (!this.#exact) this.drop();
  }

  /** Why it has not all that it is owed up to the head, or undefined. */
  owed(head: Place): string | undefined {
    if (this.#since === undefined || this.#pending !== undefined) return undefined;
    const { transient } = this.#log.terms.rules;
    const gaps = this.#grade === "recovery";
    // Who knows no gaps is not told what has passed.
    if (!gaps && this.#log.disturbed(this.#told ?? this.#since)) return undefined;
    if (this.#at === undefined) {
      const first = this.#log.firstAfter(head.epoch, this.#since.seq);
      return first === undefined ? undefined : `nothing came, and ${first} was sent since`;
    }
    if (this.#at.epoch === head.epoch && this.#at.offset === head.offset) return undefined;
    if (!gaps && this.#letGo(this.#at, head)) return undefined;
    // A transient channel tells that it has begun anew when there is something to say, and so does any
    // channel to those who know no gaps, or whose pattern did not keep its log.
    const silent = transient || !gaps || !this.#kept;
    if (silent && head.offset === 0 && this.#at.epoch !== head.epoch) return undefined;
    return `it is at ${show(this.#at)}, and the head is ${show(head)}`;
  }

  /** Whether all up to the head was too much to wait for an acknowledgement, and could not be read again. */
  #letGo(at: Place, head: Place): boolean {
    const acknowledged = this.#acknowledged;
    if (acknowledged === undefined || at.epoch !== head.epoch) return false;
    if (head.offset > this.#log.ceiling(head.epoch, acknowledged.seq)) return false;
    const isGone =
      this.#log.terms.rules.transient ||
      this.#log.implausible("head_trimmed", head, acknowledged) === undefined;
    return isGone && this.#log.padding(at, head.offset) > MAX_REPLAY_BUFFER_BYTES;
  }

  #subscribe({ ask }: Fact<"subscribe">, now: Moment, tally: RequestTally): void {
    const least = this.#log.least(now.seq);
    const reached = this.#at ?? this.#left;
    const { since } = ask;
    // Beyond the head nobody was, and who says so means to lie.
    if (
      since !== undefined &&
      since.epoch === reached?.epoch &&
      since.offset > reached.offset &&
      since.offset <= this.#log.ceiling(since.epoch, now.seq)
    ) {
      this.#report(`it asks from ${show(since)}, and ${show(reached)} was reached`);
    }
    this.#pending = {
      ask,
      tally,
      sent: now,
      least,
      acknowledged: undefined,
      replayed: [],
      pattern: undefined,
    };
  }

  #acknowledge({ position, error }: Fact<"ack">, now: Moment): void {
    const pending = this.#pending;
    if (pending === undefined || pending.acknowledged !== undefined) {
      this.#report("an acknowledgement that nobody waits for");
      return;
    }
    if (error !== undefined) {
      if (error !== "UNAVAILABLE" || !this.#log.troubled(now)) {
        this.#report(`the subscription is refused with ${error}`);
      }
      this.#pending = undefined;
      return;
    }
    const fresh = this.#since === undefined;
    this.#exact = true;
    this.#since ??= now;
    this.#acknowledged = now;
    if (this.#grade === "v1") {
      this.#pending = undefined;
      return;
    }
    if (position === undefined || position.epoch === "") {
      this.#report("the acknowledgement has no position");
      this.#pending = undefined;
      return;
    }
    const { least, ask } = pending;
    if (position.epoch === least?.epoch && position.offset < least.offset) {
      this.#report(`the head is told as ${show(position)}, and ${least.offset} was acknowledged`);
    }
    if (position.offset > this.#log.ceiling(position.epoch, now.seq)) {
      this.#report(`the head is told as ${show(position)}, which is not published yet`);
    }
    const asks = ask.recover || ask.since !== undefined || ask.rewind > 0;
    if (asks) this.#pending = { ...pending, acknowledged: { head: position } };
    else {
      this.#pending = undefined;
      if (fresh) this.#reach(position);
    }
  }

  #message({ place, replay }: Fact<"message">, now: Moment): void {
    const pending = this.#pending;
    if (this.#since === undefined) {
      this.#report(`${show(place)} came without a subscription`);
    } else if (pending?.acknowledged !== undefined) {
      if (!replay) this.#report(`${show(place)} came live before the verdict`);
      const last = pending.replayed.at(-1);
      if (last !== undefined && !follows(last, place)) {
        this.#report(`${show(place)} is replayed behind ${show(last)}`);
      }
      pending.tally.replayed += 1;
      this.#pending = { ...pending, replayed: [...pending.replayed, place] };
    } else this.#live(place, now);
  }

  #live(place: Place, now: Moment): void {
    const at = this.#at;
    const kept = this.#kept;
    this.#reach(place);
    if (at === undefined) {
      this.#first(place, now);
      return;
    }
    if (follows(at, place)) return;
    if (!kept && this.#goesOn(at, place, now)) return;
    if (this.#grade === "recovery") {
      this.#report(`${show(place)} comes behind ${show(at)} without a gap`);
    } else if (place.epoch !== at.epoch) {
      // Who knows no gaps is told nothing; an older life must not come back all the same.
      this.#changed(at, now);
      if (this.#isBack(at, place)) {
        this.#report(`${show(place)} comes behind ${show(at)}, which is of a later epoch`);
      }
    } else if (place.offset <= at.offset) {
      this.#report(`${show(place)} comes behind ${show(at)}`);
    } else this.#lose({ epoch: place.epoch, offset: place.offset - 1 }, at.offset, now);
  }

  /** The first that comes where nothing said how far it is: what was sent since must come. */
  #first(place: Place, now: Moment): void {
    const known = this.#known;
    this.#known = undefined;
    if (known?.epoch === place.epoch && place.offset <= known.offset) {
      this.#report(`${show(place)} comes behind ${show(known)}, which was known`);
    }
    const ceiling = this.#log.ceiling(place.epoch, this.#since?.seq ?? 0);
    const lost = { epoch: place.epoch, offset: place.offset - 1 };
    if (lost.offset <= ceiling) return;
    if (this.#grade !== "recovery") this.#lose(lost, ceiling, now);
    else this.#report(`${ceiling + 1} to ${show(lost)} are missing without a gap`);
  }

  /** Whether who has a channel by a pattern alone may come to another life of its log without a gap. */
  #goesOn(at: Place, place: Place, now: Moment): boolean {
    if (place.epoch === at.epoch) return false;
    // What was on its way when a log was lost may come behind the verdict that knows the next one.
    const late = at.offset === 0 && this.#log.lost(place.epoch, now);
    if (this.#log.follows(at.epoch, place.epoch)) return late;
    // Nothing is missing where a log is forgotten of which everything was told.
    const all = at.offset >= this.#log.ceiling(at.epoch, Number.POSITIVE_INFINITY);
    const next = place.offset === 1 && all;
    return next || (late && !this.#log.follows(place.epoch, at.epoch));
  }

  /** Whether a live subscription is led from one life of the log to an earlier one, or to one it has left. */
  #isBack(from: Place, to: Place): boolean {
    this.#over.add(from.epoch);
    return this.#over.has(to.epoch) || this.#log.follows(from.epoch, to.epoch);
  }

  #reach(place: Place): void {
    this.#at = place;
    this.#kept = this.#exact;
  }

  /** The log has begun anew under a subscription that kept it from being forgotten. */
  #changed({ epoch }: Place, now: Moment): void {
    if (!this.#exact) return;
    if (!this.#log.lost(epoch, now)) this.#report(`${epoch} has ended, and it was not lost`);
  }

  /** Messages are missing that this subscriber cannot be told of: they must truly be gone. */
  #lose(last: Place, after: number, now: Moment): void {
    const reasons: readonly Reason[] = ["head_trimmed", "expired", "unavailable"];
    if (reasons.some((reason) => this.#log.implausible(reason, last, now) === undefined)) return;
    this.#report(`${after + 1} to ${show(last)} are missing and were not lost`);
  }

  #gap(gap: SeenGap, now: Moment): void {
    const at = this.#at;
    const { reason, after, until } = gap;
    if (this.#since === undefined || this.#pending?.acknowledged !== undefined) {
      this.#report(`a gap ${reason} came without a live subscription`);
      return;
    }
    if (until === undefined) {
      this.#report(`a gap ${reason} does not say how far it goes`);
      return;
    }
    this.#reach(until);
    if (after !== undefined && at !== undefined && show(after) !== show(at)) {
      this.#report(`a gap ${reason} begins after ${show(after)}, and ${show(at)} was reached`);
    }
    if (at !== undefined && until.epoch !== at.epoch) {
      // Who hears a channel by a pattern alone may have forgotten where its subscribers are.
      const unsure = reason === "unavailable" && !this.#exact;
      if (reason !== "epoch_changed" && !unsure) {
        this.#report(`a gap ${reason} leads to another epoch`);
      }
      if (this.#isBack(at, until)) {
        this.#report(`a gap leads from ${show(at)} back to ${show(until)}`);
      }
      this.#changed(at, now);
      this.#gone("head_trimmed", until, 0, now, true);
      return;
    }
    if (at === undefined && reason === "epoch_changed") {
      this.#gone(reason, until, this.#log.ceiling(until.epoch, this.#since.seq), now, true);
      return;
    }
    if (at !== undefined && until.offset <= at.offset) {
      this.#report(`a gap until ${show(until)} comes behind ${show(at)}`);
    }
    this.#gone(reason, until, at?.offset ?? 0, now, false);
  }

  /** What a gap says is missing must have been lost for the reason that it gives. */
  #gone(reason: string, last: Place, after: number, now: Moment, anyReason: boolean): void {
    if (last.offset <= after) return;
    if (anyReason) this.#lose(last, after, now);
    else {
      const why =
        reason === "limit"
          ? this.#limited(last, now)
          : this.#log.implausible(reason as Reason, last, now);
      if (why !== undefined) this.#report(`a gap ${reason} until ${show(last)}: ${why}`);
    }
  }

  /** Why a message was not too much to be read again; undefined where it can have been. The newest are read. */
  #limited(last: Place, now: Moment): string | undefined {
    const behind = this.#log.ceiling(last.epoch, now.seq) - last.offset;
    if (behind >= this.#limit) return undefined;
    return `the limit is ${this.#limit}, and ${behind} follow at most`;
  }

  #recovered({ position, gap }: Fact<"recovered">, now: Moment): void {
    const pending = this.#pending;
    if (pending?.acknowledged === undefined) {
      this.#report("a verdict that nobody waits for");
      return;
    }
    this.#pending = undefined;
    const { ask, pattern, replayed, acknowledged } = pending;
    const { since, recover, rewind } = ask;
    if (pattern !== undefined && gap?.reason === "unavailable" && same(gap.after, position)) {
      // The channel has not answered: it goes on with what is sent from the acknowledgement on.
      const problem =
        replayed.length > 0 ? "the replay ends elsewhere" : this.#judge.unavailable(now);
      if (problem !== undefined) this.#report(`${problem}: it has told no head`);
      if (since !== undefined && since.offset <= this.#log.ceiling(since.epoch, now.seq)) {
        this.#known = since;
      }
      return;
    }
    if (position === undefined) {
      this.#report("a verdict without a position");
      const place = replayed.at(-1) ?? acknowledged.head;
      if (place !== undefined) this.#reach(place);
      return;
    }
    this.#reach(position);
    if (pattern !== undefined && since === undefined && gap === undefined) {
      this.#whole = { pending, epoch: position.epoch };
    }
    const problem = this.#judge.problem(pending, { position, gap }, now);
    if (problem === undefined) return;
    const asked = since !== undefined ? show(since) : recover ? "nowhere" : `the last ${rewind}`;
    const told = gap === undefined ? "no gap" : `${gap.reason} until ${show(gap.until)}`;
    const between = `${show(replayed[0])} to ${show(replayed.at(-1))}`;
    const text = `asked from ${asked}, replayed ${between}, reached ${show(position)}, ${told}`;
    this.#report(`${problem}: ${text}`);
  }
}

function same(one: Place | undefined, other: Place | undefined): boolean {
  return show(one) === show(other);
}

function follows(last: Place, next: Place): boolean {
  return next.epoch === last.epoch && next.offset === last.offset + 1;
}
