/**
 * Judges what one subscriber saw of one channel. From the acknowledgement on every message follows the
 * one before, or what lies between was announced: by a gap, or for a replay by the verdict that ends it.
 */
import type { Ask, ChannelFact, Grade, Place, Reason, SeenGap } from "./facts.ts";
import { type LogTruth, type Moment, show } from "./log-truth.ts";

/** What the subscriptions of one request have replayed together. */
export interface RequestTally {
  replayed: number;
}

type Fact<Kind extends ChannelFact["kind"]> = Extract<ChannelFact, { kind: Kind }>;

/** A request that is not done. */
interface Pending {
  readonly ask: Ask;
  readonly tally: RequestTally;
  readonly sent: Moment;
  /** The last place that was acknowledged when it was sent. */
  readonly least: Place | undefined;
  readonly acknowledged: { readonly position: Place; readonly at: Moment } | undefined;
  readonly replayed: readonly Place[];
}

export class ListenerTruth {
  readonly #grade: Grade;
  readonly #log: LogTruth;
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

  constructor(
    grade: Grade,
    log: LogTruth,
    recoveryMessages: number,
    report: (problem: string) => void,
  ) {
    this.#grade = grade;
    this.#log = log;
    this.#limit = recoveryMessages;
    this.#report = report;
  }

  /** Whether it is subscribed, and owed all that is published. */
  get live(): boolean {
    return this.#since !== undefined && this.#pending === undefined;
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
        this.drop();
        break;
    }
  }

  /** The connection is gone, or the subscription has ended. */
  drop(): void {
    this.#pending = undefined;
    this.#since = undefined;
    this.#left = this.#at ?? this.#left;
    this.#at = undefined;
  }

  /** Why it has not all that it is owed up to the head, or undefined. */
  owed(head: Place): string | undefined {
    if (this.#since === undefined || this.#pending !== undefined) return undefined;
    const { transient } = this.#log.terms.rules;
    const gaps = this.#grade === "recovery";
    // Who knows no gaps is not told what has passed.
    if (transient && !gaps && this.#log.disturbed(this.#told ?? this.#since)) return undefined;
    if (this.#at === undefined) {
      const first = this.#log.firstAfter(head.epoch, this.#since.seq);
      return first === undefined ? undefined : `nothing came, and ${first} was sent since`;
    }
    if (this.#at.epoch === head.epoch && this.#at.offset === head.offset) return undefined;
    // A transient channel tells that it has begun anew when there is something to say, and so does any
    // channel to those who know no gaps.
    if ((transient || !gaps) && head.offset === 0 && this.#at.epoch !== head.epoch)
      return undefined;
    return `it is at ${show(this.#at)}, and the head is ${show(head)}`;
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
    this.#pending = { ask, tally, sent: now, least, acknowledged: undefined, replayed: [] };
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
    this.#since ??= now;
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
    if (asks) this.#pending = { ...pending, acknowledged: { position, at: now } };
    else {
      this.#pending = undefined;
      if (fresh) this.#at = position;
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
    this.#at = place;
    if (at === undefined) {
      const ceiling = this.#log.ceiling(place.epoch, this.#since?.seq ?? 0);
      const lost = { epoch: place.epoch, offset: place.offset - 1 };
      if (lost.offset > ceiling) this.#lose(lost, ceiling, now);
      return;
    }
    if (follows(at, place)) return;
    if (this.#grade === "recovery") {
      this.#report(`${show(place)} comes behind ${show(at)} without a gap`);
    } else if (place.epoch !== at.epoch) {
      // Who knows no gaps is told nothing; an older life must not come back all the same.
      this.#changed(at, now);
      if (this.#log.order(place.epoch) < this.#log.order(at.epoch)) {
        this.#report(`${show(place)} comes behind ${show(at)}, which is of a later epoch`);
      }
    } else if (place.offset <= at.offset) {
      this.#report(`${show(place)} comes behind ${show(at)}`);
    } else this.#lose({ epoch: place.epoch, offset: place.offset - 1 }, at.offset, now);
  }

  /** The log has begun anew under a subscription that kept it from being forgotten. */
  #changed({ epoch }: Place, now: Moment): void {
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
    this.#at = until;
    if (after !== undefined && at !== undefined && show(after) !== show(at)) {
      this.#report(`a gap ${reason} begins after ${show(after)}, and ${show(at)} was reached`);
    }
    if (at !== undefined && until.epoch !== at.epoch) {
      if (reason !== "epoch_changed") this.#report(`a gap ${reason} leads to another epoch`);
      if (this.#log.order(until.epoch) < this.#log.order(at.epoch)) {
        this.#report(`a gap leads from ${show(at)} back to ${show(until)}`);
      }
      this.#changed(at, now);
      this.#gone("head_trimmed", until, 0, now, true);
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
      const why = this.#log.implausible(reason as Reason, last, now);
      if (why !== undefined) this.#report(`a gap ${reason} until ${show(last)}: ${why}`);
    }
  }

  #recovered({ position, gap }: Fact<"recovered">, now: Moment): void {
    const pending = this.#pending;
    if (pending?.acknowledged === undefined) {
      this.#report("a verdict that nobody waits for");
      return;
    }
    this.#pending = undefined;
    const { position: head } = pending.acknowledged;
    if (position === undefined) {
      this.#report("a verdict without a position");
      this.#at = pending.replayed.at(-1) ?? head;
      return;
    }
    this.#at = position;
    const problem = this.#verdict(pending, head, position, gap, now);
    const { since, recover, rewind } = pending.ask;
    const asked = since !== undefined ? show(since) : recover ? "nowhere" : `the last ${rewind}`;
    const [first, last] = [pending.replayed[0], pending.replayed.at(-1)];
    const told = gap === undefined ? "no gap" : `${gap.reason} until ${show(gap.until)}`;
    if (problem !== undefined) {
      const replayed = `${show(first)} to ${show(last)}`;
      const text = `asked from ${asked}, replayed ${replayed}, reached ${show(position)}, ${told}`;
      this.#report(`${problem}: ${text}`);
    }
  }

  #verdict(
    { ask, replayed, tally, sent }: Pending,
    head: Place,
    position: Place,
    gap: SeenGap | undefined,
    now: Moment,
  ): string | undefined {
    const first = replayed[0];
    const last = replayed.at(-1);
    if (position.epoch !== head.epoch)
      return "the verdict is of another epoch than its subscription";
    if (position.offset > head.offset) return "the verdict goes beyond the head";
    if (last !== undefined && show(last) !== show(position)) return "the replay ends elsewhere";
    /** Everything up to here is not replayed. */
    const missing = first === undefined ? position.offset : first.offset - 1;
    const lost = { epoch: position.epoch, offset: missing };
    const gone = (after: number): string | undefined => {
      if (missing <= after) return undefined;
      if (gap?.reason === "limit" || tally.replayed >= this.#limit) return this.#limited(tally);
      const reasons: readonly Reason[] = ["head_trimmed", "expired", "unavailable"];
      const whys = reasons.map((reason) => this.#log.implausible(reason, lost, now));
      return whys.includes(undefined) ? undefined : `what is there is not replayed (${whys[0]})`;
    };
    const { since } = ask;
    if (since === undefined && !ask.recover) {
      const least = Math.max(position.offset - ask.rewind, 0);
      if (missing < least) return "more is replayed than was asked for";
      if (gap === undefined) return gone(least);
      if (gap.reason === "limit") return this.#limited(tally);
      if (gap.reason !== "unavailable") return "a rewind has a gap that it cannot have";
      return this.#unavailable(now);
    }
    if (since === undefined || since.epoch === "") {
      return gap?.reason === "unavailable" ? undefined : "nothing was known, and that is not told";
    }
    if (gap?.reason === "unavailable") return this.#unavailable(now);
    if (!this.#log.terms.rules.recovery) return "a channel without recovery has recovered";
    const beyond = since.epoch === position.epoch && since.offset > head.offset;
    if (since.epoch !== position.epoch || beyond) {
      if (gap?.reason !== "epoch_changed") return "the position is of no such log";
      if (gap.until?.epoch !== position.epoch) return "the gap ends in another epoch";
      if (gap.until.offset !== missing) return "the gap and the replay do not join";
      return beyond ? undefined : gone(0);
    }
    if (since.offset > position.offset) return "the verdict lies before what was known";
    if (first !== undefined && first.offset <= since.offset) return "what was known is replayed";
    if (gap === undefined) return missing === since.offset ? undefined : "a hole is not told";
    if (gap.reason === "epoch_changed") {
      const ceiling = this.#log.ceiling(since.epoch, sent.seq);
      return since.offset > ceiling ? undefined : "the epoch has not changed";
    }
    if (gap.after !== undefined && show(gap.after) !== show(since))
      return "the gap begins elsewhere";
    if (missing === since.offset) return "nothing is missing, and a gap is told";
    if (gap.until?.epoch !== position.epoch || gap.until.offset !== missing) {
      return "the gap and the replay do not join";
    }
    if (gap.reason === "limit") return this.#limited(tally);
    return this.#log.implausible(gap.reason as Reason, lost, now);
  }

  #limited({ replayed }: RequestTally): string | undefined {
    if (replayed >= this.#limit) return undefined;
    return `the limit is ${this.#limit}, and ${replayed} were replayed`;
  }

  #unavailable(now: Moment): string | undefined {
    if (!this.#log.terms.rules.recovery || this.#log.troubled(now)) return undefined;
    return "nothing kept the log from answering";
  }
}

function follows(last: Place, next: Place): boolean {
  return next.epoch === last.epoch && next.offset === last.offset + 1;
}
