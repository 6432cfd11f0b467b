/** Settings that stand elsewhere by name or file, and settings that one host alone has. */
import * as v from "valibot";
import { expect, test } from "vitest";
import {
  checkWithoutSecrets,
  readSettings,
  type Secrets,
  secretList,
  secretText,
  secretUses,
  textElsewhere,
} from "../../src/engine/settings/secrets.ts";
import {
  checkSettings,
  type Host,
  only,
  SettingsError,
  settingPaths,
  table,
} from "../../src/engine/settings/table.ts";

const words = v.pipe(v.string("must be a text"), v.minLength(8, "must be at least 8 letters"));
const key = v.pipe(
  table({ id: v.string("must be a name"), secret: secretText(words) }),
  v.transform(({ id, secret }) => `${id}=${secret}`),
);
const schema = table({
  password: v.optional(secretText(words)),
  keys: v.optional(
    secretList(
      v.pipe(
        v.array(key, "must be a list"),
        v.check((keys) => new Set(keys).size === keys.length, "must not have one twice"),
      ),
    ),
    [],
  ),
  headers: v.optional(v.record(v.string(), textElsewhere(words, /^authorization$/i)), {}),
  port: only("server", v.optional(v.number("must be a number"), 1), "others have none"),
  cache: only("server", v.optional(table({ password: v.optional(secretText(words)) }), {})),
  sockets: only("worker", v.optional(v.number("must be a number"), 2)),
});

const HIDDEN = "hunter2 hunter2";
const SECRETS: Secrets = {
  named: (name) =>
    ({
      GOOD: HIDDEN,
      SHORT: "hunter2",
      EMPTY: "",
      NUMBER: 1,
      LIST: `[{"id":"a","secret":"${HIDDEN}"}]`,
    })[name],
  file: (path) => {
    if (path === "/good") return HIDDEN;
    throw new Error("cannot be read: there is no such file");
  },
};

function problems(value: unknown, host: Host = "server", secrets: Secrets = SECRETS): string[] {
  try {
    readSettings(schema, value, host, secrets);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    expect(error.message).not.toContain("hunter2");
    return error.message.split("\n");
  }
}

test("a secret stands in the settings, in a variable or in a file", () => {
  for (const password of [HIDDEN, { secret: "GOOD" }, { file: "/good" }]) {
    expect(readSettings(schema, { password }, "server", SECRETS).password).toBe(HIDDEN);
  }
  const byName = { password: { secret: "GOOD" }, keys: [{ id: "a", secret: { secret: "GOOD" } }] };
  const { password, keys } = readSettings(schema, byName, "worker", SECRETS);
  expect([password, keys]).toEqual([HIDDEN, [`a=${HIDDEN}`]]);
});

test("a list of secrets is JSON, as a whole or one entry of it", () => {
  const read = (text: string, host: Host) =>
    readSettings(schema, { keys: { secret: "K" } }, host, { named: () => text }).keys;
  const entry = { id: "a", secret: HIDDEN };
  for (const host of ["server", "worker"] as const) {
    expect(read(JSON.stringify([entry, { ...entry, id: "b" }]), host)).toHaveLength(2);
    expect(read(JSON.stringify(entry), host)).toEqual([`a=${HIDDEN}`]);
    expect(read("[]", host)).toEqual([]);
  }
});

test.each([
  [
    { password: { secret: "NOBODY" } },
    "password: is missing: the environment has no variable NOBODY",
  ],
  [{ password: { secret: "EMPTY" } }, "password: is missing: the secret EMPTY is empty"],
  [{ password: { secret: "NUMBER" } }, "password: must be a text in the secret NUMBER"],
  [{ password: { secret: "SHORT" } }, "password: must be at least 8 letters (in the secret SHORT)"],
  [{ password: { file: "/bad" } }, "password.file: cannot be read: there is no such file"],
  [{ password: { file: 1 } }, "password.file: must be the path of a file"],
  [{ password: { secret: "no name" } }, /^password\.secret: must be a name of letters/],
  [{ password: { secret: `A${"a".repeat(128)}` } }, /^password\.secret: must be a name of letters/],
  [{ password: { secret: ["GOOD"] } }, /^password\.secret: must be a name of letters/],
  [{ password: { secret: "GOOD", file: "/good" } }, /^password: must be \{secret: NAME\} or/],
  [{ password: { secret: "GOOD", more: 1 } }, /^password: must be \{secret: NAME\} or/],
  [{ password: { name: "GOOD" } }, "password: must be a text"],
  [{ keys: { secret: "GOOD" } }, "keys: must be a list as JSON in the secret GOOD"],
  [{ keys: { id: "a", secret: HIDDEN } }, /^keys: must be \{secret: NAME\} or/],
  [{ keys: [{ id: "a", secret: { secret: "SHORT" } }] }, /^keys\.0\.secret: must be at least 8/],
])("%j is one problem, which repeats nothing", (value, problem) => {
  expect(problems(value)).toEqual([
    typeof problem === "string" ? problem : expect.stringMatching(problem),
  ]);
});

test("what a secret holds is told with the secret's name", () => {
  const named = (text: string): Secrets => ({ named: () => text });
  const list = (value: unknown) =>
    problems({ keys: { secret: "K" } }, "worker", named(JSON.stringify(value)));
  expect(list([{ id: "a", secret: "hunter2" }])).toEqual([
    "keys.0.secret: must be at least 8 letters (in the secret K)",
  ]);
  expect(list([{ id: "a", secret: HIDDEN, more: 1 }])).toEqual([
    "keys.0.more: is not a setting (in the secret K)",
  ]);
  expect(list("hunter2")).toEqual(["keys: must be a list (in the secret K)"]);
});

test("Workers take a secret by its name alone", () => {
  const wrong = { password: HIDDEN, keys: [{ id: "a", secret: HIDDEN }] };
  expect(problems(wrong, "worker")).toEqual([
    expect.stringMatching(
      /^password: is a secret, which must not stand here: write \{secret: NAME\}/,
    ),
    expect.stringMatching(/^keys\.0\.secret: is a secret/),
  ]);
  expect(problems({ password: { file: "/good" } }, "worker")).toEqual([
    "password.file: is for the self-hosted server alone, since Workers have no files: write {secret: NAME}",
  ]);
  expect(problems({ password: { secret: "NOBODY" } }, "worker")).toEqual([
    "password: is missing: there is no secret NOBODY, which wrangler secret put NOBODY sets",
  ]);
  // No text is a secret's, whatever else it may be.
  expect(problems({ password: 1 }, "worker")).toEqual(["password: must be a text"]);
});

test("a text that is no secret may stand elsewhere too, and is a secret under some keys", () => {
  const headers = { "X-App": "of ours alone", Authorization: { secret: "GOOD" } };
  for (const host of ["server", "worker"] as const) {
    expect(readSettings(schema, { headers }, host, SECRETS).headers).toEqual({
      "X-App": "of ours alone",
      Authorization: HIDDEN,
    });
    expect(checkWithoutSecrets(schema, { headers }, host)).toEqual([
      { path: "headers.Authorization", name: "GOOD", file: undefined },
    ]);
  }
  expect(problems({ headers: { A: { secret: "SHORT" }, B: "short" } })).toEqual([
    "headers.A: must be at least 8 letters (in the secret SHORT)",
    "headers.B: must be at least 8 letters",
  ]);
  const literal = { headers: { "X-App": "of ours alone", Authorization: HIDDEN } };
  expect(problems(literal)).toEqual([]);
  expect(problems(literal, "worker")).toEqual([
    expect.stringMatching(/^headers\.Authorization: is a secret, which must not stand here/),
  ]);
});

test("a check without the secrets finds all else, and lists them", () => {
  const value = {
    password: { secret: "ONE" },
    keys: [
      { id: "a", secret: { secret: "TWO" } },
      { id: "b", secret: { secret: "ONE" } },
    ],
  };
  const one = { name: "ONE", file: undefined };
  expect(checkWithoutSecrets(schema, value, "worker")).toEqual([
    { ...one, path: "password" },
    { path: "keys.0.secret", name: "TWO", file: undefined },
    { ...one, path: "keys.1.secret" },
  ]);
  expect(checkWithoutSecrets(schema, { password: { file: "/x" } }, "server")).toEqual([
    { path: "password", name: undefined, file: "/x" },
  ]);
  const wrong = { ...value, keys: [{ id: 1, secret: { secret: "TWO" } }], sockets: "x", more: 1 };
  expect(() => checkWithoutSecrets(schema, wrong, "worker")).toThrow(
    expect.objectContaining({
      problems: [
        { path: "more", message: "is not a setting" },
        { path: "keys.0.id", message: "must be a name" },
        { path: "sockets", message: "must be a number" },
      ],
    }),
  );
  expect(secretUses(schema, wrong, "worker").map(({ name }) => name)).toEqual(["ONE", "TWO"]);
  expect(secretUses(schema, undefined, "worker")).toEqual([]);
});

test("a setting of another host is refused as a whole, with what to know about it", () => {
  const message = "is a setting of the self-hosted server alone";
  expect(problems({ port: "x", cache: { password: "hunter2", more: 1 } }, "worker")).toEqual([
    `port: ${message}; others have none`,
    `cache: ${message}`,
  ]);
  expect(problems({ sockets: 3 })).toEqual(["sockets: is a setting of Workers alone"]);
  // A table of which comments are left asks for nothing.
  expect(problems({ cache: {} }, "worker")).toEqual([]);
  expect(checkSettings(schema, { port: 3, sockets: 3 })).toMatchObject({ port: 3, sockets: 3 });
  expect(checkSettings(schema, {}, "worker")).toMatchObject({ port: 1, sockets: 2 });
});

test("the settings of a host are listed without those of another", () => {
  const names = (host?: Host) => settingPaths(schema, host).map(([path]) => path);
  const shared = ["password", "keys.*.id", "keys.*.secret", "headers"];
  expect(names("worker")).toEqual([...shared, "sockets"]);
  expect(names("server")).toEqual([...shared, "port", "cache.password"]);
  expect(names()).toEqual([...shared, "port", "cache.password", "sockets"]);
});
