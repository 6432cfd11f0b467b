/**
 * Holds what publishers and subscribers saw against the contract: every subscriber gets one order
 * without a hole and without a repetition, or is told of the hole before what lies behind it, with the
 * right reason; and what was acknowledged is in the log, where the acknowledgement said, once.
 *
 * Facts are noted as they happen and judged by `check`, when nothing is under way: only then is known
 * who published what at which place.
 */
import { isPattern } from "../../src/channels/names.ts";
import { matches } from "../../src/channels/patterns.ts";
import { ApplicationTruth } from "./application-truth.ts";
import type {
  ApplicationFact,
  ChannelFact,
  EventSpec,
  Fact,
  HistoryTerms,
  Noted,
  PatternFact,
  Place,
} from "./facts.ts";
import { ListenerTruth } from "./listener-truth.ts";
import { LogTruth, show } from "./log-truth.ts";
import { PatternClock, PatternTruth } from "./pattern-truth.ts";
import type { RequestTally } from "./verdict.ts";

/** Facts that are kept to tell how it came to a problem. */
const KEPT = 50_000;
/** Facts that are told before a problem. */
const TOLD = 15;

/** What is not told before a problem: it is of no subscriber, and there is much of it. */
const OF_PUBLISHERS: readonly Fact["kind"][] = [
  "publish",
  "published",
  "unknown",
  "refused",
  "unsent",
];

export interface Problem {
  readonly text: string;
  readonly fact: Noted;
}

export class HistoryChecker {
  readonly #terms: HistoryTerms;
  readonly #logs = new Map<string, LogTruth>();
  readonly #listeners = new Map<string, Map<string, ListenerTruth>>();
  readonly #patterns = new Map<string, Map<string, PatternTruth>>();
  /** By subscription. */
  readonly #applications = new Map<string, ApplicationTruth>();
  readonly #clock = new PatternClock();
  /** By subscriber and number of the request. */
  readonly #tallies = new Map<string, RequestTally>();
  readonly #attempts = new Map<number, EventSpec>();
  /** How often each event was sent. */
  readonly #sent = new Map<string, number>();
  #facts: Noted[] = [];
  #next = 0;
  #checked = 0;
  #now: Noted = { kind: "fault", what: "", seq: -1, time: 0 };
  #where = "";
  readonly #problems: Problem[] = [];
  readonly counts: Record<string, number> = {};

  constructor(terms: HistoryTerms) {
    this.#terms = terms;
    for (const [channel, channelTerms] of terms.channels) {
      this.#logs.set(channel, new LogTruth(channel, channelTerms, (text) => this.#report(text)));
    }
  }

  /** @param time Unix milliseconds, of the clock that the host's logs have */
  note(fact: Fact, time: number): void {
    this.#facts.push({ ...fact, seq: this.#next, time });
    this.#next += 1;
  }

  /** Judges everything noted since the last time. Nothing may be under way. */
  check(): readonly Problem[] {
    // A life asks after every few milliseconds, and most of its facts are old ones.
    const fresh = this.#facts.slice(this.#facts.length - (this.#next - this.#checked));
    this.#checked = this.#next;
    // Places are learnt first: a subscriber may have seen a message before its publisher had the answer.
    for (const fact of fresh) this.#learn(fact);
    for (const fact of fresh) this.#judge(fact);
    if (this.#facts.length > KEPT) this.#facts = this.#facts.slice(-KEPT / 2);
    return this.#problems;
  }

  /** Who, of those who listen, has not got all that it is owed up to a head, and why. */
  owed(channel: string, head: Place): readonly string[] {
    const owing = [...this.#listeners].map(
      ([who, channels]) => [who, channels.get(channel)] as const,
    );
    return [...owing, ...this.#applications].flatMap(([who, truth]) => {
      const owed =
        truth instanceof ApplicationTruth ? truth.owed(channel, head) : truth?.owed(head);
      return owed === undefined ? [] : [`${who} waits in vain: ${owed}`];
    });
  }

  /** Problems with the facts that led to them. */
  describe(limit = 10): string {
    return this.#problems
      .slice(0, limit)
      .map(({ text, fact }) => {
        const about = [...this.#about(fact)].slice(-TOLD).map(line);
        return [text, ...about.map((told) => `    ${told}`)].join("\n");
      })
      .join("\n");
  }

  #learn(fact: Noted): void {
    this.#where = "";
    this.#now = fact;
    switch (fact.kind) {
      case "publish": {
        const { event, attempt } = fact;
        this.#attempts.set(attempt, event);
        this.#sent.set(event.text, (this.#sent.get(event.text) ?? 0) + 1);
        this.#log(event.channel)?.publishing(event, fact);
        break;
      }
      case "published": {
        const event = this.#attempts.get(fact.attempt);
        if (event === undefined) break;
        const { offset, epoch } = fact;
        this.#log(event.channel)?.acknowledge(event, offset, epoch, fact);
        break;
      }
      case "seen":
        this.#learnSeen(this.#log(fact.channel), fact.fact, fact);
        break;
      case "pattern":
        if (fact.fact.kind === "subscribe") {
          for (const log of this.#logs.values()) log.subscribing(fact.seq);
        }
        break;
      case "unsent": {
        const event = this.#attempts.get(fact.attempt);
        if (event !== undefined) this.#log(event.channel)?.unsent(event);
        break;
      }
      case "application":
        this.#learnApplication(fact.fact, fact);
        break;
      case "page": {
        const log = this.#log(fact.channel);
        for (const { place, event } of fact.page.messages) log?.saw(place, event, fact);
        log?.sight(fact.page.position, fact);
        break;
      }
      case "settled":
        this.#log(fact.channel)?.sight(fact.head, fact);
        break;
      case "trim":
        this.#log(fact.channel)?.trim(fact.span, fact.done, fact);
        break;
      case "loss":
        this.#log(fact.channel)?.lose(fact.span, fact.done, fact);
        break;
      case "fault":
        for (const log of this.#logs.values()) log.fault(fact);
        break;
      default:
    }
  }

  #learnApplication(seen: ApplicationFact, now: Noted): void {
    // A gap may name a pattern, and without an answer of the channel the subscriber's own words.
    const log = "channel" in seen ? this.#logs.get(seen.channel) : undefined;
    if (seen.kind === "message") log?.saw(seen.place, seen.event, now);
    if (seen.kind !== "gap" || seen.gap.until === undefined) return;
    const { reason, after, until } = seen.gap;
    if (reason !== "unavailable" || show(after) !== show(until)) log?.sight(until, now);
  }

  #learnSeen(log: LogTruth | undefined, seen: ChannelFact, now: Noted): void {
    switch (seen.kind) {
      case "subscribe":
        log?.subscribing(now.seq);
        break;
      case "message":
        log?.saw(seen.place, seen.event, now);
        break;
      case "recovered":
        // Without an answer of the channel its subscriber is told its own words.
        if (seen.gap?.reason === "unavailable" && show(seen.gap.after) === show(seen.gap.until)) {
          break;
        }
        if (seen.position !== undefined) log?.sight(seen.position, now);
        break;
      case "ack":
        if (seen.position !== undefined) log?.sight(seen.position, now);
        break;
      case "gap":
        if (seen.gap.until !== undefined) log?.sight(seen.gap.until, now);
        break;
      default:
    }
  }

  #judge(fact: Noted): void {
    this.#now = fact;
    this.#where = "";
    this.counts[nameOf(fact)] = (this.counts[nameOf(fact)] ?? 0) + 1;
    switch (fact.kind) {
      case "published": {
        const event = this.#attempts.get(fact.attempt);
        const { epoch, duplicate } = fact;
        if (event === undefined || epoch === undefined || duplicate === undefined) break;
        const alone = !this.#terms.repeatsInside && this.#sent.get(event.text) === 1;
        this.#log(event.channel)?.called(event, epoch, duplicate, alone);
        break;
      }
      case "seen":
        this.#where = `${fact.who} in ${fact.channel}: `;
        this.#listener(fact.who, fact.channel)?.take(
          fact.fact,
          fact,
          this.#tally(fact.who, fact.fact),
        );
        break;
      case "pattern":
        this.#where = `${fact.who} of ${fact.pattern}: `;
        this.#pattern(fact.who, fact.pattern)?.take(
          fact.fact,
          fact,
          this.#tally(fact.who, fact.fact),
        );
        break;
      case "application":
        this.#application(fact.who, fact.name).take(fact.fact, fact);
        break;
      case "drop":
        for (const pattern of this.#patterns.get(fact.who)?.values() ?? []) pattern.drop();
        for (const listener of this.#listeners.get(fact.who)?.values() ?? []) listener.drop();
        break;
      case "loss":
        this.#clock.lose(fact);
        break;
      case "refused":
        // A host that is asked too much may say so; nothing else was wrong with what was sent.
        if (fact.code !== "RATE_LIMITED") this.#report(`a publish was refused with ${fact.code}`);
        break;
      case "page":
        this.#page(fact);
        break;
      case "settled":
        this.#settled(fact.channel, fact.head);
        break;
      default:
    }
  }

  #report(text: string): void {
    this.#problems.push({ text: `${this.#where}${text}`, fact: this.#now });
  }

  #page({ channel, page, ...now }: Extract<Noted, { kind: "page" }>): void {
    const log = this.#log(channel);
    this.#where = `history of ${channel}: `;
    const { messages, position } = page;
    let last = messages[0]?.place;
    for (const { place } of messages.slice(1)) {
      if (last !== undefined && place.offset !== last.offset + 1) {
        this.#report(`${show(place)} stands behind ${show(last)}`);
      }
      last = place;
    }
    if (last !== undefined && show(last) !== show(position)) {
      this.#report(`it ends with ${show(last)}, and the head is ${show(position)}`);
    }
    const first = messages[0]?.place;
    const kept = first && log?.overdue(first, page.head, page.began);
    if (kept !== undefined) this.#report(`${show(first)} is still there: ${kept}`);
    const missing = messages[0] === undefined ? position.offset : messages[0].place.offset - 1;
    if (missing === 0 || log === undefined || log.terms.rules.transient) return;
    const lost = { epoch: position.epoch, offset: missing };
    const whys = (["head_trimmed", "expired"] as const).map((reason) =>
      log.implausible(reason, lost, now),
    );
    if (!whys.includes(undefined)) this.#report(`${show(lost)} is missing: ${whys.join("; ")}`);
  }

  #settled(channel: string, head: Place): void {
    this.#where = `${channel}: `;
    this.#log(channel)?.settled(head);
    for (const owed of this.owed(channel, head)) this.#report(owed);
  }

  #log(channel: string): LogTruth | undefined {
    const log = this.#logs.get(channel);
    if (log === undefined) this.#report(`nobody knows the channel ${channel}`);
    return log;
  }

  #listener(who: string, channel: string): ListenerTruth | undefined {
    const log = this.#log(channel);
    const grade = this.#terms.grades.get(who);
    if (log === undefined || grade === undefined) return undefined;
    let channels = this.#listeners.get(who);
    if (channels === undefined) {
      channels = new Map();
      this.#listeners.set(who, channels);
    }
    let listener = channels.get(channel);
    if (listener === undefined) {
      const { recoveryMessages } = this.#terms;
      listener = new ListenerTruth(grade, log, recoveryMessages, (text) => this.#report(text));
      channels.set(channel, listener);
    }
    return listener;
  }

  #pattern(who: string, pattern: string): PatternTruth | undefined {
    const grade = this.#terms.grades.get(who);
    if (grade === undefined) return undefined;
    const patterns = this.#patterns.get(who) ?? new Map<string, PatternTruth>();
    this.#patterns.set(who, patterns);
    let truth = patterns.get(pattern);
    if (truth === undefined) {
      const covered = [...this.#logs].filter(([channel]) => matches(pattern, channel));
      const channels = covered.flatMap(([name, log]) => {
        const listener = this.#listener(who, name);
        return listener === undefined ? [] : [{ name, log, listener }];
      });
      const report = (channel: string, text: string): void => {
        this.#where = `${who} of ${pattern} in ${channel}: `;
        this.#report(text);
      };
      truth = new PatternTruth({ grade, clock: this.#clock, channels, report });
      patterns.set(pattern, truth);
    }
    return truth;
  }

  #application(who: string, name: string): ApplicationTruth {
    let truth = this.#applications.get(who);
    if (truth === undefined) {
      truth = new ApplicationTruth({
        name,
        clock: this.#clock,
        logs: [...this.#logs.values()].filter(({ channel }) => matches(name, channel)),
        much: () => this.#sent.size >= this.#terms.recoveryMessages,
        report: (channel, problem) => {
          this.#where = `${who} in ${channel}: `;
          this.#report(problem);
        },
      });
      this.#applications.set(who, truth);
    }
    return truth;
  }

  #tally(who: string, fact: ChannelFact | PatternFact): RequestTally {
    if (fact.kind !== "subscribe") return { replayed: 0 };
    const key = `${who} ${fact.request}`;
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      tally = { replayed: 0 };
      this.#tallies.set(key, tally);
    }
    return tally;
  }

  /** Everything kept of one subscriber in one channel. */
  story(who: string, channel: string): string {
    const fact: ChannelFact = { kind: "unsubscribe" };
    const end: Noted = { kind: "seen", who, channel, fact, seq: this.#next, time: 0 };
    return [...this.#about(end)].map(line).join("\n");
  }

  /** The facts up to a problem that have to do with it. */
  *#about(problem: Noted): Iterable<Noted> {
    const who = "who" in problem && problem.kind !== "drop" ? problem.who : undefined;
    const channel = channelOf(problem);
    for (const fact of this.#facts) {
      if (fact.seq > problem.seq) return;
      if (OF_PUBLISHERS.includes(fact.kind)) continue;
      const theirs = who === undefined || !("who" in fact) || fact.who === who;
      const here = channel === undefined || (channelOf(fact) ?? channel) === channel;
      if (theirs && here) yield fact;
    }
  }
}

function channelOf(fact: Noted): string | undefined {
  if (fact.kind === "application") {
    // What is told of a pattern is about all of its channels.
    const about = "channel" in fact.fact ? fact.fact.channel : fact.name;
    return about === fact.name && isPattern(about) ? undefined : about;
  }
  return "channel" in fact ? fact.channel : undefined;
}

function nameOf(fact: Noted): string {
  if (fact.kind === "published" && fact.duplicate === true) return "published again";
  if (fact.kind === "pattern") return `pattern ${wordOf(fact.fact)}`;
  if (fact.kind === "application") {
    const isOfPattern = isPattern(fact.name) && "channel" in fact.fact;
    return `application ${wordOf(fact.fact)}${isOfPattern ? " of a pattern" : ""}`;
  }
  if (fact.kind !== "seen") return fact.kind;
  return wordOf(fact.fact);
}

function wordOf(seen: ChannelFact | PatternFact | ApplicationFact): string {
  if (seen.kind === "message" && seen.replay) return "replay";
  if (seen.kind === "recovered") return `recovered ${seen.gap?.reason ?? "all"}`;
  return seen.kind === "gap" ? `gap ${seen.gap.reason}` : seen.kind;
}

/** A fact in one line. */
function line(fact: Noted): string {
  const { seq, time, kind, ...rest } = fact;
  const short = (_: string, value: unknown) =>
    typeof value === "object" && value !== null && "epoch" in value && "offset" in value
      ? show(value as Place)
      : value;
  const told = "fact" in fact ? fact.fact : rest;
  const text = JSON.stringify(told, short);
  const about = aboutOf(fact);
  const where = about === "" || !("who" in fact) ? kind : `${fact.who} ${about}`;
  return `${seq} ${time % 1_000_000} ${where} ${text.length > 200 ? `${text.slice(0, 200)}...` : text}`;
}

function aboutOf(fact: Noted): string {
  switch (fact.kind) {
    case "seen":
      return fact.channel;
    case "pattern":
      return fact.pattern;
    case "application":
      return fact.name;
    default:
      return "";
  }
}
