/**
 * Judges what an application saw of one subscription that it has by the SDK: every message of its channels once and in order,
 * or a gap that says what is missing, and why. Positions, acknowledgements and verdicts are the SDK's own affair.
 */
import type { ApplicationFact, Place, Reason, SeenGap } from "./facts.ts";
import { type LogTruth, type Moment, show } from "./log-truth.ts";
import type { PatternClock } from "./pattern-truth.ts";

type Fact<Kind extends ApplicationFact["kind"]> = Extract<ApplicationFact, { kind: Kind }>;

/** A position that is older than this may be too old for some channel of a pattern, in milliseconds. */
const OLD_MS = 60_000;

export interface ApplicationTruthOptions {
  /** What is subscribed to: a channel or a pattern. */
  readonly name: string;
  readonly clock: PatternClock;
  /** The logs of its channels. */
  readonly logs: readonly LogTruth[];
  /** Whether as much was published, in whatever channel, as one request may replay. */
  readonly much: () => boolean;
  readonly report: (channel: string, problem: string) => void;
}

export class ApplicationTruth {
  readonly #options: ApplicationTruthOptions;
  readonly #views = new Map<string, ChannelView>();
  #ended = false;

  constructor(options: ApplicationTruthOptions) {
    this.#options = options;
    const { logs, name, report, much } = options;
    for (const log of logs) {
      const view = new ChannelView(log, {
        exact: log.channel === name,
        limited: much,
        report: (problem) => report(log.channel, problem),
      });
      this.#views.set(log.channel, view);
    }
  }

  take(fact: ApplicationFact, now: Moment): void {
    const { name, report } = this.#options;
    if (this.#ended) {
      report(name, `a ${fact.kind} came after the end`);
      return;
    }
    switch (fact.kind) {
      case "subscribed":
        for (const view of this.#views.values()) view.begin(now, fact.since);
        break;
      case "message":
        this.#view(fact.channel)?.message(fact, now);
        break;
      case "gap":
        if (fact.channel !== name || this.#views.has(name)) {
          this.#view(fact.channel)?.gap(fact.gap, now);
        } else this.#gapOfPattern(fact.gap, now);
        break;
      case "ended":
        this.#ended = true;
        break;
    }
  }

  /** Why it has not all that it is owed up to the head of a channel, or undefined. */
  owed(channel: string, head: Place): string | undefined {
    return this.#ended ? undefined : this.#views.get(channel)?.owed(head);
  }

  #view(channel: string): ChannelView | undefined {
    const view = this.#views.get(channel);
    if (view === undefined) this.#options.report(channel, "it is not what was subscribed to");
    return view;
  }

  /** Channels that were not known may be missing. */
  #gapOfPattern({ reason, after }: SeenGap, now: Moment): void {
    const { name, logs, clock, report } = this.#options;
    const possible: Readonly<Record<string, () => boolean>> = {
      unavailable: () => logs.some((log) => log.troubled(now)),
      // The place of a pattern is a time: since then its client has heard all.
      epoch_changed: () => after !== undefined && clock.lostAfter(after.offset),
      expired: () => logs.some(({ terms }) => terms.rules.positionTtlMs < OLD_MS),
    };
    if (possible[reason]?.() !== true) report(name, `nothing explains a gap ${reason}`);
    for (const view of this.#views.values()) view.excuse(now);
  }
}

interface ViewTerms {
  /** It is subscribed to by its own name. */
  readonly exact: boolean;
  /** So much was replayed that more of it may have been refused. */
  readonly limited: () => boolean;
  readonly report: (problem: string) => void;
}

/** What lies before a replayed message and was not told yet. */
interface Hole {
  readonly after: Place | undefined;
  readonly until: Place;
}

/** One channel, as the application sees it. */
class ChannelView {
  readonly #log: LogTruth;
  readonly #terms: ViewTerms;
  /** What was published after this is owed. */
  #since: Moment | undefined;
  /** Everything up to here has come, or is told to be missing; undefined where nothing says so. */
  #at: Place | undefined;
  /** The first message that has come. */
  #begun: Place | undefined;
  /** Where another life of the log has begun, of which a gap need not be told. */
  #turned: Place | undefined;
  /** Where the last gap has ended: a pattern keeps no place of a channel that it has never heard, and is told again. */
  #missed: Place | undefined;
  /** What had come before it was not known any more. */
  #known: Place | undefined;
  /** The verdict, which tells them, comes after the replay. */
  #holes: Hole[] = [];
  /** Lives of the log that have ended, as was told. */
  readonly #over = new Set<string>();

  constructor(log: LogTruth, terms: ViewTerms) {
    this.#log = log;
    this.#terms = terms;
  }

  begin(now: Moment, since: Place | undefined): void {
    this.#since = now;
    this.#at = since;
  }

  /** What was published until now may be missing, unless the channel is known. */
  excuse(now: Moment): void {
    if (this.#at === undefined) this.#since = now;
  }

  message({ place, replay }: Fact<"message">, now: Moment): void {
    const at = this.#at;
    if (this.#since === undefined) {
      this.#report(`${show(place)} came without a subscription`);
      return;
    }
    if (!replay && this.#holes.length > 0) {
      this.#report(`${show(place)} comes live, and ${this.#untold()}`);
      this.#holes = [];
    }
    this.#at = place;
    this.#begun ??= place;
    if (at === undefined) this.#first(place, replay, this.#since);
    else if (place.epoch === at.epoch) {
      if (place.offset <= at.offset) {
        this.#report(`${show(place)} comes after ${show(at)}`);
        this.#at = at;
      } else if (place.offset > at.offset + 1) this.#skip(at, place, replay);
    } else {
      this.#leave(at, place);
      if (!this.#goesOn(at, place, now)) this.#skip(at, place, replay);
      else this.#turned = { epoch: place.epoch, offset: place.offset - 1 };
    }
  }

  gap(gap: SeenGap, now: Moment): void {
    const { reason, after, until } = gap;
    const at = this.#at;
    if (this.#since === undefined) {
      this.#report(`a gap ${reason} came without a subscription`);
      return;
    }
    if (until === undefined || (reason === "unavailable" && show(after) === show(until))) {
      // The channel has not answered: what has come is all that is known.
      this.#explain("unavailable", at ?? { epoch: "", offset: 0 }, now);
      this.#known = at ?? this.#known;
      this.#at = undefined;
      this.#since = now;
      return;
    }
    const told = this.#holes.filter(
      (hole) => hole.until.epoch !== until.epoch || hole.until.offset <= until.offset,
    );
    const isBehind = at?.epoch === until.epoch && until.offset <= at.offset;
    const isBefore = this.#begun?.epoch === until.epoch && until.offset < this.#begun.offset;
    // Whoever has begun in the middle may be told of what another subscription has missed before that.
    if (isBefore && told.length === 0) return;
    if (show(until) === show(this.#turned) || show(until) === show(this.#missed)) return;
    if (isBehind && told.length === 0) {
      // Another subscription of its client has asked for what was before, and the verdict names the channel alone.
      if (after === undefined && !this.#terms.exact) return;
      this.#report(`a gap ${reason} until ${show(until)} comes after ${show(at)}`);
      return;
    }
    // The SDK may know a place that no message has told.
    const known = told[0] === undefined ? at : told[0].after;
    const before = known ?? after;
    this.#begins(reason, after, before);
    this.#holes = this.#holes.filter((hole) => !told.includes(hole));
    if (!isBehind) this.#at = until;
    this.#missed = until;
    if (before === undefined || before.epoch === until.epoch) {
      if (until.offset <= (before?.offset ?? 0)) return;
      // Of a replay that was cut short nobody has told the reason.
      const unsure = reason === "unavailable";
      if (unsure && before === undefined && this.#unknowable(until, now)) return;
      if (unsure && told.length > 0) this.#explainAny(until, now);
      else this.#explain(reason, until, now);
      return;
    }
    this.#leave(before, until);
    if (reason !== "epoch_changed" && reason !== "unavailable") {
      this.#report(`a gap ${reason} leads from ${show(before)} to ${show(until)}`);
    }
    if (this.#terms.exact && known && !this.#log.lost(known.epoch, now)) {
      this.#report(`${before.epoch} has ended, and it was not lost`);
    }
  }

  owed(head: Place): string | undefined {
    if (this.#since === undefined) return undefined;
    if (this.#holes.length > 0) return this.#untold();
    const at = this.#at;
    if (at === undefined) {
      const first = this.#log.firstAfter(head.epoch, this.#since.seq);
      return first === undefined ? undefined : `nothing came, and ${first} was sent since`;
    }
    if (at.epoch === head.epoch && at.offset === head.offset) return undefined;
    // Of a log that has begun anew nothing is told before there is a message, where nobody keeps it.
    const silent = this.#log.terms.rules.transient || !this.#terms.exact;
    if (silent && head.offset === 0 && at.epoch !== head.epoch) return undefined;
    return `it is at ${show(at)}, and the head is ${show(head)}`;
  }

  /** The first that comes: what was sent since the subscription was there must not lie before it. */
  #first(place: Place, replay: boolean, { seq }: Moment): void {
    const known = this.#known;
    this.#known = undefined;
    if (known?.epoch === place.epoch && place.offset <= known.offset) {
      this.#report(`${show(place)} comes after ${show(known)}, which was known`);
    }
    if (place.offset - 1 > this.#log.ceiling(place.epoch, seq))
      this.#skip(undefined, place, replay);
  }

  /** Something lies between two messages. */
  #skip(after: Place | undefined, place: Place, replay: boolean): void {
    const until = { epoch: place.epoch, offset: place.offset - 1 };
    if (replay) this.#holes.push({ after, until });
    else this.#report(`${show(place)} comes after ${show(after)} without a gap`);
  }

  /** Whether a pattern may come to another life of a log without a gap: nothing is missing of one that was told whole. */
  #goesOn(at: Place, place: Place, now: Moment): boolean {
    if (this.#terms.exact) return false;
    const late = at.offset === 0 && this.#log.lost(place.epoch, now);
    const whole = at.offset >= this.#log.ceiling(at.epoch, Number.POSITIVE_INFINITY);
    return late || (place.offset === 1 && whole);
  }

  /** Whether nothing says what a pattern has missed of a log of which it has seen nothing: it is older, or its beginning is gone. */
  #unknowable({ epoch }: Place, now: Moment): boolean {
    if (this.#terms.exact) return false;
    const first = { epoch, offset: 1 };
    const isOlder = this.#log.firstAfter(epoch, this.#since?.seq ?? 0) !== 1;
    return (
      isOlder ||
      (["head_trimmed", "expired"] as const).some(
        (reason) => this.#log.implausible(reason, first, now) === undefined,
      )
    );
  }

  /** Nobody is led back to a life of the log that has ended. */
  #leave(from: Place, to: Place): void {
    this.#over.add(from.epoch);
    if (this.#over.has(to.epoch))
      this.#report(`${show(from)} is followed by ${show(to)}, which is over`);
  }

  #begins(reason: string, after: Place | undefined, before: Place | undefined): void {
    if (after === undefined || before === undefined) return;
    if (after.epoch === before.epoch && after.offset <= before.offset) return;
    this.#report(`a gap ${reason} begins after ${show(after)}, and ${show(before)} was reached`);
  }

  /** What a gap says is missing must have been lost for the reason that it gives. */
  #explain(reason: string, last: Place, now: Moment): void {
    const { recovery } = this.#log.terms.rules;
    if (reason === "unavailable" && !recovery) return;
    if (reason === "limit" && this.#terms.limited()) return;
    const why =
      reason === "unavailable" && !this.#log.troubled(now)
        ? "nothing kept the log from answering"
        : this.#log.implausible(reason as Reason, last, now);
    if (why !== undefined) this.#report(`a gap ${reason} until ${show(last)}: ${why}`);
  }

  #explainAny(last: Place, now: Moment): void {
    const whys = (["head_trimmed", "expired", "unavailable"] as const).map((reason) =>
      this.#log.implausible(reason, last, now),
    );
    if (whys.includes(undefined) || this.#terms.limited()) return;
    this.#report(`what lies before a replay until ${show(last)} was not lost: ${whys.join("; ")}`);
  }

  #untold(): string {
    const [hole] = this.#holes;
    return `what lies after ${show(hole?.after)} until ${show(hole?.until)} is not told`;
  }

  #report(problem: string): void {
    this.#terms.report(problem);
  }
}
