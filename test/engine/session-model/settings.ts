/** What a deployment may have set, at random. */
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../../src/channels/rules.ts";
import type { Settings } from "../../../src/engine/settings/settings.ts";
import type { SeededRandom } from "../../support/random.ts";
import { CHANNELS } from "./broker.ts";

/** Limits that are reached now and then. */
export function narrowSettings(random: SeededRandom, tight: boolean): Partial<Settings> {
  return {
    maxSubscriptions: random.pick([2, 3, 1_000]),
    maxInFlightRpcs: random.pick([1, 3, 32]),
    maxErrors: random.pick([1, 4, 100]),
    publishesPerSecond: random.pick([0, 0, 1, 3]),
    publishBurst: 2,
    creditBytes: random.pick([4_000, 4_000, 1_000_000]),
    maxOpenRequestBytes: tight ? 400 : 4_000_000,
    maxMessageBytes: random.pick([2_000, 65_536]),
    idleTimeoutMs: random.pick([20_000, 300_000, 300_000]),
    authTimeoutMs: random.pick([5_000, 15_000]),
    rpcTimeoutMs: random.pick([3_000, 30_000]),
    recoveryMessages: random.pick([1, 2, 10_000]),
    recoveryBytes: random.pick([100, 3_000, 4_000_000]),
    disabledMessages: random.pick([
      [],
      [],
      [],
      ["history_request", "presence_request"],
      ["rpc_request"],
      ["subscribe"],
      ["publish", "survey_response"],
      ["unsubscribe", "sub_refresh", "survey_request"],
    ]),
  };
}

export function anyRules(random: SeededRandom): RuleBook {
  const rules = CHANNELS.map((pattern) => ({
    pattern,
    rules: {
      ...DEFAULT_CHANNEL_RULES,
      exactlyOnce: random.chance(0.7),
      presence: random.chance(0.8),
      recovery: random.chance(0.9),
    },
  }));
  return new RuleBook(rules);
}
