/** API keys: who they let in, to what, and what becomes of wrong ones. */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { readSettings } from "../../src/engine/settings/secrets.ts";
import { SettingsError, table } from "../../src/engine/settings/settings.ts";
import { FAILURE_EVERY_MS, FAILURES_AT_ONCE, Failures } from "../../src/http/keys/failures.ts";
import { hex, type KeyEntry, writeKey } from "../../src/http/keys/key.ts";
import { Keys, Principal } from "../../src/http/keys/keys.ts";
import { keyEntries } from "../../src/http/keys/settings.ts";
import { webSha256 } from "../../src/http/keys/sha256.ts";
import { problemResponse, STATUSES, toConnectError } from "../../src/http/statuses.ts";
import { ERRORS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";

const HOME = { address: "192.0.2.1" };
const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();

function made(id: string, more: Partial<KeyEntry> = {}): { key: string; entry: KeyEntry } {
  const key = writeKey(id, randomBytes(32));
  const standard = { id, rights: ["publish"], patterns: ["**"], expiresAt: undefined } as const;
  return { key, entry: { ...standard, digest: sha256(key), ...more } };
}

function scene(...entries: readonly KeyEntry[]) {
  const time = { now: 1_000_000 };
  const warnings: string[] = [];
  const keys = new Keys({
    entries,
    sha256,
    clock: { now: () => time.now },
    logger: { warn: (message, fields) => warnings.push(JSON.stringify([message, fields])) },
  });
  return { keys, time, warnings };
}

const refusal = (code: string, message?: string) =>
  expect.objectContaining({ code, ...(message === undefined ? {} : { message }) });

describe("who is let in", () => {
  test("each of several keys, so that they rotate, and nobody else", async () => {
    const [old, fresh, foreign] = [made("old"), made("fresh"), made("old")];
    const { keys } = scene(old.entry, fresh.entry);
    expect((await keys.authorize(`Bearer ${old.key}`, HOME)).id).toBe("old");
    expect((await keys.authorize(`bearer   ${fresh.key} `, HOME)).id).toBe("fresh");
    const wrong = [
      foreign.key,
      old.key.slice(0, -1),
      `${old.key}A`,
      old.key.toUpperCase(),
      hex(old.entry.digest),
      "x".repeat(10_000),
    ];
    for (const key of wrong) {
      await expect(keys.authorize(`Bearer ${key}`, HOME)).rejects.toEqual(
        refusal("AUTH_ERROR", "the key is not valid"),
      );
    }
    for (const header of [undefined, null, "", "Bearer", "Bearer ", old.key, `Basic ${old.key}`]) {
      await expect(keys.authorize(header, HOME)).rejects.toMatchObject({ code: "AUTH_ERROR" });
    }
  });

  test("without a key that is configured nobody, and the answer says what to do", async () => {
    const { keys } = scene();
    expect(keys.configured).toBe(false);
    const asked = keys.authorize(`Bearer ${made("a").key}`, HOME);
    await expect(asked).rejects.toMatchObject({
      code: "AUTH_ERROR",
      message: expect.stringContaining("messageloop key"),
    });
  });

  test("a key until it expires", async () => {
    const { key, entry } = made("a", { expiresAt: 1_000_500 });
    const { keys, time } = scene(entry);
    expect((await keys.authorize(`Bearer ${key}`, HOME)).id).toBe("a");
    time.now = 1_000_500;
    await expect(keys.authorize(`Bearer ${key}`, HOME)).rejects.toEqual(
      refusal("AUTH_ERROR", "the key has expired"),
    );
  });

  test("the Web's digest is the one of settings", async () => {
    expect(await webSha256("ml_a_ü")).toEqual(new Uint8Array(sha256("ml_a_ü")));
  });

  test("every digest is compared, whatever has matched", async () => {
    const all = ["a", "b", "c"].map((id) => made(id));
    const read: string[] = [];
    const entries = all.map(({ entry }) => ({
      ...entry,
      digest: new Proxy(new Uint8Array(entry.digest), {
        get: (target, name) => {
          if (name === "31") read.push(entry.id);
          return Reflect.get(target, name, target);
        },
      }),
    }));
    const { keys } = scene(...entries);
    for (const { key } of all) await keys.authorize(`Bearer ${key}`, HOME);
    await expect(keys.authorize(`Bearer ${made("d").key}`, HOME)).rejects.toBeDefined();
    expect(read.join("")).toBe("abcabcabcabc");
  });
});

describe("what a key is good for", () => {
  const chat = new Principal({
    id: "k",
    rights: ["publish"],
    patterns: ["chat.*", "news"],
    expiresAt: undefined,
  });

  test("its rights, in the channels of its patterns", () => {
    expect(chat.may("publish", "chat.room")).toBe(true);
    expect(chat.may("publish", "news")).toBe(true);
    expect(chat.may("read", "chat.room")).toBe(false);
    expect(chat.may("publish", "chat.room.sub")).toBe(false);
    expect(chat.may("publish", "chat")).toBe(false);
  });

  test("a pattern only where every channel of it is among them", () => {
    expect(chat.may("publish", "chat.*")).toBe(true);
    expect(chat.may("publish", "chat.**")).toBe(false);
    expect(chat.may("publish", "*")).toBe(false);
    expect(
      new Principal({ id: "k", rights: ["read"], patterns: ["**"], expiresAt: undefined }).may(
        "read",
        "*.a.**",
      ),
    ).toBe(true);
  });

  test("what belongs to no channel needs a key for all of them", () => {
    expect(() => chat.checkEverywhere("publish")).toThrow("other channels");
    expect(() => chat.check("manage", "chat.room")).toThrow("has not the right manage");
    new Principal({
      id: "k",
      rights: ["manage"],
      patterns: ["**"],
      expiresAt: undefined,
    }).checkEverywhere("manage");
  });
});

describe("wrong keys", () => {
  test("an address that fails too often has to wait with another wrong key, and a good one passes", async () => {
    const { key, entry } = made("a");
    const { keys, time } = scene(entry);
    const wrong = (): Promise<unknown> => keys.authorize("Bearer x", HOME);
    for (let i = 0; i < FAILURES_AT_ONCE; i++) {
      await expect(wrong()).rejects.toEqual(refusal("AUTH_ERROR"));
    }
    await expect(wrong()).rejects.toMatchObject({
      code: "RATE_LIMITED",
      metadata: { retry_after_ms: FAILURE_EVERY_MS },
    });
    for (const peer of [HOME, { address: "192.0.2.2" }]) {
      expect((await keys.authorize(`Bearer ${key}`, peer)).id).toBe("a");
    }
    // The good one has not made up for the others.
    await expect(wrong()).rejects.toMatchObject({ code: "RATE_LIMITED" });
    time.now += FAILURE_EVERY_MS;
    await expect(wrong()).rejects.toEqual(refusal("AUTH_ERROR"));
  });

  test("the addresses of one IPv6 network count as one", () => {
    const failures = new Failures();
    for (let i = 0; i < FAILURES_AT_ONCE; i++) failures.count(`2001:db8:1:2::${i}`, 0);
    expect(failures.wait("2001:db8:1:2:ffff:1:2:3", 0)).toBeGreaterThan(0);
    expect(failures.wait("2001:db8:1:3::1", 0)).toBe(0);
    for (let i = 0; i < FAILURES_AT_ONCE; i++) failures.count("2001:db8::1", 0);
    expect(failures.wait("2001:db8:0:0:1:2:3:4", 0)).toBeGreaterThan(0);
  });

  test("only so many addresses are remembered, and none for longer than it matters", () => {
    const failures = new Failures();
    for (let i = 0; i < 30_000; i++) failures.count(`host-${i}`, 0);
    expect(failures.size).toBe(10_000);
    failures.count("late", FAILURE_EVERY_MS * FAILURES_AT_ONCE);
    expect(failures.size).toBe(1);
  });
});

test("a key over plain HTTP is warned of once a minute, without key and address", async () => {
  const { key, entry } = made("a");
  const { keys, time, warnings } = scene(entry);
  await keys.authorize(`Bearer ${key}`, HOME);
  expect(warnings).toEqual([]);
  for (const at of [0, 59_999, 60_000]) {
    time.now = 1_000_000 + at;
    await keys.authorize(`Bearer ${key}`, { ...HOME, exposed: true });
  }
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toContain("plain HTTP");
  expect(warnings.join()).not.toContain(HOME.address);
  expect(warnings.join()).not.toContain(key);
});

describe("keys in settings", () => {
  const digest = "ab".repeat(32);
  const one = { id: "ci-1", digest, rights: ["publish", "read"], patterns: ["chat.**"] };

  /** Keys out of a secret. */
  const parseKeys = (text: string) => {
    const schema = table({ keys: keyEntries });
    const secrets = { named: () => text };
    return readSettings(schema, { keys: { secret: "KEYS" } }, "worker", secrets).keys;
  };

  test("as a list or as one entry", () => {
    const entry = {
      ...one,
      digest: new Uint8Array(32).fill(0xab),
      expiresAt: undefined,
    };
    expect(parseKeys(JSON.stringify([one]))).toEqual([entry]);
    expect(parseKeys(JSON.stringify({ ...one, expires: "2027-01-31T00:00:00Z" }))).toEqual([
      { ...entry, expiresAt: Date.UTC(2027, 0, 31) },
    ]);
    expect(parseKeys("[]")).toEqual([]);
  });

  test.each([
    ["no JSON", "ml_a_secret", "keys: must be a list as JSON in the secret KEYS"],
    ["a key in place of an entry", '"ml_a_secret"', "keys: must be a list of keys"],
    ["no digest", { ...one, digest: "ml_a_secret" }, "0.digest: must be the SHA-256"],
    ["no rights", { ...one, rights: [] }, "0.rights: must be a list"],
    ["a right that there is not", { ...one, rights: ["root"] }, "0.rights.0: must be one of"],
    ["no patterns", { ...one, patterns: [] }, "0.patterns: must be a list"],
    ["a pattern that is none", { ...one, patterns: ["**.a"] }, "0.patterns.0: only the last word"],
    ["no time", { ...one, expires: "soon" }, "0.expires: must be a time"],
    [
      "a time that is none",
      { ...one, expires: "2027-13-31T00:00:00Z" },
      "0.expires: must be a time",
    ],
    ["an id with a blank", { ...one, id: "a b" }, "0.id: must be at most 32"],
    ["a setting that is none", { ...one, right: "publish" }, "0.right: is not a setting"],
    ["one id twice", [one, one], "must not have two keys of one id"],
  ])("%s is named", (_, value, problem) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    let thrown: unknown;
    try {
      parseKeys(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SettingsError);
    expect(`${(thrown as SettingsError).message}`).toContain(problem);
    expect(`${(thrown as SettingsError).message}`).not.toContain("ml_a_");
  });
});

describe("the table of statuses", () => {
  test("has every error", () => {
    expect(Object.keys(STATUSES).toSorted()).toEqual(Object.keys(ERRORS).toSorted());
  });

  test("makes answers", async () => {
    const refused = new MessagingError("RATE_LIMITED", "wait", {
      metadata: { retry_after_ms: 1_500 },
    });
    const answer = problemResponse(refused);
    expect(answer.status).toBe(429);
    expect(answer.headers.get("Retry-After")).toBe("2");
    expect(await answer.json()).toEqual({ code: "RATE_LIMITED", message: "wait" });
    const closed = problemResponse(new MessagingError("AUTH_ERROR", "no"));
    expect(closed.headers.get("WWW-Authenticate")).toBe("Bearer");
    const fault = problemResponse(new Error("ml_a_secret at 10.0.0.1"));
    expect(fault.status).toBe(500);
    expect(await fault.text()).toBe('{"code":"INTERNAL_ERROR","message":"internal error"}');
    const own = toConnectError(new MessagingError("MY_CODE", "mine"));
    expect(own.rawMessage).toBe("mine");
  });
});
