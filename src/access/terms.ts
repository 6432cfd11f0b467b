/** What rules and grants come to for one subject and one action: patterns that are denied and patterns that are allowed. */
import { matcherOf } from "../channels/patterns.ts";
import type { Action, Grant, Subject } from "../engine/ports/access.ts";
import {
  type AccessRule,
  type AccessRules,
  type Effect,
  EVERY_USER,
  fill,
  isTemplated,
} from "./rules.ts";

/** A pattern, and where it comes from. */
export interface Term {
  readonly pattern: string;
  /** Whether it stands for a channel. */
  readonly matches: (channel: string) => boolean;
  /** The place of its rule in the list; undefined for a grant of a token. */
  readonly rule: number | undefined;
}

/** A rule that is not for a subject, because an id of the subject cannot stand in it. */
export interface Unfit {
  readonly rule: number;
  readonly effect: Effect;
  readonly reason: string;
}

export interface Terms {
  readonly denied: readonly Term[];
  /** Undefined where everything is allowed that is not denied. */
  readonly allowed: readonly Term[] | undefined;
  readonly unfit: readonly Unfit[];
}

/** A rule whose channels are taken apart once. */
interface ReadRule extends Omit<AccessRule, "users"> {
  readonly place: number;
  readonly users: ReadonlySet<string> | undefined;
  /** Of channels that are the same for every subject; all subjects of the rule share them. */
  readonly fixed: readonly Term[];
  /** Channels with the words `{user}` or `{client}`. */
  readonly templates: readonly string[];
}

export class AccessBook {
  readonly #standard: Effect;
  readonly #rules: readonly ReadRule[];

  constructor({ standard, rules }: AccessRules) {
    this.#standard = standard;
    this.#rules = rules.map(readRule);
  }

  /** Whether an action has the same terms for all subjects without grants. */
  isCommon(action: Action): boolean {
    return this.#rules.every(
      ({ actions, users, templates }) =>
        !actions.includes(action) || (users === undefined && templates.length === 0),
    );
  }

  termsOf(subject: Subject, action: Action): Terms {
    const { grants } = subject;
    const unfit: Unfit[] = [];
    const denied = this.#ofRules("deny", subject, action, unfit);
    if (grants !== undefined) return { denied, allowed: ofGrants(grants, action), unfit };
    const allowed =
      this.#standard === "allow" ? undefined : this.#ofRules("allow", subject, action, unfit);
    return { denied, allowed, unfit };
  }

  #ofRules(effect: Effect, subject: Subject, action: Action, unfit: Unfit[]): readonly Term[] {
    return this.#rules
      .filter((rule) => rule.effect === effect && rule.actions.includes(action))
      .filter((rule) => isFor(rule, subject))
      .flatMap((rule) => [...rule.fixed, ...filled(rule, subject, unfit)]);
  }
}

function readRule(rule: AccessRule, place: number): ReadRule {
  const templates = rule.channels.filter(isTemplated);
  const fixed = rule.channels
    .filter((pattern) => !isTemplated(pattern))
    .map((pattern) => termOf(pattern, place));
  const users = rule.users && new Set(rule.users);
  return { ...rule, users, place, fixed, templates };
}

function ofGrants(grants: readonly Grant[], action: Action): Term[] {
  return grants
    .filter(({ actions }) => actions.includes(action))
    .map(({ pattern }) => termOf(pattern, undefined));
}

function isFor({ users }: ReadRule, { userId }: Subject): boolean {
  if (users === undefined) return true;
  // An anonymous subject is none of the users.
  return userId !== "" && (users.has(EVERY_USER) || users.has(userId));
}

function filled({ place, effect, templates }: ReadRule, subject: Subject, unfit: Unfit[]): Term[] {
  return templates.flatMap((template) => {
    const result = fill(template, subject);
    if ("pattern" in result) return [termOf(result.pattern, place)];
    unfit.push({ rule: place, effect, reason: result.unfit });
    return [];
  });
}

function termOf(pattern: string, rule: number | undefined): Term {
  return { pattern, matches: matcherOf(pattern), rule };
}
