/**
 * A pattern is granted exactly where every channel that it stands for is: a router against a naive model
 * that asks channel by channel, with its own reading of patterns and of globs.
 */
import { expect, test } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { createRouter } from "../../src/proxy/router.ts";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep } from "../support/random.ts";

const cancellation = { cancelled: false, onCancel: () => {} };

/** Words of channels. None stands in a pattern or a route only by itself: `z` is every other word. */
const WORDS = ["a", "b", "ab", "z"];
const CHANNELS = lists(WORDS, 1, 5).map((words) => words.join("."));
/** Every pattern of up to four words. */
const PATTERNS = [
  ...lists(["a", "b", "*"], 1, 4),
  ...lists(["a", "b", "*"], 0, 3).map((words) => [...words, "**"]),
]
  .filter((words) => words.includes("*") || words.includes("**"))
  .map((words) => words.join("."));

/** Globs of routes beside expressions that say the same. */
const GLOBS: Readonly<Record<string, RegExp>> = {
  "*": /^.*$/,
  a: /^a$/,
  "a.*": /^a\..*$/,
  "a*": /^a.*$/,
  "*.b": /^.*\.b$/,
  "a.?": /^a\..$/,
  "{a,b}.*": /^(?:a|b)\..*$/,
  "[!a]*": /^[^a].*$/,
  "a.*.b": /^a\..*\.b$/,
  "**.a.**": /^.*\.a\..*$/,
};

const STANDS_FOR = new Map(PATTERNS.map((pattern) => [pattern, channelsOf(pattern)]));

interface Route {
  readonly glob: string;
  readonly allows: boolean;
}
const ROUTES: readonly Route[] = Object.keys(GLOBS).flatMap((glob) => [
  { glob, allows: true },
  { glob, allows: false },
]);

/** All lists of so many words. */
function lists(words: readonly string[], from: number, to: number): string[][] {
  let all: string[][] = [[]];
  const found: string[][] = [];
  for (let length = 0; length <= to; length++) {
    if (length >= from) found.push(...all);
    all = all.flatMap((list) => words.map((word) => [...list, word]));
  }
  return found;
}

function channelsOf(pattern: string): number[] {
  const words = pattern.split(".").map((word, index) => {
    const dot = index === 0 ? "" : "\\.";
    if (word === "**") return index === 0 ? ".+" : "(?:\\.[^.]+)*";
    return dot + (word === "*" ? "[^.]+" : word);
  });
  const meaning = new RegExp(`^${words.join("")}$`);
  return [...CHANNELS.keys()].filter((index) => meaning.test(CHANNELS[index] as string));
}

/** What the model grants: it asks about each channel alone. */
function modelOf(routes: readonly Route[]): (pattern: string) => boolean {
  const open = CHANNELS.map(
    (channel) => routes.find(({ glob }) => GLOBS[glob]?.test(channel))?.allows ?? true,
  );
  return (pattern) => STANDS_FOR.get(pattern)?.every((index) => open[index]) === true;
}

function routerOf(routes: readonly Route[]): (channel: string) => Promise<boolean> {
  const router = createRouter();
  for (const { glob, allows } of routes)
    router.add({ channel: glob, method: "subscribe" }, gate(allows));
  return (channel) => granted(router, channel);
}

function gate(allows: boolean): Backends {
  return {
    authorizeSubscribe: async () => {
      if (!allows) throw new MessagingError("ACL_ERROR", "not yours");
    },
  };
}

async function granted(proxy: Backends, channel: string): Promise<boolean> {
  try {
    const request = { channel, token: "", caller: {} as never };
    await proxy.authorizeSubscribe?.(request, cancellation);
    return true;
  } catch (error) {
    if (!(error instanceof MessagingError && error.code === "ACL_ERROR")) throw error;
    return false;
  }
}

async function compare(routes: readonly Route[], patterns: readonly string[]): Promise<number> {
  const [asked, model] = [routerOf(routes), modelOf(routes)];
  let refused = 0;
  for (const pattern of patterns) {
    const expected = model(pattern);
    if (!expected) refused += 1;
    expectEqual(await asked(pattern), expected, () => `${pattern} with ${JSON.stringify(routes)}`);
  }
  return refused;
}

test("every pattern with every route and every pair of routes", async () => {
  let refused = 0;
  for (const one of ROUTES) {
    refused += await compare([one], PATTERNS);
    for (const other of ROUTES) refused += await compare([one, other], PATTERNS);
  }
  const all = ROUTES.length * (ROUTES.length + 1) * PATTERNS.length;
  expect(refused).toBeGreaterThan(all / 10);
  expect(refused).toBeLessThan(all * 0.9);
});

test("patterns with longer lists of routes", async () => {
  const lists: Route[][] = [];
  eachStep(300, (random) => {
    lists.push(Array.from({ length: 3 + random.int(4) }, () => random.pick(ROUTES)));
  });
  for (const routes of lists) await compare(routes, PATTERNS);
});

test("a stranger is granted no pattern that stands for a channel of a deny route", async () => {
  const asked = routerOf([{ glob: "private.*", allows: false }]);
  for (const pattern of ["private.*", "private.**", "*.room", "*.*", "**", "*.**"]) {
    expect(await asked(pattern), pattern).toBe(false);
  }
  for (const name of ["private", "*", "public.*", "public.**", "private.room"]) {
    expect(await asked(name), name).toBe(name !== "private.room");
  }
});

test("each backend that decides about a channel of the pattern is asked once, with the pattern", async () => {
  const asked: string[] = [];
  const named = (name: string): Backends => ({
    authorizeSubscribe: async ({ channel }) => {
      asked.push(`${name} ${channel}`);
    },
  });
  const shop = named("shop");
  const router = createRouter()
    .add({ channel: "shop.a.*", method: "*" }, shop)
    .add({ channel: "shop.b.*", method: "subscribe" }, shop)
    .add({ channel: "shop.*", method: "buy" }, named("till"))
    .add({ channel: "shop.*", method: "*" }, named("else"))
    .add({ channel: "shop.c.*", method: "*" }, named("never reached"))
    .add({ channel: "chat.*", method: "*" }, named("chat"));
  expect(await granted(router, "shop.*.x")).toBe(true);
  expect(asked.splice(0).sort()).toEqual(["else shop.*.x", "shop shop.*.x"]);
  expect(await granted(router, "shop.a.*")).toBe(true);
  expect(asked.splice(0)).toEqual(["shop shop.a.*"]);
  expect(await granted(router, "news.*")).toBe(true);
  expect(asked).toEqual([]);
});

test("routes that cannot be looked through are all asked", async () => {
  // Which of the last units was an `a`: some thousand states, more than is looked at.
  const router = createRouter()
    .add({ channel: `*a${"?".repeat(13)}`, method: "*" }, gate(true))
    .add({ channel: "nowhere", method: "*" }, gate(false));
  expect(await granted(router, "**")).toBe(false);
  expect(await granted(router, "*.*")).toBe(false);
  expect(await granted(router, "plain")).toBe(true);
});
