/**
 * Rules of access, as an operator writes them: which users may do what in which channels. Channels are
 * named by patterns of the grammar of channels, in which a word `{user}` or `{client}` stands for an id.
 */
import { channelProblem } from "../channels/names.ts";
import { patternProblem } from "../channels/patterns.ts";
import type { Action, Subject } from "../engine/ports/access.ts";

export const EFFECTS = ["allow", "deny"] as const;
export type Effect = (typeof EFFECTS)[number];

/** One rule. It is for a subject that does one of its actions in one of its channels, if the subject is one of its users. */
export interface AccessRule {
  /** Names and patterns; `{user}` and `{client}` may stand for whole words. */
  readonly channels: readonly string[];
  readonly actions: readonly Action[];
  /** A rule that denies stands above all that allow, in any order. */
  readonly effect: Effect;
  /** Ids of users, EVERY_USER for all that have authenticated; undefined for all subjects. */
  readonly users: readonly string[] | undefined;
}

/** All rules, and what holds where none of them is for a subject without grants. */
export interface AccessRules {
  readonly standard: Effect;
  readonly rules: readonly AccessRule[];
}

/** Everything is allowed to every subject. */
export const NO_RULES: AccessRules = { standard: "allow", rules: [] };

/** Among the users of a rule: all that have authenticated. */
export const EVERY_USER = "*";

/** Words that stand for an id. */
const TEMPLATES = ["{user}", "{client}"] as const;
type Template = (typeof TEMPLATES)[number];

/** What is wrong with a channel of a rule, or undefined. */
export function templateProblem(pattern: string): string | undefined {
  const words = pattern.split(".");
  for (const word of words) {
    if (isTemplate(word)) continue;
    const inside = TEMPLATES.find((template) => word.includes(template));
    if (inside !== undefined) return `${inside} must be a whole word`;
    // A name that is mistaken would be a word that no channel has.
    if (/^\{[^{}]*\}$/.test(word)) {
      return `${word.slice(0, 64)} stands for nothing: there are ${TEMPLATES.join(" and ")}`;
    }
  }
  return patternProblem(words.map((word) => (isTemplate(word) ? "x" : word)).join("."));
}

/** Whether a channel of a rule is another one for each user or client. */
export function isTemplated(pattern: string): boolean {
  return pattern.includes("{") && pattern.split(".").some(isTemplate);
}

/** A pattern of a rule with the ids of a subject in it, or why the rule is not for that subject. */
export type Filled = { readonly pattern: string } | { readonly unfit: string };

/**
 * A rule's pattern for one subject: in place of `{user}` and `{client}` stand its ids.
 *
 * @returns `unfit`, where an id is no word of a channel's name or the client id is not vouched for: the rule is not for
 * this subject then
 * @example
 * fill("inbox.{user}", ada); // { pattern: "inbox.ada" }
 */
export function fill(pattern: string, subject: Subject): Filled {
  const words: string[] = [];
  // Each word once: an id that looks like a template is a word like any other.
  for (const word of pattern.split(".")) {
    const id = isTemplate(word) ? idFor(word, subject) : { word };
    if ("unfit" in id) return id;
    words.push(id.word);
  }
  return { pattern: words.join(".") };
}

function idFor(
  template: Template,
  { userId, clientId, clientVouched }: Subject,
): { readonly word: string } | { readonly unfit: string } {
  if (template === "{user}") {
    const problem = wordProblem(userId);
    return problem === undefined ? { word: userId } : { unfit: `the user id ${problem}` };
  }
  if (!clientVouched) return { unfit: "authentication does not vouch for the client id" };
  const problem = wordProblem(clientId);
  return problem === undefined ? { word: clientId } : { unfit: `the client id ${problem}` };
}

/** Why an id is not exactly one literal word of a channel, or undefined. */
function wordProblem(id: string): string | undefined {
  if (id === "") return "is empty";
  if (id.includes(".")) return "holds a dot";
  if (id === "*" || id === "**") return "is a wildcard";
  const problem = channelProblem(id);
  return problem?.replace(/^channel /, "");
}

function isTemplate(word: string): word is Template {
  return (TEMPLATES as readonly string[]).includes(word);
}
