/** Histories that are written down by hand, to hold the checker against. */
import { DEFAULT_CHANNEL_RULES } from "../../src/channels/rules.ts";
import { HistoryChecker } from "./checker.ts";
import type {
  Ask,
  ChannelFact,
  EventSpec,
  Fact,
  Grade,
  PatternFact,
  Place,
  SeenGap,
  Terms,
} from "./facts.ts";

const HISTORY = 4;
export const TTL_MS = 60_000;
const LIMIT = 3;
export const RULES = { ...DEFAULT_CHANNEL_RULES, historySize: HISTORY, historyTtlMs: TTL_MS };

const TRANSIENT = { ...RULES, historySize: 0, recovery: false, transient: true };
export const SLEEP_MS = 10_000;

const CHANNELS: readonly (readonly [string, Terms])[] = [
  ["room", { rules: { ...RULES, historySize: 100 }, volatile: true }],
  ["short", { rules: RULES, volatile: false }],
  ["fleeting", { rules: TRANSIENT, volatile: true, sleepsAfterMs: SLEEP_MS }],
  ["passing", { rules: TRANSIENT, volatile: false, inPassing: true }],
];
const GRADES: readonly (readonly [string, Grade])[] = [
  ["rita", "recovery"],
  ["emil", "extended"],
  ["vera", "v1"],
];

export interface PatternAsk {
  readonly since?: Place | undefined;
  readonly positions?: Readonly<Record<string, Place>>;
}

/** A history that is written down by hand. Texts of events are their offsets, in epoch A. */
export class Story {
  readonly facts: { fact: Fact; time: number }[] = [];
  channel = "room";
  time = 1_000;
  #attempt = 0;
  #request = 0;

  note(fact: Fact): this {
    this.time += 1;
    this.facts.push({ fact, time: this.time });
    return this;
  }

  wait(ms: number): this {
    this.time += ms;
    return this;
  }

  in(channel: string): this {
    this.channel = channel;
    return this;
  }

  event(text: string, more: Partial<EventSpec> = {}): EventSpec {
    const { channel } = this;
    return {
      channel,
      user: "ann",
      source: "/s",
      id: `id-${text}`,
      text,
      named: true,
      padding: 0,
      ...more,
    };
  }

  send(event: EventSpec): number {
    this.#attempt += 1;
    this.note({ kind: "publish", attempt: this.#attempt, event });
    return this.#attempt;
  }

  ack(attempt: number, offset: number, epoch = "A", duplicate = false): this {
    return this.note({ kind: "published", attempt, offset, epoch, duplicate });
  }

  /** As a v1 client is told. */
  bareAck(attempt: number, offset: number): this {
    const told = { epoch: undefined, duplicate: undefined };
    return this.note({ kind: "published", attempt, offset, ...told });
  }

  /** Publishes 1 to n, acknowledged. */
  publish(from: number, to: number, epoch = "A"): this {
    for (let n = from; n <= to; n++) {
      const text = epoch === "A" ? `${n}` : `${epoch}${n}`;
      this.ack(this.send(this.event(text)), n, epoch);
    }
    return this;
  }

  see(who: string, fact: ChannelFact): this {
    return this.note({ kind: "seen", who, channel: this.channel, fact });
  }

  subscribe(who: string, head: Place | undefined, ask: Partial<Ask> = {}): this {
    this.#request += 1;
    const whole = { recover: false, since: undefined, rewind: 0, ...ask };
    this.see(who, { kind: "subscribe", request: this.#request, ask: whole });
    return this.see(who, { kind: "ack", position: head, error: undefined });
  }

  ofPattern(who: string, fact: PatternFact): this {
    return this.note({ kind: "pattern", who, pattern: "*", fact });
  }

  /** Subscribes to all channels at once. Positions of a pattern are times, here numbers that rise. */
  hear(who: string, position: Place | undefined, ask?: PatternAsk): this {
    this.#request += 1;
    const asked = { since: undefined, positions: {}, ...ask };
    const recover = ask !== undefined;
    this.ofPattern(who, { kind: "subscribe", request: this.#request, recover, ...asked });
    return this.ofPattern(who, { kind: "ack", position, error: undefined });
  }

  /** The verdict on the pattern. */
  heard(who: string, position: Place, reason?: string): this {
    const gap = reason === undefined ? undefined : { reason, after: undefined, until: position };
    return this.ofPattern(who, { kind: "recovered", position, gap });
  }

  message(who: string, n: number, replay = false, epoch = "A"): this {
    const text = epoch === "A" ? `${n}` : `${epoch}${n}`;
    const told =
      who !== "vera" ? { source: "/s", user: "ann" } : { source: undefined, user: undefined };
    const event = { text, id: `id-${text}`, ...told };
    return this.see(who, { kind: "message", place: { epoch, offset: n }, event, replay });
  }

  messages(who: string, from: number, to: number, replay = false, epoch = "A"): this {
    for (let n = from; n <= to; n++) this.message(who, n, replay, epoch);
    return this;
  }

  recovered(who: string, position: Place, gap?: SeenGap): this {
    return this.see(who, { kind: "recovered", position, gap });
  }

  gap(who: string, reason: string, after: Place, until: Place): this {
    return this.see(who, { kind: "gap", gap: { reason, after, until } });
  }

  /** The log is being lost, or has been. */
  lose(span: number, done: boolean): this {
    return this.note({ kind: "loss", channel: this.channel, span, done });
  }

  settle(head: Place): this {
    return this.note({ kind: "settled", channel: this.channel, head });
  }

  problems(facts = this.facts): string[] {
    const checker = new HistoryChecker({
      channels: new Map(CHANNELS),
      grades: new Map(GRADES),
      recoveryMessages: LIMIT,
      repeatsInside: false,
    });
    for (const { fact, time } of facts) checker.note(fact, time);
    return checker.check().map(({ text }) => text);
  }
}

export function at(offset: number, epoch = "A"): Place {
  return { epoch, offset };
}

/** Three kinds of subscribers; one drops, misses two messages and comes back. */
export function good(): Story {
  return new Story()
    .publish(1, 2)
    .subscribe("rita", at(2))
    .subscribe("emil", at(2))
    .subscribe("vera", undefined)
    .publish(3, 4)
    .messages("rita", 3, 4)
    .messages("emil", 3, 4)
    .messages("vera", 3, 4)
    .note({ kind: "drop", who: "rita" })
    .publish(5, 6)
    .messages("emil", 5, 6)
    .messages("vera", 5, 6)
    .subscribe("rita", at(6), { recover: true, since: at(4) })
    .messages("rita", 5, 6, true)
    .recovered("rita", at(6))
    .publish(7, 8)
    .messages("rita", 7, 8)
    .messages("emil", 7, 8)
    .messages("vera", 7, 8)
    .settle(at(8));
}

/** Where the pattern was acknowledged. */
export function time(n: number): Place {
  return { epoch: "T", offset: n };
}

/** Rita has all channels by a pattern, left at an offset of `short` and comes back when the head is at another. */
export function away(left: number, head: number, ask: PatternAsk): Story {
  return new Story()
    .in("short")
    .hear("rita", time(1))
    .publish(1, left)
    .messages("rita", 1, left)
    .note({ kind: "drop", who: "rita" })
    .publish(left + 1, head)
    .hear("rita", time(2), ask);
}

/** Rita left at an offset of `short`, which holds four, and comes back when the head is at another. */
export function returning(left: number, head: number, ask: Partial<Ask> = {}): Story {
  return new Story()
    .in("short")
    .subscribe("rita", at(0))
    .publish(1, left)
    .messages("rita", 1, left)
    .note({ kind: "drop", who: "rita" })
    .publish(left + 1, head)
    .subscribe("rita", at(head), { recover: true, since: at(left), ...ask });
}

export function gap(reason: string, after: Place | undefined, until: Place): SeenGap {
  return { reason, after, until };
}

/** A transient channel that begins anew after some time without a word. */
export function quiet(ms: number): Story {
  return new Story()
    .in("fleeting")
    .subscribe("rita", at(0))
    .publish(1, 1)
    .message("rita", 1)
    .wait(ms)
    .publish(1, 1, "B")
    .gap("rita", "epoch_changed", at(1), at(0, "B"))
    .message("rita", 1, false, "B")
    .settle(at(1, "B"));
}

/** History of a channel into which so many messages were published. */
export function page(offsets: readonly number[], head: number, story = new Story()): Story {
  story.publish(1, head);
  return read(story, offsets, head);
}

export function read(story: Story, offsets: readonly number[], head: number): Story {
  const messages = offsets.map((offset) => ({
    place: at(offset),
    event: { text: `${offset}`, id: `id-${offset}`, source: "/s", user: "ann" },
  }));
  const { channel, time: began } = story;
  const read = { messages, position: at(head), head: at(head), began };
  return story.note({ kind: "page", channel, page: read });
}
