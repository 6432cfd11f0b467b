/**
 * What is known of one channel's log: which event stands at which place, when it was sent, and what
 * may have been lost of it. It learns from every fact that names a place.
 */
import type { EventSpec, Place, Reason, SeenEvent, Terms } from "./facts.ts";

/** How far clocks may differ between who publishes and who stores, in milliseconds. */
const CLOCK_SLACK_MS = 100;
/** How long after a fault a log may not answer, in milliseconds. */
const FAULT_MS = 20_000;
/** How long an answer that names a life of the log may be on its way, in milliseconds. */
const LATE_MS = 30_000;

export interface Moment {
  readonly seq: number;
  readonly time: number;
}

/** One event and where it was taken up. */
interface Known {
  readonly spec: EventSpec;
  readonly started: Moment;
  /** By epoch, the last acknowledged offset when it was first sent: it must stand behind. */
  readonly behind: ReadonlyMap<string, number>;
  readonly offsets: Map<string, number>;
  /** Epochs in which an acknowledgement called it new. */
  readonly fresh: Set<string>;
  /** Acknowledgements to a v1 client name no epoch. */
  bareOffset: number | undefined;
  /** Its publisher was told that it was never sent. */
  unsent: boolean;
  /** The first acknowledgement that named an epoch. */
  acknowledged: { readonly seq: number; readonly place: Place } | undefined;
}

/** Something that is done to the log. */
interface Span {
  readonly began: Moment;
  /** Undefined while it is not over. */
  readonly done: Moment | undefined;
}

/** A life of the log. Each has one name, and they follow each other; when one is first seen says little. */
interface Epoch {
  readonly name: string;
  /** When somebody was first told of it: it had begun by then. */
  readonly first: Moment;
  last: Moment;
  /**
   * When the last event was first sent that it is known to have taken: it had not ended by then. -1 where none is
   * known. That an event is sent again says nothing: the answer may name a life that has ended.
   */
  sent: number;
  readonly events: Map<number, Known>;
  /** When an event was first seen or acknowledged, by its offset, in Unix milliseconds. */
  readonly seen: Map<number, number>;
  /** The highest offset that anybody has seen. */
  top: number;
  /** The highest offset that was acknowledged. */
  acknowledged: number;
}

export class LogTruth {
  readonly channel: string;
  readonly terms: Terms;
  readonly #report: (problem: string) => void;
  readonly #epochs: Epoch[] = [];
  readonly #byText = new Map<string, Known>();
  readonly #bare = new Set<Known>();
  readonly #asked = new Map<number, Place>();
  /** By their numbers. */
  readonly #trims = new Map<number, Span>();
  readonly #losses = new Map<number, Span>();
  readonly #faults: Moment[] = [];

  constructor(channel: string, terms: Terms, report: (problem: string) => void) {
    this.channel = channel;
    this.terms = terms;
    this.#report = report;
  }

  /** Somebody asks to subscribe: what is acknowledged by now is told. */
  subscribing(seq: number): void {
    const life = this.#epochs.at(-1);
    if (life !== undefined) this.#asked.set(seq, { epoch: life.name, offset: life.acknowledged });
  }

  /** The last place that was acknowledged when somebody asked to subscribe. */
  least(seq: number): Place | undefined {
    return this.#asked.get(seq);
  }

  /** Whether it is certain that a life of the log came after another one. */
  follows(epoch: string, other: string): boolean {
    const [life, earlier] = [this.#find(epoch), this.#find(other)];
    return life !== undefined && earlier !== undefined && outlives(life.sent, earlier);
  }

  publishing(spec: EventSpec, now: Moment): void {
    if (this.#byText.has(spec.text)) return;
    const behind = new Map(this.#epochs.map(({ name, acknowledged }) => [name, acknowledged]));
    const known = { spec, started: now, behind, offsets: new Map(), fresh: new Set<string>() };
    const told = { bareOffset: undefined, unsent: false, acknowledged: undefined };
    this.#byText.set(spec.text, { ...known, ...told });
  }

  /** Its publisher was told that it was never sent: nobody may see it. */
  unsent({ text }: EventSpec): void {
    const known = this.#byText.get(text);
    if (known === undefined) return;
    known.unsent = true;
    if (known.offsets.size > 0) this.#report(`"${text}" is told never to have been sent`);
  }

  acknowledge(spec: EventSpec, offset: number, epoch: string | undefined, now: Moment): void {
    const known = this.#byText.get(spec.text);
    if (known === undefined) return;
    if (epoch === undefined) {
      known.bareOffset = offset;
      this.#bare.add(known);
      return;
    }
    const place = { epoch, offset };
    known.acknowledged ??= { seq: now.seq, place };
    this.#stand(known, place, now, "acknowledged");
    const life = this.#sight(epoch, now);
    life.acknowledged = Math.max(life.acknowledged, offset);
  }

  /** An acknowledgement said whether the event was in the log already. */
  called(spec: EventSpec, epoch: string, duplicate: boolean, alone: boolean): void {
    const known = this.#byText.get(spec.text);
    if (known === undefined) return;
    if (duplicate) {
      if (alone) this.#report(`"${spec.text}" is called repeated and was sent once`);
      return;
    }
    if (known.fresh.has(epoch)) this.#report(`"${spec.text}" is acknowledged as new twice`);
    known.fresh.add(epoch);
  }

  /** Somebody saw an event at a place. */
  saw(place: Place, event: SeenEvent, now: Moment): void {
    const known = this.#byText.get(event.text);
    if (known === undefined) {
      this.#report(`"${event.text}" at ${show(place)} was never published`);
      return;
    }
    const { spec } = known;
    const same =
      event.id === spec.id &&
      (event.source ?? spec.source) === spec.source &&
      (event.user ?? spec.user) === spec.user;
    if (!same) {
      const told = `${event.user}/${event.source}/${event.id}`;
      this.#report(`"${event.text}" at ${show(place)} is not what was published: ${told}`);
    }
    this.#stand(known, place, now, "seen");
  }

  /** Somebody was told of a place without its event. */
  sight({ epoch, offset }: Place, now: Moment): void {
    const life = this.#sight(epoch, now);
    life.top = Math.max(life.top, offset);
  }

  trim(span: number, done: boolean, now: Moment): void {
    mark(this.#trims, span, done, now);
  }

  lose(span: number, done: boolean, now: Moment): void {
    mark(this.#losses, span, done, now);
  }

  fault(now: Moment): void {
    this.#faults.push(now);
  }

  /** The head has been looked up when nothing was under way. */
  settled({ epoch, offset }: Place): void {
    const life = this.#find(epoch);
    if (life === undefined) return;
    for (const [what, least] of [
      ["acknowledged", life.acknowledged],
      ["seen", life.top],
    ] as const) {
      if (least > offset) this.#report(`${least} was ${what}, and the log ends at ${offset}`);
    }
    for (const known of this.#bare) {
      const { bareOffset: at = 0, spec } = known;
      // Nobody need have seen it in a life that has ended.
      // The log may have had lives that nobody was told of.
      if (this.terms.rules.transient || this.#lostAfter(known.started)) continue;
      const possible = this.#epochs.some(({ name, events }) => {
        const there = events.get(at);
        return there === undefined ? name !== epoch || at <= offset : there === known;
      });
      if (!possible) this.#report(`"${spec.text}" was acknowledged at ${at} and is not there`);
    }
    this.#bare.clear();
  }

  /** The offset of the first event that was sent after a moment, or undefined. */
  firstAfter(epoch: string, seq: number): number | undefined {
    let first: number | undefined;
    for (const [offset, { started }] of this.#find(epoch)?.events ?? []) {
      if (started.seq > seq) first = Math.min(first ?? offset, offset);
    }
    return first;
  }

  /** An event that was sent after one moment and acknowledged before another, in no such epoch. */
  settledBetween(after: number, before: number, but?: string): Place | undefined {
    for (const { started, acknowledged } of this.#byText.values()) {
      if (acknowledged === undefined || acknowledged.seq >= before) continue;
      if (started.seq > after && acknowledged.place.epoch !== but) return acknowledged.place;
    }
    return undefined;
  }

  /** The highest offset that the log can have had at a moment. */
  ceiling(epoch: string, seq: number): number {
    const life = this.#find(epoch);
    if (life === undefined) return 0;
    return Math.min(life.top, (this.firstAfter(epoch, seq) ?? Number.POSITIVE_INFINITY) - 1);
  }

  /** What makes the events large that are known to lie after a place, up to an offset; in bytes. */
  padding({ epoch, offset }: Place, until: number): number {
    const events = this.#find(epoch)?.events;
    let bytes = 0;
    for (let at = offset + 1; at <= until; at++) bytes += events?.get(at)?.spec.padding ?? 0;
    return bytes;
  }

  /** Whether a life of the log was lost, and not only forgotten while nobody listened. */
  lost(epoch: string, now: Moment): boolean {
    const life = this.#find(epoch);
    return life !== undefined && this.#lostSince(life, now);
  }

  /** Why a message cannot have been lost for a reason at a moment; undefined where it can. */
  implausible(reason: Reason, lost: Place, now: Moment): string | undefined {
    const { historySize, historyTtlMs } = this.terms.rules;
    const life = this.#find(lost.epoch);
    if (life === undefined) return `nobody knows the epoch ${lost.epoch}`;
    switch (reason) {
      case "head_trimmed": {
        const ceiling = this.ceiling(lost.epoch, now.seq);
        if (ceiling - lost.offset >= historySize) return undefined;
        const removed = [...this.#trims.values()].some(
          ({ began, done }) =>
            began.seq < now.seq &&
            lost.offset <= this.ceiling(lost.epoch, Math.min(done?.seq ?? now.seq, now.seq)),
        );
        if (removed) return undefined;
        return `history of ${historySize} holds ${lost.offset} while the head is at most ${ceiling}`;
      }
      case "expired": {
        let event: Known | undefined;
        for (let offset = lost.offset; offset > 0 && event === undefined; offset--) {
          event = life.events.get(offset);
        }
        // Of what nobody has seen is only known in which life of the log it was published.
        const born = event?.started.time ?? this.#began(life);
        const age = now.time - born;
        if (age + CLOCK_SLACK_MS >= historyTtlMs) return undefined;
        return `it is at most ${age} ms old, and history holds ${historyTtlMs} ms`;
      }
      case "unavailable":
        return this.troubled(now) ? undefined : "nothing kept the log from answering";
      default:
        return `${reason} is no reason why one message is lost`;
    }
  }

  /** Why history should not hold a message any more that was asked for at a time; or undefined. */
  overdue(place: Place, head: Place, time: number): string | undefined {
    const { historySize, historyTtlMs, transient } = this.terms.rules;
    if (transient) return "nothing is kept here";
    if (head.offset - place.offset >= historySize) {
      return `history of ${historySize} ends with ${show(head)}`;
    }
    const seen = this.#find(place.epoch)?.seen.get(place.offset) ?? time;
    if (time - seen > historyTtlMs + CLOCK_SLACK_MS) {
      return `it is at least ${time - seen} ms old, and history holds ${historyTtlMs} ms`;
    }
    const removed = [...this.#trims.values()].some(
      ({ began, done }) => done !== undefined && done.time < time && seen < began.time,
    );
    return removed ? "it was removed" : undefined;
  }

  /**
   * Whether something may have been lost in passing since a moment, or shortly before it: what is not kept,
   * or not for longer than a fault lasts.
   */
  disturbed({ time }: Moment): boolean {
    const { transient, historyTtlMs } = this.terms.rules;
    if (!transient && historyTtlMs >= FAULT_MS) return false;
    const last = this.#faults.at(-1);
    return this.terms.inPassing === true && last !== undefined && time - last.time < FAULT_MS;
  }

  /** Whether the log may not have answered shortly before a moment. */
  troubled({ seq, time }: Moment): boolean {
    const last = this.#faults.findLast((fault) => fault.seq < seq);
    return last !== undefined && time - last.time < FAULT_MS;
  }

  #find(epoch: string): Epoch | undefined {
    return this.#epochs.findLast(({ name }) => name === epoch);
  }

  #stand(known: Known, { epoch, offset }: Place, now: Moment, how: string): void {
    const { spec, started } = known;
    const at = show({ epoch, offset });
    if (known.unsent) this.#report(`"${spec.text}" at ${at} is told never to have been sent`);
    const life = this.#sight(epoch, now, started.seq);
    life.top = Math.max(life.top, offset);
    const there = life.events.get(offset);
    if (there !== undefined && there !== known) {
      this.#report(`${at} is "${there.spec.text}" and is ${how} as "${spec.text}"`);
      return;
    }
    const before = known.offsets.get(epoch) ?? known.bareOffset;
    if (before !== undefined && before !== offset) {
      this.#report(`"${spec.text}" stands at ${before} and is ${how} at ${at}`);
      return;
    }
    if (there !== undefined) return;
    const behind = known.behind.get(epoch) ?? 0;
    if (offset <= behind) {
      this.#report(
        `"${spec.text}" is ${how} at ${at} and was sent when ${behind} was acknowledged`,
      );
    }
    life.events.set(offset, known);
    life.seen.set(offset, now.time);
    known.offsets.set(epoch, offset);
  }

  /** @param sent when an event was sent that it has taken; -1 where it is told of without one */
  #sight(epoch: string, now: Moment, sent = -1): Epoch {
    let life = this.#find(epoch);
    if (life === undefined) {
      if (epoch === "") this.#report("a position has no epoch");
      const before = this.#epochs.findLast((other) => outlives(sent, other)) ?? this.#epochs[0];
      if (before !== undefined && !this.#mayBeginAnew(before, now)) {
        this.#report(`the log has begun anew, ${before.name} to ${epoch}, and nothing was lost`);
      }
      const [events, seen] = [new Map<number, Known>(), new Map<number, number>()];
      life = { name: epoch, first: now, last: now, sent, events, seen, top: 0, acknowledged: 0 };
      this.#epochs.push(life);
    }
    if (now.seq > life.last.seq) life.last = now;
    if (sent > life.sent) life.sent = sent;
    return life;
  }

  /** Whether a log that has had a life may have another one by now: after a loss, or where it was forgotten. */
  #mayBeginAnew(life: Epoch, now: Moment): boolean {
    const silence = now.time - life.last.time + CLOCK_SLACK_MS;
    return this.#lostSince(life, now) || silence >= this.terms.rules.positionTtlMs;
  }

  /** A time before which a life of the log had not begun. A loss that was not over may still be to come. */
  #began({ first }: Epoch): number {
    const over = [...this.#losses.values()].findLast(({ done }) => done && done.seq < first.seq);
    return over?.began.time ?? 0;
  }

  /** Whether a loss was not over at a moment, or came later. */
  #lostAfter({ seq }: Moment): boolean {
    return [...this.#losses.values()].some(({ done }) => done === undefined || done.seq > seq);
  }

  #lostSince({ first, sent, last }: Epoch, now: Moment): boolean {
    const { volatile, sleepsAfterMs = Number.POSITIVE_INFINITY } = this.terms;
    if (volatile && now.time - last.time >= sleepsAfterMs) return true;
    // A loss may have ended it before anybody was told of it, but not before it took its last event.
    return [...this.#losses.values()].some(({ began, done }) => {
      if (began.seq >= now.seq) return false;
      return done === undefined || (done.seq > sent && done.time > first.time - LATE_MS);
    });
  }
}

/** Whether what took an event that was sent then cannot have come before a life of the log. */
function outlives(sent: number, { first }: Epoch): boolean {
  return sent > first.seq;
}

function mark(spans: Map<number, Span>, number: number, done: boolean, now: Moment): void {
  const began = spans.get(number)?.began ?? now;
  spans.set(number, { began, done: done ? now : undefined });
}

export function show(place: Place | undefined): string {
  return place === undefined ? "nowhere" : `${place.epoch}-${place.offset}`;
}
