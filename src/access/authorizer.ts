/**
 * The one authorizer: rules of the configuration and grants of tokens. An action that a rule denies is refused,
 * even if another allows it. Of the rest a subject with grants may do what they say. Every other subject may do what
 * rules allow or, where no rule is for it, what the default says.
 */
import { made } from "../channels/maps.ts";
import { isPattern } from "../channels/names.ts";
import { coveredBy, overlaps } from "../channels/patterns.ts";
import { ACTIONS, type Action, type Authorizer, type Subject } from "../engine/ports/access.ts";
import type { Logger } from "../engine/ports/platform.ts";
import { MessagingError } from "../protocol/errors.ts";
import { MAX_CHANNEL_BYTES } from "../protocol/limits.ts";
import type { AccessRules } from "./rules.ts";
import { AccessBook, type Terms, type Unfit } from "./terms.ts";

/** Decisions that are remembered about one subject and one action. */
const MAX_KNOWN = 32;
/** The same where all subjects share them. */
const MAX_COMMON = 10_000;
/** A subject without anything of its own: what is decided about it holds for every such subject. */
const ANYBODY: Subject = { userId: "", clientId: "", clientVouched: false, grants: undefined };

const REFUSALS: Readonly<Record<Action, MessagingError>> = {
  subscribe: refused("this user may not subscribe to this channel"),
  publish: refused("this user may not publish to this channel"),
  presence: refused("this user may not see who is in this channel"),
  history: refused("this user may not read the history of this channel"),
  survey: refused("this user may not survey this channel"),
  rpc: refused("this user may not call by this channel"),
};

export class RuleAuthorizer implements Authorizer {
  readonly #book: AccessBook;
  readonly #logger: Logger;
  /** Of actions that have the same terms for all subjects without grants. */
  readonly #common: Decisions = {};
  /** A subject is let go of with its session. */
  readonly #own = new WeakMap<Subject, Decisions>();
  /** Why rules were not for a subject, as far as the log has it. */
  readonly #told = new Set<string>();

  constructor(rules: AccessRules, logger: Logger) {
    this.#book = new AccessBook(rules);
    this.#logger = logger;
    for (const action of ACTIONS) {
      if (!this.#book.isCommon(action)) continue;
      this.#common[action] = new Decided(this.#book.termsOf(ANYBODY, action), MAX_COMMON);
    }
  }

  refusal(subject: Subject, action: Action, channel: string): MessagingError | undefined {
    return this.#decidedFor(subject, action).allows(channel) ? undefined : REFUSALS[action];
  }

  reaches(subject: Subject, action: Action, pattern: string, except: readonly string[]): boolean {
    return reaches(this.#decidedFor(subject, action).terms, pattern, except);
  }

  #decidedFor(subject: Subject, action: Action): Decided {
    const common = subject.grants === undefined ? this.#common[action] : undefined;
    if (common !== undefined) return common;
    const own = made(this.#own, subject, () => ({}));
    let decided = own[action];
    if (decided === undefined) {
      const terms = this.#book.termsOf(subject, action);
      for (const unfit of terms.unfit) this.#tell(unfit);
      decided = new Decided(terms, MAX_KNOWN);
      own[action] = decided;
    }
    return decided;
  }

  /** Once for each reason: there may be many users of the kind. */
  #tell({ rule, reason }: Unfit): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    const place = `access.rules.${rule}`;
    this.#logger.warn("a rule is not for a client whose id cannot stand in it", {
      rule: place,
      reason,
    });
  }
}

/** What was decided, by action. */
type Decisions = { [Name in Action]?: Decided };

/** Terms, and the last decisions by them. */
class Decided {
  readonly terms: Terms;
  readonly #most: number;
  /** Whether no channel is denied and all are allowed. */
  readonly #open: boolean;
  #known = new Map<string, boolean>();

  constructor(terms: Terms, most: number) {
    this.terms = terms;
    this.#most = most;
    this.#open = terms.denied.length === 0 && terms.allowed === undefined;
  }

  allows(channel: string): boolean {
    if (this.#open) return true;
    // No channel has such a name, and an RPC may have any: it is neither looked at nor remembered.
    if (channel.length > MAX_CHANNEL_BYTES) return false;
    const known = this.#known.get(channel);
    if (known !== undefined) return known;
    const allowed = allows(this.terms, channel);
    if (this.#known.size >= this.#most) this.#known = new Map();
    this.#known.set(channel, allowed);
    return allowed;
  }
}

/** Whether terms allow a channel, or all channels of a pattern. */
export function allows({ denied, allowed }: Terms, channel: string): boolean {
  if (!isPattern(channel)) {
    if (denied.some((term) => term.matches(channel))) return false;
    return allowed === undefined || allowed.some((term) => term.matches(channel));
  }
  // A single channel that is denied would be delivered with all the others.
  if (denied.some(({ pattern }) => overlaps(pattern, channel))) return false;
  if (allowed === undefined) return true;
  const patterns = allowed.map(({ pattern }) => pattern);
  return coveredBy(patterns, channel);
}

/** Whether terms may allow a channel of a pattern that is none of the others'. */
function reaches({ denied, allowed }: Terms, pattern: string, except: readonly string[]): boolean {
  const out = [...denied.map((term) => term.pattern), ...except];
  if (coveredBy(out, pattern)) return false;
  if (allowed === undefined) return true;
  return allowed.some((term) => overlaps(term.pattern, pattern) && !coveredBy(out, term.pattern));
}

function refused(message: string): MessagingError {
  return new MessagingError("ACL_ERROR", message);
}
