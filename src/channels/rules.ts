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
};

/**
 * How long a transient channel that nobody listens to keeps its epoch where its process lives on, in
 * milliseconds: a publisher should not meet a new one with every event.
 */
export const TRANSIENT_POSITION_TTL_MS = 60_000;

/** Channels whose rules are remembered. */
const MAX_KNOWN = 10_000;

/** Finds the rules of a channel. */
export class RuleBook {
  /** The most specific first. */
  readonly #rules: readonly ChannelRule[];
  /** Of channels that no rule is for. */
  readonly #standard: ChannelRules;
  #known = new Map<string, ChannelRules>();

  constructor(rules: readonly ChannelRule[] = [], standard = DEFAULT_CHANNEL_RULES) {
    this.#standard = standard;
    this.#rules = rules.toSorted((left, right) => bySpecificity(left.pattern, right.pattern));
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
}
