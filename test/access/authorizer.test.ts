/** Rules and grants: what they come to, against a second reading of them. */
import { describe, expect, test } from "vitest";
import { explain } from "../../src/access/explain.ts";
import type { AccessRule, AccessRules, Effect } from "../../src/access/rules.ts";
import { isPattern } from "../../src/channels/names.ts";
import { ACTIONS, type Action, type Grant, type Subject } from "../../src/engine/ports/access.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";
import { authorizerOf, rule, rulesOf, subject } from "./subjects.ts";

/** Those that patterns name, and one that none does: it stands for all others. */
const WORDS = ["a", "b", "other"] as const;
const NAMED = ["a", "b"] as const;
/** One word more than the longest pattern of the test has, and one beyond. */
const LONGEST = 5;
const IDS = ["a", "b", "", "*", "**", "a.b"] as const;

const CHANNELS = channelsUpTo(LONGEST);

function channelsUpTo(length: number): string[] {
  const all: string[][] = [[]];
  for (let last: string[][] = [[]]; last[0] !== undefined && last[0].length < length; ) {
    last = last.flatMap((words) => WORDS.map((word) => [...words, word]));
    all.push(...last);
  }
  return all.filter((words) => words.length > 0).map((words) => words.join("."));
}

function somePattern(random: SeededRandom, templates: readonly string[]): string {
  const words = Array.from({ length: random.int(4) }, () =>
    random.chance(0.3) ? "*" : random.pick([...NAMED, ...templates]),
  );
  if (words.length === 0 || random.chance(0.4)) words.push("**");
  return words.join(".");
}

/** Channels that a pattern stands for, as a regular expression; undefined where it is for nobody. */
function meaning(
  pattern: string,
  { userId, clientId, clientVouched }: Subject,
): RegExp | undefined {
  const ids: Record<string, string | undefined> = {
    "{user}": userId,
    "{client}": clientVouched ? clientId : undefined,
  };
  const parts: string[] = [];
  for (const [index, word] of pattern.split(".").entries()) {
    const dot = index === 0 ? "" : "\\.";
    if (word === "**") parts.push(index === 0 ? ".+" : "(\\.[^.]+)*");
    else if (word === "*") parts.push(`${dot}[^.]+`);
    else if (!(word in ids)) parts.push(dot + word);
    else {
      const id = ids[word];
      if (id === undefined || !/^[^.*]+$/.test(id)) return undefined;
      parts.push(dot + id);
    }
  }
  return new RegExp(`^${parts.join("")}$`);
}

/** Whether somebody may do something in a single channel, read once more from the beginning. */
function naive(
  { standard, rules }: AccessRules,
  who: Subject,
  action: Action,
  channel: string,
): boolean {
  const stands = (pattern: string): boolean => meaning(pattern, who)?.test(channel) === true;
  const says = (effect: Effect): boolean =>
    rules.some(
      ({ channels, actions, effect: said, users = ["", who.userId] }) =>
        said === effect &&
        actions.includes(action) &&
        (users.includes(who.userId) || (who.userId !== "" && users.includes("*"))) &&
        channels.some(stands),
    );
  if (says("deny")) return false;
  if (who.grants !== undefined) {
    return who.grants.some(({ pattern, actions }) => actions.includes(action) && stands(pattern));
  }
  return standard === "allow" || says("allow");
}

function someRule(random: SeededRandom): AccessRule {
  const channels = Array.from({ length: 1 + random.int(3) }, () =>
    somePattern(random, ["{user}", "{client}"]),
  );
  const users = random.chance(0.6) ? undefined : [random.pick(["a", "b", "*"])];
  const actions = ACTIONS.filter(() => random.chance(0.6));
  return { channels, actions, effect: random.chance(0.4) ? "deny" : "allow", users };
}

function someGrants(random: SeededRandom): readonly Grant[] {
  return Array.from({ length: random.int(4) }, () => ({
    pattern: somePattern(random, []),
    actions: ACTIONS.filter(() => random.chance(0.6)),
  }));
}

describe("a naive model", () => {
  test("single channels, and patterns as all of their channels, come to the same", () => {
    const met = { allowed: 0, refused: 0, patterns: 0 };
    eachStep(200, (random) => {
      const rules: AccessRules = {
        standard: random.chance(0.3) ? "allow" : "deny",
        rules: Array.from({ length: random.int(6) }, () => someRule(random)),
      };
      const who = subject(random.pick(IDS), {
        clientId: random.pick(IDS),
        clientVouched: random.chance(0.5),
        ...(random.chance(0.3) ? { grants: someGrants(random) } : {}),
      });
      const action = random.pick(ACTIONS);
      const { may } = authorizerOf(rules);
      const allowed = new Set(CHANNELS.filter((channel) => naive(rules, who, action, channel)));
      for (const channel of CHANNELS) {
        if (may(who, action, channel) === allowed.has(channel)) continue;
        throw new Error(`${action} ${channel} ${JSON.stringify({ who, rules })}`);
      }
      for (let i = 0; i < 20; i++) {
        const pattern = somePattern(random, []);
        if (!isPattern(pattern)) continue;
        const stands = meaning(pattern, who);
        const all = CHANNELS.filter((channel) => stands?.test(channel) === true);
        const expected = all.every((channel) => allowed.has(channel));
        met[expected ? "allowed" : "refused"] += 1;
        met.patterns += 1;
        const told = explain(rules, who, action, pattern);
        if (may(who, action, pattern) === expected && told.allowed === expected) continue;
        throw new Error(`${action} ${pattern} ${JSON.stringify({ who, rules, told })}`);
      }
    });
    // Neither of the two is rare, or the comparison would say little.
    expect(met.allowed).toBeGreaterThan(met.patterns / 10);
    expect(met.refused).toBeGreaterThan(met.patterns / 10);
  });
});

/** What `reaches` says, and whether single channels bear it out. */
test("what is reached by an action is never denied to reach, and what is ruled out whole is", () => {
  const met = { reached: 0, not: 0 };
  eachStep(500, (random) => {
    const rules: AccessRules = {
      standard: random.chance(0.3) ? "allow" : "deny",
      rules: Array.from({ length: random.int(6) }, () => someRule(random)),
    };
    const who = subject(random.pick(IDS), random.chance(0.3) ? { grants: someGrants(random) } : {});
    const action = random.pick(ACTIONS);
    const { authorizer } = authorizerOf(rules);
    const pattern = somePattern(random, []);
    const except = Array.from({ length: random.int(3) }, () => somePattern(random, []));
    const inside = CHANNELS.filter((channel) => meaning(pattern, who)?.test(channel) === true);
    const left = inside
      .filter((channel) => except.every((one) => meaning(one, who)?.test(channel) !== true))
      .filter((channel) => naive(rules, who, action, channel));
    const said = authorizer.reaches(who, action, pattern, except);
    met[said ? "reached" : "not"] += 1;
    if (left.length > 0 && !said) {
      throw new Error(`${action} ${pattern} ${JSON.stringify({ who, rules, except, left })}`);
    }
  });
  expect(met.reached).toBeGreaterThan(50);
  expect(met.not).toBeGreaterThan(50);
});

test.each([
  { rules: rulesOf("allow", rule("deny", "a.**")), pattern: "a.b.*", reached: false },
  { rules: rulesOf("allow", rule("deny", "a.b")), pattern: "a.*", reached: true },
  { rules: rulesOf("deny", rule("allow", "a.**")), pattern: "b.**", reached: false },
  { rules: rulesOf("deny", rule("allow", "*.b")), pattern: "a.**", reached: true },
  { rules: rulesOf("deny", rule("allow", "{user}.*")), pattern: "ada.**", reached: true },
  { rules: rulesOf("deny", rule("allow", "{user}.*")), pattern: "bob.**", reached: false },
  {
    rules: rulesOf("deny", rule("allow", "a.b"), rule("deny", "a.*")),
    pattern: "**",
    reached: false,
  },
  { rules: rulesOf("deny", rule("allow", "a.b")), pattern: "**", except: ["a.*"], reached: false },
  { rules: rulesOf("deny", rule("allow", "a.**")), pattern: "**", except: ["a.*"], reached: true },
  { rules: rulesOf("allow"), pattern: "**", except: ["**"], reached: false },
  {
    rules: rulesOf("allow"),
    grants: [{ pattern: "a", actions: ["subscribe" as const] }],
    pattern: "a",
    reached: false,
  },
])("$pattern is reached: $reached, by $rules", ({ rules, grants, pattern, except, reached }) => {
  const { authorizer } = authorizerOf(rules);
  const who = subject("ada", { grants });
  expect(authorizer.reaches(who, "publish", pattern, except ?? [])).toBe(reached);
});

test("without rules and grants everything is open", () => {
  const { may, log } = authorizerOf(rulesOf("allow"));
  for (const action of ACTIONS) {
    for (const channel of ["a", "a.*", "**", "", "x".repeat(1_000)]) {
      expect(may(subject(""), action, channel)).toBe(true);
    }
  }
  expect(log).toEqual([]);
});

test("a refusal is ACL_ERROR, names the action, and says nothing of the channel", () => {
  const { authorizer } = authorizerOf(rulesOf("deny"));
  const texts = ACTIONS.map((action) => {
    const refusal = authorizer.refusal(subject("ada"), action, "secret.channel");
    expect(refusal).toBeInstanceOf(MessagingError);
    expect([refusal?.code, refusal?.retry, refusal?.metadata]).toEqual([
      "ACL_ERROR",
      false,
      undefined,
    ]);
    expect(refusal?.message).not.toContain("secret");
    return refusal?.message;
  });
  expect(new Set(texts).size).toBe(ACTIONS.length);
});

test("S10: what denies wins wherever it stands", () => {
  const list = [rule("allow", "chat.**"), rule("deny", "chat.admin"), rule("allow", "chat.admin")];
  for (const rules of [list, list.toReversed(), [list[1], list[0], list[2]] as AccessRule[]]) {
    const { may } = authorizerOf(rulesOf("deny", ...rules));
    expect(may(subject("ada"), "publish", "chat.admin")).toBe(false);
    expect(may(subject("ada"), "publish", "chat.room")).toBe(true);
  }
});

test("S11: a star is one word, for rules and for grants", () => {
  const granted = subject("ada", { grants: [{ pattern: "a.*", actions: ["publish"] }] });
  const { may } = authorizerOf(rulesOf("deny", rule("allow", "a.*")));
  for (const who of [subject("ada"), granted]) {
    expect(may(who, "publish", "a.b")).toBe(true);
    for (const channel of ["a", "a.b.c", "a.b.c.d"])
      expect(may(who, "publish", channel)).toBe(false);
  }
});

test("S12: a pattern that stands for a single denied channel is refused", () => {
  const { may } = authorizerOf(rulesOf("allow", rule("deny", "a.b.c")));
  for (const wide of ["**", "a.**", "a.*.c", "*.b.*", "a.b.**", "a.b.c.**"]) {
    expect([wide, may(subject("ada"), "subscribe", wide)]).toEqual([wide, false]);
  }
  for (const apart of ["a.*", "a.b.d.**", "a.*.d", "a.b.c.d.**"]) {
    expect([apart, may(subject("ada"), "subscribe", apart)]).toEqual([apart, true]);
  }
});

test("several patterns allow together what none of them allows alone", () => {
  const { may } = authorizerOf(rulesOf("deny", rule("allow", "chat"), rule("allow", "chat.*.**")));
  expect(may(subject("ada"), "subscribe", "chat.**")).toBe(true);
  const holed = authorizerOf(rulesOf("deny", rule("allow", "chat"), rule("allow", "chat.*.*.**")));
  expect(holed.may(subject("ada"), "subscribe", "chat.**")).toBe(false);
  // However many words patterns name, there is another one.
  const named = authorizerOf(rulesOf("deny", rule("allow", ["chat.a", "chat.b"])));
  expect(named.may(subject("ada"), "subscribe", "chat.*")).toBe(false);
});

test("grants take the place of what rules allow, and never of what they deny", () => {
  const rules = rulesOf("allow", rule("deny", "chat.admin"));
  const { may } = authorizerOf(rules);
  const actions: readonly Action[] = ["subscribe"];
  const bearer = subject("ada", { grants: [{ pattern: "chat.*", actions }] });
  expect(may(bearer, "subscribe", "chat.room")).toBe(true);
  expect(may(bearer, "subscribe", "chat.admin")).toBe(false);
  expect(may(bearer, "subscribe", "chat.*")).toBe(false);
  expect(may(bearer, "publish", "chat.room")).toBe(false);
  expect(may(bearer, "subscribe", "news")).toBe(false);
  expect(may(subject("ada", { grants: [] }), "subscribe", "news")).toBe(false);
  const closed = authorizerOf(rulesOf("deny"));
  expect(closed.may(bearer, "subscribe", "chat.admin")).toBe(true);
});

test("a rule is for its users alone, and for nobody in particular where it names some", () => {
  const { may } = authorizerOf(
    rulesOf(
      "deny",
      rule("allow", "staff.**", { users: ["ada", "grace"] }),
      rule("allow", "home.**", { users: ["*"] }),
      rule("deny", "home.guest", { users: ["mallory"] }),
    ),
  );
  const where = ["staff.a", "home.a", "home.guest"];
  const told = (id: string) => where.map((channel) => may(subject(id), "publish", channel));
  expect(told("ada")).toEqual([true, true, true]);
  expect(told("bob")).toEqual([false, true, true]);
  expect(told("mallory")).toEqual([false, true, false]);
  expect(told("")).toEqual([false, false, false]);
  // Who calls themselves as a setting does is one user more.
  expect(told("*")).toEqual([false, true, true]);
});

test("an RPC by what no channel can be called is refused where there are rules of RPCs", () => {
  const long = "x".repeat(256);
  const { may } = authorizerOf(rulesOf("allow", rule("deny", "a.**", { actions: ["rpc"] })));
  expect(may(subject("ada"), "rpc", long)).toBe(false);
  expect(may(subject("ada"), "rpc", "")).toBe(true);
  expect(may(subject("ada"), "rpc", "a..b")).toBe(false);
  expect(may(subject("ada"), "publish", long)).toBe(true);
});

test("decisions stay the same however many channels come between", () => {
  const rules = rulesOf("allow", rule("deny", "no.**"), rule("deny", "own.{user}"));
  const { may } = authorizerOf(rules);
  const who = subject("ada");
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) {
      expect(may(who, "publish", `no.${i}`)).toBe(false);
      expect(may(who, "publish", `yes.${i}`)).toBe(true);
    }
    expect(may(who, "publish", "own.ada")).toBe(false);
    expect(may(subject("grace"), "publish", "own.ada")).toBe(true);
  }
});

test("why a rule is left out stands in the log once for each reason, without the id", () => {
  const { log, may } = authorizerOf(
    rulesOf("deny", rule("allow", "inbox.{user}"), rule("allow", "device.{client}")),
  );
  for (const id of ["a.b", "c.d", "*", "**", "", "e\u0007"]) {
    for (let i = 0; i < 3; i++) may(subject(id), "subscribe", "inbox.x");
  }
  const vouched = { clientId: "c.1", clientVouched: true };
  may(subject("ada", vouched), "subscribe", "inbox.x");
  expect(log.map((line) => JSON.parse(line.slice(line.indexOf("{"))).reason)).toEqual([
    "the user id holds a dot",
    "authentication does not vouch for the client id",
    "the user id is a wildcard",
    "the user id is empty",
    "the user id holds a control character",
    "the client id holds a dot",
  ]);
  expect(log.join()).not.toMatch(/a\.b|c\.d|c\.1/);
  expect(log[0]).toContain('"access.rules.0"');
});

describe("why", () => {
  const rules = rulesOf(
    "deny",
    rule("allow", ["chat", "chat.*.**"]),
    rule("deny", "chat.admin", { actions: ["publish"] }),
    rule("allow", "inbox.{user}"),
  );

  test.each<[string, Action, string, boolean, string[]]>([
    ["ada", "subscribe", "chat.room", true, ["access.rules.0 allows chat.*.**"]],
    ["ada", "publish", "chat.admin", false, ["access.rules.1 denies chat.admin"]],
    [
      "ada",
      "publish",
      "chat.*",
      false,
      ["access.rules.1 denies chat.admin, and chat.* stands for some of its channels"],
    ],
    ["ada", "subscribe", "inbox.ada", true, ["access.rules.2 allows inbox.ada"]],
    [
      "ada",
      "subscribe",
      "inbox.*",
      false,
      ["no rule allows all channels of inbox.*, and access.default is deny"],
    ],
    [
      "a.b",
      "subscribe",
      "inbox.a.b",
      false,
      [
        "no rule allows it, and access.default is deny",
        "access.rules.2 is left out: the user id holds a dot",
      ],
    ],
    [
      "ada",
      "subscribe",
      "chat.**",
      true,
      [
        "access.rules.0 allows chat, with the others all of chat.**",
        "access.rules.0 allows chat.*.**, with the others all of chat.**",
      ],
    ],
  ])("%s, %s, %s", (user, action, channel, allowed, reasons) => {
    expect(explain(rules, subject(user), action, channel)).toEqual({ allowed, reasons });
  });

  test("defaults and grants are named as well", () => {
    const open = rulesOf("allow");
    expect(explain(open, subject(""), "rpc", "a").reasons).toEqual([
      "no rule denies it, and access.default is allow",
    ]);
    const bearer = subject("ada", { grants: [{ pattern: "a.*", actions: ["rpc"] }] });
    expect(explain(open, bearer, "rpc", "a.b").reasons).toEqual(["the token allows a.*"]);
    expect(explain(open, bearer, "rpc", "b").reasons).toEqual([
      "the token grants nothing that allows it",
    ]);
  });
});
