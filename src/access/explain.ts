/** Why a user may or may not do something, in words for an operator. */
import { channelProblem, isPattern } from "../channels/names.ts";
import { covers, overlaps, patternProblem } from "../channels/patterns.ts";
import { ACTIONS, type Action, type Grant, type Subject } from "../engine/ports/access.ts";
import { allows } from "./authorizer.ts";
import type { AccessRules, Effect } from "./rules.ts";
import { AccessBook, type Term } from "./terms.ts";

export interface Explanation {
  readonly allowed: boolean;
  /** Sentences without a full stop: what decided, then rules that were left out and might have decided otherwise. */
  readonly reasons: readonly string[];
}

/** What an operator asks, as it was written. */
export interface Question {
  /** Empty for one that has not authenticated. */
  readonly user: string;
  readonly action: string;
  /** A channel; to subscribe there may be a pattern. */
  readonly channel: string;
  /** A client id that authentication vouches for; undefined where it vouches for none. */
  readonly client?: string | undefined;
  /** What a token grants; undefined where it says nothing of that. */
  readonly grants?:
    | readonly { readonly pattern: string; readonly actions: readonly string[] }[]
    | undefined;
}

/** A question that cannot be answered. */
export class QuestionProblem extends Error {
  override readonly name = "QuestionProblem";
}

/**
 * Answers an operator, on the command line and in the console.
 *
 * @throws QuestionProblem with one sentence
 */
export function explainAsked(rules: AccessRules, question: Question): Explanation {
  const { channel, client, grants, user } = question;
  const action = actionOf(question.action);
  check(action === "subscribe" ? patternProblem(channel) : channelProblem(channel));
  const subject = {
    userId: user,
    clientId: client ?? "",
    clientVouched: client !== undefined,
    grants: grants?.map(({ actions, pattern }): Grant => {
      check(patternProblem(pattern));
      return { pattern, actions: actions.map(actionOf) };
    }),
  };
  return explain(rules, subject, action, channel);
}

function actionOf(name: string): Action {
  const action = ACTIONS.find((one) => one === name);
  if (action !== undefined) return action;
  throw new QuestionProblem(`the action is none of ${ACTIONS.join(", ")}`);
}

function check(problem: string | undefined): void {
  if (problem !== undefined) throw new QuestionProblem(problem);
}

/**
 * @param channel a channel, or a pattern: then all of its channels are meant
 * @example
 * explain(rules, subject, "publish", "admin.users");
 * // { allowed: false, reasons: ["access.rules.0 denies admin.**"] }
 */
export function explain(
  rules: AccessRules,
  subject: Subject,
  action: Action,
  channel: string,
): Explanation {
  const terms = new AccessBook(rules).termsOf(subject, action);
  const { denied, allowed, unfit } = terms;
  /** Rules that could have said something else. */
  const leftOut = (effect: Effect): string[] =>
    unfit
      .filter((one) => one.effect === effect)
      .map(({ rule, reason }) => `${placeOf(rule)} is left out: ${reason}`);
  const wide = isPattern(channel);
  const denying = denied.filter(({ pattern }) => overlaps(pattern, channel));
  if (denying.length > 0) {
    const some = wide ? `, and ${channel} stands for some of its channels` : "";
    return {
      allowed: false,
      reasons: denying.map((term) => `${sourceOf(term)} denies ${term.pattern}${some}`),
    };
  }
  if (allowed === undefined) {
    return {
      allowed: true,
      reasons: ["no rule denies it, and access.default is allow", ...leftOut("deny")],
    };
  }
  const granted = subject.grants !== undefined;
  if (!allows(terms, channel)) {
    const all = wide ? `all channels of ${channel}` : "it";
    const reason = granted
      ? `the token grants nothing that allows ${all}`
      : `no rule allows ${all}, and access.default is deny`;
    return { allowed: false, reasons: [reason, ...leftOut("allow")] };
  }
  const whole = allowed.filter(({ pattern }) => covers(pattern, channel));
  const allowing =
    whole.length > 0 ? whole : allowed.filter(({ pattern }) => overlaps(pattern, channel));
  const together = whole.length > 0 ? "" : `, with the others all of ${channel}`;
  return {
    allowed: true,
    reasons: [
      ...allowing.map((term) => `${sourceOf(term)} allows ${term.pattern}${together}`),
      ...leftOut("deny"),
    ],
  };
}

function sourceOf({ rule }: Term): string {
  return rule === undefined ? "the token" : placeOf(rule);
}

function placeOf(rule: number): string {
  return `access.rules.${rule}`;
}
