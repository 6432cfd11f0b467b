/** What a channel keeps and offers. Rules are given by pattern; the most specific one decides. */
import { bySpecificity, matches } from "./patterns.ts";

/** How much a channel's log remembers. */
export interface LogRules {
  /** Entries that history holds; 0 in a transient channel. */
  readonly historySize: number;
  /** How long history holds an entry, in milliseconds. */
  readonly historyTtlMs: number;
  /** Events that dedup remembers. */
  readonly dedupSize: number;
  /** How long dedup remembers an event, in milliseconds. */
  readonly dedupWindowMs: number;
}

/** All that a rule says about a channel. */
export interface ChannelRules extends LogRules {
  /** How long epoch and head are kept after the last registration and publish, in milliseconds. */
  readonly positionTtlMs: number;
  /** Whether an event that a user publishes again is recognised. */
  readonly exactlyOnce: boolean;
  /** Whether subscribers are members that others can see. */
  readonly presence: boolean;
  /** How long a member that dropped has to come back unnoticed, in milliseconds. */
  readonly presenceGraceMs: number;
  /** Whether subscribers may ask for what they missed. */
  readonly recovery: boolean;
  /** Whether subscribers may put a question to all others. */
  readonly survey: boolean;
  /** Nothing is kept: no history, and epoch and offsets live as long as the process. */
  readonly transient: boolean;
  /** Whether everybody may read its history by URL, and caches may keep pages of it. */
  readonly public: boolean;
}

/** A rule and the channels it is for. */
export interface ChannelRule {
  /** A pattern or a literal name. */
  readonly pattern: string;
  readonly rules: ChannelRules;
}

/**
 * The least that dedup may remember: an internal call may be repeated for seconds, and the entries of
 * one call must all be known when it is.
 */
export const MIN_DEDUP_SIZE = 1_024;
/** In milliseconds. */
export const MIN_DEDUP_WINDOW_MS = 30_000;

/**
 * What channels keep and offer that no rule is for.
 *
 * @example
 * const rules: ChannelRules = { ...DEFAULT_CHANNEL_RULES, presence: false };
 */
export const DEFAULT_CHANNEL_RULES: ChannelRules = {
  historySize: 256,
  historyTtlMs: 24 * 60 * 60 * 1000,
  dedupSize: 8192,
  dedupWindowMs: 5 * 60 * 1000,
  positionTtlMs: 24 * 60 * 60 * 1000,
  exactlyOnce: true,
  presence: true,
  presenceGraceMs: 5_000,
  recovery: true,
  survey: false,
  transient: false,
  public: false,
};

/**
 * How long a transient channel without listeners keeps its epoch where its process lives on, in
 * milliseconds: a publisher should not meet a new one with every event.
 */
export const TRANSIENT_POSITION_TTL_MS = 60_000;

/** Channels whose rules are remembered. */
const MAX_KNOWN = 10_000;

/** Whether there is a channel of a pattern that may be used, and that none of the other patterns stands for. */
export type Reach = (pattern: string, except: readonly string[]) => boolean;

/**
 * Finds the rules of a channel.
 *
 * @example
 * const rules = new RuleBook([
 *   { pattern: "chat.**", rules: { ...DEFAULT_CHANNEL_RULES, historySize: 1_000 } },
 * ]);
 * rules.of("chat.lobby").historySize; // 1000
 */
export class RuleBook {
  /** The most specific first. */
  readonly #rules: readonly ChannelRule[];
  /** Of channels that no rule is for. */
  readonly #standard: ChannelRules;
  readonly #windows: readonly Window[];
  #known = new Map<string, ChannelRules>();

  constructor(rules: readonly ChannelRule[] = [], standard = DEFAULT_CHANNEL_RULES) {
    this.#standard = standard;
    this.#rules = rules.toSorted((left, right) => bySpecificity(left.pattern, right.pattern));
    this.#windows = windowsOf(rules, standard);
  }

  of(channel: string): ChannelRules {
    if (this.#rules.length === 0) return this.#standard;
    const known = this.#known.get(channel);
    if (known !== undefined) return known;
    const found = this.#rules.find(({ pattern }) => matches(pattern, channel));
    const rules = found?.rules ?? this.#standard;
    if (this.#known.size >= MAX_KNOWN) this.#known = new Map();
    this.#known.set(channel, rules);
    return rules;
  }

  /**
   * How long an event that is published again is recognised in every channel of a subject's in which it is recognised at
   * all, in milliseconds; 0 where there is no such channel.
   */
  dedupWindowMs(reach: Reach): number {
    return this.#windows.find(({ pattern, except }) => reach(pattern, except))?.ms ?? 0;
  }
}

/** How long events are recognised in the channels of a pattern. */
interface Window {
  readonly pattern: string;
  /** Patterns that decide about channels of theirs instead. */
  readonly except: readonly string[];
  readonly ms: number;
}

/** The shortest first. A rule is taken to hold somewhere, though more specific ones may leave it nothing. */
function windowsOf(rules: readonly ChannelRule[], standard: ChannelRules): readonly Window[] {
  const rest = { pattern: "**", except: rules.map(({ pattern }) => pattern), rules: standard };
  return [...rules.map((rule) => ({ ...rule, except: [] })), rest]
    .filter(({ rules: { exactlyOnce } }) => exactlyOnce)
    .map(({ pattern, except, rules }) => ({ pattern, except, ms: rules.dedupWindowMs }))
    .sort((left, right) => left.ms - right.ms);
}
