/** Judges the verdict that ends a replay: what was missed, what was replayed of it, and what is said of the rest. */
import type { Ask, Place, Reason, SeenGap } from "./facts.ts";
import { type LogTruth, type Moment, show } from "./log-truth.ts";

/** What the subscriptions of one request have replayed together. */
export interface RequestTally {
  replayed: number;
}

/** A request that is not done. */
export interface Pending {
  readonly ask: Ask;
  readonly tally: RequestTally;
  readonly sent: Moment;
  /** The last place that was acknowledged when it was sent. */
  readonly least: Place | undefined;
  /** Undefined until it is acknowledged; a pattern's acknowledgement says nothing of the channel's head. */
  readonly acknowledged: { readonly head: Place | undefined } | undefined;
  readonly replayed: readonly Place[];
  /** Where a pattern brings the channel: when it was last acknowledged, as its subscriber says. */
  readonly pattern: { readonly since: Moment | undefined } | undefined;
}

export interface Verdict {
  readonly position: Place;
  readonly gap: SeenGap | undefined;
}

export class VerdictJudge {
  readonly #log: LogTruth;
  readonly #limit: number;

  constructor(log: LogTruth, recoveryMessages: number) {
    this.#log = log;
    this.#limit = recoveryMessages;
  }

  /** What is wrong with it, or undefined. */
  problem(pending: Pending, verdict: Verdict, now: Moment): string | undefined {
    const { position } = verdict;
    const { acknowledged, least, replayed, pattern } = pending;
    const head = acknowledged?.head;
    if (head !== undefined) {
      if (position.epoch !== head.epoch)
        return "the verdict is of another epoch than its subscription";
      if (position.offset > head.offset) return "the verdict goes beyond the head";
    } else if (position.epoch === least?.epoch && position.offset < least.offset) {
      return `${least.offset} was acknowledged`;
    } else if (position.offset > this.#log.ceiling(position.epoch, now.seq)) {
      return "the verdict goes beyond what is published";
    }
    const last = replayed.at(-1);
    if (last !== undefined && show(last) !== show(position)) return "the replay ends elsewhere";
    const unknown = pattern !== undefined && pending.ask.since === undefined;
    return unknown
      ? this.#ofUnknown(pending, verdict, pattern.since, now)
      : this.#ofKnown(pending, verdict, head ?? position, now);
  }

  #ofKnown(
    { ask, replayed, tally, sent }: Pending,
    { position, gap }: Verdict,
    head: Place,
    now: Moment,
  ): string | undefined {
    const first = replayed[0];
    const missing = missingIn(replayed, position);
    const lost = { epoch: position.epoch, offset: missing };
    const gone = (after: number): string | undefined => {
      if (missing <= after) return undefined;
      if (gap?.reason === "limit" || tally.replayed >= this.#limit) return this.#limited(tally);
      return this.#there(lost, now);
    };
    const { since } = ask;
    if (since === undefined && !ask.recover) {
      const least = Math.max(position.offset - ask.rewind, 0);
      if (missing < least) return "more is replayed than was asked for";
      if (gap === undefined) return gone(least);
      if (gap.reason === "limit") return this.#limited(tally);
      if (gap.reason !== "unavailable") return "a rewind has a gap that it cannot have";
      return this.unavailable(now);
    }
    if (since === undefined || since.epoch === "") {
      return gap?.reason === "unavailable" ? undefined : "nothing was known, and that is not told";
    }
    if (gap?.reason === "unavailable") return this.unavailable(now);
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

  /** Of a channel that the subscriber of a pattern has no position in: what was published since counts. */
  #ofUnknown(
    { replayed, tally }: Pending,
    { position, gap }: Verdict,
    since: Moment | undefined,
    now: Moment,
  ): string | undefined {
    const { rules } = this.#log.terms;
    if (gap?.reason === "unavailable" && (!rules.recovery || this.#log.troubled(now))) {
      return undefined;
    }
    if (!rules.recovery) return "a channel without recovery has recovered";
    const missing = missingIn(replayed, position);
    const lost = { epoch: position.epoch, offset: missing };
    if (gap === undefined) return missing > 0 ? "a hole is not told" : undefined;
    if (gap.until?.epoch !== position.epoch || gap.until.offset !== missing) {
      return "the gap and the replay do not join";
    }
    const first = since && this.#log.firstAfter(position.epoch, since.seq);
    if (first !== undefined && first <= missing && tally.replayed < this.#limit) {
      const why = this.#there(lost, now);
      if (why !== undefined) return why;
    }
    switch (gap.reason) {
      case "limit":
        return this.#limited(tally);
      case "unavailable":
        return missing > 0 ? undefined : "nothing is missing, and a gap is told";
      case "expired": {
        // A log may have been forgotten before this one.
        if (since === undefined || now.time - since.time >= rules.positionTtlMs) return undefined;
        return this.#log.implausible("expired", lost, now);
      }
      default:
        return this.#log.implausible(gap.reason as Reason, lost, now);
    }
  }

  /** Why something must still be there, or undefined. */
  #there(lost: Place, now: Moment): string | undefined {
    const reasons: readonly Reason[] = ["head_trimmed", "expired", "unavailable"];
    const whys = reasons.map((reason) => this.#log.implausible(reason, lost, now));
    return whys.includes(undefined) ? undefined : `what is there is not replayed (${whys[0]})`;
  }

  #limited({ replayed }: RequestTally): string | undefined {
    if (replayed >= this.#limit) return undefined;
    return `the limit is ${this.#limit}, and ${replayed} were replayed`;
  }

  unavailable(now: Moment): string | undefined {
    if (!this.#log.terms.rules.recovery || this.#log.troubled(now)) return undefined;
    return "nothing kept the log from answering";
  }
}

/** Everything up to here is not replayed. */
function missingIn(replayed: readonly Place[], position: Place): number {
  const first = replayed[0];
  return first === undefined ? position.offset : first.offset - 1;
}
