/** Rules and subjects as tests write them. */
import { RuleAuthorizer } from "../../src/access/authorizer.ts";
import type { AccessRule, AccessRules, Effect } from "../../src/access/rules.ts";
import { ACTIONS, type Action, type Subject } from "../../src/engine/ports/access.ts";

export function subject(userId: string, more: Partial<Subject> = {}): Subject {
  return { userId, clientId: "", clientVouched: false, grants: undefined, ...more };
}

/** A rule about all actions and everybody, unless something else is said. */
export function rule(
  effect: Effect,
  channels: string | readonly string[],
  more: Partial<AccessRule> = {},
): AccessRule {
  const list = typeof channels === "string" ? [channels] : channels;
  return { channels: list, effect, actions: ACTIONS, users: undefined, ...more };
}

export function rulesOf(standard: Effect, ...rules: readonly AccessRule[]): AccessRules {
  return { standard, rules };
}

/** An authorizer, what it has told the log, and its decisions as yes and no. */
export function authorizerOf(rules: AccessRules) {
  const log: string[] = [];
  const logger = {
    warn: (message: string, fields: object = {}) => {
      log.push(`${message} ${JSON.stringify(fields)}`);
    },
  };
  const authorizer = new RuleAuthorizer(rules, logger);
  const may = (who: Subject, action: Action, channel: string): boolean =>
    authorizer.refusal(who, action, channel) === undefined;
  return { authorizer, log, may };
}
