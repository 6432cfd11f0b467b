/** The list `channels`: what an operator says about channels, by pattern. */
import * as v from "valibot";
import { patternProblem } from "../../channels/patterns.ts";
import {
  type ChannelRule,
  DEFAULT_CHANNEL_RULES,
  MIN_DEDUP_SIZE,
  MIN_DEDUP_WINDOW_MS,
  TRANSIENT_POSITION_TTL_MS,
} from "../../channels/rules.ts";
import { formatDuration } from "./duration.ts";
import { distinct, table, together } from "./table.ts";
import { durations, durationsFrom, key, switches, textsWithout, wholeNumbers } from "./values.ts";

/** Entries and events that one channel may be set to keep. */
const MAX_KEPT = 1_000_000;

const patterns = v.pipe(
  textsWithout(patternProblem, "must be a pattern such as chat.**"),
  v.description("none"),
);

const { historySize, historyTtlMs, dedupSize, dedupWindowMs, presenceGraceMs, ...offered } =
  DEFAULT_CHANNEL_RULES;

const entries = table({
  pattern: patterns,
  history_size: key(wholeNumbers(1, MAX_KEPT), historySize),
  history_ttl: key(durationsFrom(1_000), formatDuration(historyTtlMs)),
  position_ttl: key(durationsFrom(1_000), "history_ttl"),
  recovery: key(switches, offered.recovery),
  transient: key(switches, offered.transient),
  exactly_once: key(switches, offered.exactlyOnce),
  dedup_size: key(wholeNumbers(MIN_DEDUP_SIZE, MAX_KEPT), dedupSize),
  dedup_window: key(durationsFrom(MIN_DEDUP_WINDOW_MS), formatDuration(dedupWindowMs)),
  presence: key(switches, offered.presence),
  presence_grace: key(durations, formatDuration(presenceGraceMs)),
  survey: key(switches, offered.survey),
  public: key(switches, offered.public),
});

type Entries = v.InferOutput<typeof entries>;

/** Keys that do nothing beside a switch that stands so. */
const IDLE: readonly (readonly [
  when: "transient" | "exactly_once" | "presence",
  stands: boolean,
  keys: readonly (keyof Entries)[],
])[] = [
  ["transient", true, ["history_size", "history_ttl", "position_ttl", "recovery", "public"]],
  ["exactly_once", false, ["dedup_size", "dedup_window"]],
  ["presence", false, ["presence_grace"]],
];

const rule = v.pipe(entries, together(contradictions), v.transform(toRule));

/** Rules of channels, in the order in which they were written. */
export const channelRules = v.optional(
  v.pipe(
    v.array(rule, "must be a list of tables"),
    distinct("pattern", "channels", ({ pattern }: ChannelRule) => pattern),
  ),
  [],
);

/** Keys of one rule that do not go with its other keys, and why. */
function contradictions(written: Entries): [key: keyof Entries, message: string][] {
  const idle = IDLE.filter(([name, stands]) => written[name] === stands).flatMap(
    ([name, stands, keys]) =>
      keys
        .filter((other) => written[other] !== undefined)
        .map((other): [keyof Entries, string] => [other, `does nothing with ${name}: ${stands}`]),
  );
  const ttl = written.history_ttl ?? historyTtlMs;
  if (written.transient || (written.position_ttl ?? ttl) >= ttl) return idle;
  const message = `must be at least history_ttl, which is ${formatDuration(ttl)}`;
  return [...idle, ["position_ttl", message]];
}

function toRule(written: Entries): ChannelRule {
  const transient = written.transient ?? offered.transient;
  const exactlyOnce = written.exactly_once ?? offered.exactlyOnce;
  const ttl = written.history_ttl ?? historyTtlMs;
  return {
    pattern: written.pattern,
    rules: {
      historySize: transient ? 0 : (written.history_size ?? historySize),
      historyTtlMs: ttl,
      positionTtlMs: transient ? TRANSIENT_POSITION_TTL_MS : (written.position_ttl ?? ttl),
      recovery: !transient && (written.recovery ?? offered.recovery),
      transient,
      exactlyOnce,
      // What guards internal calls that are repeated remains where users' events are not compared.
      dedupSize: exactlyOnce ? (written.dedup_size ?? dedupSize) : MIN_DEDUP_SIZE,
      dedupWindowMs: exactlyOnce ? (written.dedup_window ?? dedupWindowMs) : MIN_DEDUP_WINDOW_MS,
      presence: written.presence ?? offered.presence,
      presenceGraceMs: written.presence_grace ?? presenceGraceMs,
      survey: written.survey ?? offered.survey,
      public: written.public ?? offered.public,
    },
  };
}
