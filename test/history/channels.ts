/** The channels of a random life, with rules under which each kind of loss can happen. */
import type { RuleBook } from "../../src/channels/rules.ts";
import type { Terms } from "./facts.ts";

/** Messages that one request may replay, as `limits.recovery_messages`. */
export const RECOVERY_MESSAGES = 60;

/** An object without work is put to sleep after ten seconds by wrangler dev; clocks differ a little. */
export const OBJECTS_SLEEP_AFTER_MS = 9_000;

export const STREAM_HEARTBEAT_MS = 500;

/** `transport.stream`: a stream that nobody answers on is found out soon. */
export const STREAM = { heartbeat_interval: `${STREAM_HEARTBEAT_MS}ms` };

/** The list `channels` of a host's settings. */
export const CHANNEL_RULES = [
  { pattern: "life.short", history_size: 12 },
  { pattern: "life.brief", history_ttl: "1s", position_ttl: "3s" },
  { pattern: "life.fleeting", transient: true },
  { pattern: "life.other", survey: true },
];

const NAMES = ["life.short", "life.brief", "life.fleeting", "life.plain", "life.other"];

/**
 * @param forgets whether a restart of the host loses every log
 * @param sleepsAfterMs time without a word after which the host may stop a transient channel by itself
 */
export function lifeChannels(
  rules: RuleBook,
  forgets: boolean,
  sleepsAfterMs?: number,
): ReadonlyMap<string, Terms> {
  return new Map(
    NAMES.map((name) => {
      const own = rules.of(name);
      return [name, { rules: own, volatile: forgets || own.transient, sleepsAfterMs }];
    }),
  );
}
