/** Ids that mean to be more than a word: whoever has one reaches their own channel and no other. */
import { expect, test } from "vitest";
import { channelProblem, isPattern } from "../../src/channels/names.ts";
import { overlaps, patternProblem } from "../../src/channels/patterns.ts";
import type { Subject } from "../../src/engine/ports/access.ts";
import { seed, seededRandom } from "../support/random.ts";
import { authorizerOf, rule, rulesOf, subject } from "./subjects.ts";

const WRITTEN = [
  "",
  ".",
  "..",
  "*",
  "**",
  "*.*",
  "**.*",
  "ada",
  "ADA",
  "ada.",
  ".ada",
  "ada.*",
  "ada.**",
  "ada.grace",
  "grace",
  "{user}",
  "{client}",
  "{user}.{client}",
  "{}",
  "$&",
  "$1",
  "\\*",
  "[a-z]",
  "?",
  "a*",
  "*a",
  "***",
  "%2A",
  "%2E",
  "．",
  "＊",
  " ada",
  "ada ",
  "ada\u0000",
  "\u0000",
  "\n",
  "ada\ngrace",
  "ada\r",
  "\u007f",
  "\u0085",
  "\ud800",
  "ada\udfff",
  "é",
  "e\u0301",
  "\u200bada",
  "\u202eada",
  "__proto__",
  "constructor",
  "toString",
  "inbox",
  "x".repeat(255),
  "é".repeat(200),
] as const;
const PIECES = [
  "ada",
  "grace",
  ".",
  "*",
  "**",
  "{user}",
  "{client}",
  "\u0000",
  "\n",
  "é",
  "?",
  "[",
];
const VICTIMS = ["ada", "grace", "inbox", "other"] as const;
/** Rules of each form that a rule with an id can have. */
const SHAPES = [
  "inbox.{id}",
  "inbox.{id}.**",
  "inbox.{id}.*",
  "inbox.*.{id}",
  "{id}",
  "{id}.**",
  "*.{id}.**",
  "{id}.{id}",
  "inbox.{id}.{id}.**",
] as const;

function hostile(): readonly string[] {
  const random = seededRandom(seed());
  const ids = new Set<string>(WRITTEN);
  while (ids.size < 200) {
    ids.add(Array.from({ length: 1 + random.int(4) }, () => random.pick(PIECES)).join(""));
  }
  return [...ids];
}

const IDS = hostile();

/** Whether a channel is one of those that a shape means for an id: word for word, and nothing cleverer. */
function isOwn(shape: string, id: string, channel: string): boolean {
  const [wanted, words] = [shape.split("."), channel.split(".")];
  const open = wanted.at(-1) === "**";
  if (open) wanted.pop();
  if (open ? words.length < wanted.length : words.length !== wanted.length) return false;
  return wanted.every((word, i) => word === "*" || words[i] === (word === "{id}" ? id : word));
}

/** Channels of somebody's by a shape. */
function channelsOf(shape: string, id: string): string[] {
  const filled = shape.replaceAll("{id}", () => id);
  const some = [filled, filled.replace("**", "x"), filled.replace("**", "x.y")];
  return some.map((text) => text.replaceAll("*", "any")).filter((text) => text !== "");
}

/** Names that somebody with this id may think of. */
function probes(shape: string, id: string): readonly string[] {
  const names = new Set([
    ...VICTIMS.flatMap((victim) => channelsOf(shape, victim)),
    ...channelsOf(shape, id),
    ...VICTIMS.flatMap((victim) => channelsOf(shape, `${id}.${victim}`)),
    ...[
      "inbox",
      "inbox.*",
      "inbox.**",
      "inbox.*.*",
      "*",
      "*.*",
      "**",
      id,
      `${id}.**`,
      `inbox.${id}`,
    ],
    shape.replaceAll("{id}", () => id),
    shape.replaceAll("{id}", "*"),
  ]);
  return [...names].filter((name) => patternProblem(name) === undefined);
}

test("there are 200 of them", () => {
  expect(IDS.length).toBeGreaterThanOrEqual(200);
});

const KINDS: readonly (readonly [template: string, as: (id: string) => Subject])[] = [
  ["{user}", (id) => subject(id)],
  ["{client}", (id) => subject("somebody", { clientId: id, clientVouched: true })],
];

test.each(KINDS)("by %s an id reaches its own channels alone", (template, as) => {
  let own = 0;
  const wrong: string[] = [];
  for (const shape of SHAPES) {
    const pattern = shape.replaceAll("{id}", template);
    const { may } = authorizerOf(rulesOf("deny", rule("allow", pattern)));
    for (const id of IDS) {
      const who = as(id);
      for (const name of probes(shape, id)) {
        const allowed = may(who, "subscribe", name);
        const why = `${shape} ${JSON.stringify(id)} ${JSON.stringify(name)}`;
        if (!isPattern(name)) {
          if (allowed !== isOwn(shape, id, name)) wrong.push(why);
          own += allowed ? 1 : 0;
          continue;
        }
        // A pattern may bring what is the bearer's own, and nothing of anybody else's.
        const others = VICTIMS.filter((victim) => victim !== id)
          .flatMap((victim) => channelsOf(shape, victim))
          .filter((channel) => channelProblem(channel) === undefined && !isOwn(shape, id, channel));
        if (allowed && others.some((channel) => overlaps(name, channel))) wrong.push(why);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(own).toBeGreaterThan(SHAPES.length * 50);
});

test.each(KINDS)(
  "by %s a rule that denies takes from an id its own channels alone",
  (template, as) => {
    const wrong: string[] = [];
    for (const shape of SHAPES) {
      const pattern = shape.replaceAll("{id}", template);
      const { may } = authorizerOf(rulesOf("allow", rule("deny", pattern)));
      for (const id of IDS) {
        const who = as(id);
        for (const name of probes(shape, id).filter((probe) => !isPattern(probe))) {
          if (may(who, "publish", name) !== isOwn(shape, id, name)) continue;
          wrong.push(`${shape} ${JSON.stringify(id)} ${JSON.stringify(name)}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  },
);

test("a client id that nobody vouches for reaches nothing, its own channel included", () => {
  for (const shape of SHAPES) {
    const pattern = shape.replaceAll("{id}", "{client}");
    const { may } = authorizerOf(rulesOf("deny", rule("allow", pattern)));
    for (const id of IDS) {
      const who = subject("somebody", { clientId: id });
      expect(probes(shape, id).filter((name) => may(who, "subscribe", name))).toEqual([]);
    }
  }
});

test("an id is one of a rule's users only where it is written there", () => {
  const { may } = authorizerOf(rulesOf("deny", rule("allow", "**", { users: ["ada", "{user}"] })));
  for (const id of IDS) {
    expect(may(subject(id), "rpc", "a")).toBe(id === "ada" || id === "{user}");
  }
});
