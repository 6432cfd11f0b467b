/** The table `access`: what users may do in which channels. */
import * as v from "valibot";
import {
  type AccessRule,
  type AccessRules,
  EFFECTS,
  NO_RULES,
  templateProblem,
} from "../../access/rules.ts";
import { ACTIONS } from "../ports/access.ts";
import { table, together, type Wrong } from "./table.ts";
import { key, oneOf, someOf, textsWithout } from "./values.ts";

/** Rules that a deployment may have: a decision that is not remembered looks at all of them. */
const MAX_RULES = 1_000;

const NOT_CHANNELS = "must be a list of channels and patterns such as inbox.{user}.**";
const NOT_USERS = 'must be a list of user ids, or of "*" for everyone who has authenticated';

const effects = oneOf(EFFECTS);

const rule = v.pipe(
  table({
    channels: v.pipe(
      v.array(textsWithout(templateProblem, NOT_CHANNELS), NOT_CHANNELS),
      v.nonEmpty(NOT_CHANNELS),
      v.description("none"),
    ),
    effect: v.pipe(effects, v.description("none")),
    actions: key(someOf(ACTIONS, 1), "all"),
    users: key(
      v.pipe(
        v.array(v.pipe(v.string(NOT_USERS), v.nonEmpty(NOT_USERS)), NOT_USERS),
        v.nonEmpty(NOT_USERS),
      ),
      "everybody",
    ),
  }),
  v.transform(({ actions = ACTIONS, users, ...rest }): AccessRule => ({ ...rest, actions, users })),
);

const entries = table({
  default: v.optional(effects, NO_RULES.standard),
  rules: v.optional(
    v.pipe(
      v.array(rule, "must be a list of tables"),
      v.maxLength(MAX_RULES, `must be at most ${MAX_RULES} rules`),
    ),
    [],
  ),
});
type Written = v.InferOutput<typeof entries>;

export const accessRules = v.optional(
  v.pipe(
    entries,
    together(idleRules),
    v.transform(({ default: standard, rules }): AccessRules => ({ standard, rules })),
  ),
  {},
);

/** Rules that change nothing. */
function idleRules({ default: standard, rules }: Written): Wrong<Written>[] {
  if (standard === "deny") return [];
  const message = "allows what access.default allows already: set access.default to deny";
  return rules.flatMap(({ effect }, place): Wrong<Written>[] =>
    effect === "allow" ? [[`rules.${place}.effect`, message]] : [],
  );
}
