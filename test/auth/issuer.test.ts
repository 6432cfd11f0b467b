/** Keys of an issuer: how they are kept and fetched again, and what becomes of clients while they cannot be. */
import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import type { KeptKeys, KeyStore } from "../../src/auth/platform.ts";
import { goodToken, jwkOf, KEYS, SECRET, tokenOf } from "../support/tokens.ts";
import { NOW, scene } from "./scene.ts";

const REFUSED = "AUTH_ERROR: authentication failed";
const UNAVAILABLE = "UNAVAILABLE: authentication is not possible now";
const URL = "https://issuer.example/jwks.json";
const CLAIMS = { sub: "ada", exp: NOW + 86_400 };

/** What the issuer answers next: a set of keys, a text, or a failure. */
type Answer = readonly object[] | string | Error;

function world(first: Answer, more: object = {}, keyStore?: KeyStore) {
  const issuer = { answer: first, asked: 0, wait: Promise.resolve() };
  const fetchBytes = async (url: string) => {
    expect(url).toBe(URL);
    issuer.asked += 1;
    const { answer } = issuer;
    await issuer.wait;
    if (answer instanceof Error) throw answer;
    const text = typeof answer === "string" ? answer : JSON.stringify({ keys: answer });
    return new TextEncoder().encode(text);
  };
  const jwt = { jwks_url: URL, algorithms: ["RS256", "ES256", "EdDSA"], ...more };
  return { issuer, ...scene({ jwt }, { fetchBytes, ...(keyStore && { keyStore }) }) };
}

/** A place for keys, and what is there. */
function keyStore() {
  const stored = new Map<string, KeptKeys>();
  return {
    stored,
    load: (url: string) => stored.get(url),
    store: (url: string, keys: KeptKeys): void => {
      stored.set(url, keys);
    },
  };
}

/** A token by one of the keys of tests. */
function by(alg: keyof typeof KEYS, kid: string | undefined, claims: object = CLAIMS): string {
  return tokenOf({ alg, ...(kid === undefined ? {} : { kid }) }, claims, KEYS[alg].privateKey);
}

test("each key serves the tokens that name it, and is fetched once for all of them", async () => {
  const { issuer, show, refused, checks } = world([
    jwkOf("RS256", { kid: "r", alg: "RS256", use: "sig", key_ops: ["verify"] }),
    jwkOf("ES256", { kid: "e" }),
    jwkOf("EdDSA", { kid: "d", x5c: ["ignored"], d: "no private half is used" }),
  ]);
  const tokens = [by("RS256", "r"), by("ES256", "e"), by("EdDSA", "d"), by("ES256", undefined)];
  const users = await Promise.all(tokens.map(async (token) => (await show(token)).userId));
  expect(users).toEqual(["ada", "ada", "ada", "ada"]);
  expect(issuer.asked).toBe(1);
  // The key of another algorithm is not the one that is named.
  expect(await refused(by("RS256", "e"))).toBe(REFUSED);
  expect(checks()).toEqual(["key"]);
});

test("a token that names no key is refused where several may be meant", async () => {
  const twins = [jwkOf("ES256", { kid: "1" }), jwkOf("ES256", { kid: "2" })];
  const { refused, checks } = world(twins);
  expect(await refused(by("ES256", undefined))).toBe(REFUSED);
  expect(checks()).toEqual(["key"]);
});

const SHORT = generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey;
const P384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;

test.each<[string, unknown]>([
  ["is for encryption", jwkOf("ES256", { kid: "k", use: "enc" })],
  ["is not for verification", jwkOf("ES256", { kid: "k", key_ops: ["sign"] })],
  ["says that it serves another algorithm", jwkOf("RS256", { kid: "k", alg: "PS256" })],
  ["is a secret", { kty: "oct", kid: "k", k: Buffer.from(SECRET).toString("base64url") }],
  ["is short", { ...SHORT.export({ format: "jwk" }), kid: "k" }],
  ["is of another curve", { ...P384.export({ format: "jwk" }), kid: "k" }],
  ["lacks a part", { kty: "EC", crv: "P-256", kid: "k", x: "AA" }],
  ["has an id that is no text", jwkOf("ES256", { kid: 7 })],
  ["is none", null],
])("a key that %s is not used, and the others are", async (_, key) => {
  const { refused, show, checks } = world([key as object, jwkOf("EdDSA", { kid: "good" })]);
  expect((await show(by("EdDSA", "good"))).userId).toBe("ada");
  for (const alg of ["RS256", "ES256"] as const) expect(await refused(by(alg, "k"))).toBe(REFUSED);
  expect(checks()).toEqual(["key", "key"]);
});

test("a new key of the issuer's is found at once, and a flood of made-up ones fetches once in 30 s", async () => {
  const { clock, issuer, refused, show } = world([jwkOf("ES256", { kid: "old" })]);
  await show(by("ES256", "old"));
  issuer.answer = [jwkOf("ES256", { kid: "new" })];
  expect((await show(by("ES256", "new"))).userId).toBe("ada");
  expect(issuer.asked).toBe(2);
  const flood = Array.from({ length: 100 }, (_, index) => refused(by("ES256", `made-up-${index}`)));
  expect(new Set(await Promise.all(flood))).toEqual(new Set([REFUSED]));
  expect(issuer.asked).toBe(2);
  // What the issuer has taken away is good no more.
  expect(await refused(by("ES256", "old"))).toBe(REFUSED);
  clock.time += 30_000;
  await Promise.all(
    Array.from({ length: 100 }, (_, index) => refused(by("ES256", `more-${index}`))),
  );
  expect(issuer.asked).toBe(3);
  clock.time += 29_999;
  await refused(by("ES256", "still"));
  expect(issuer.asked).toBe(3);
});

test("keys are fetched again after five minutes, and nobody waits for that", async () => {
  const { clock, issuer, show, refused } = world([jwkOf("ES256", { kid: "k" })]);
  await show(by("ES256", "k"));
  clock.time += 299_999;
  await show(by("ES256", "k"));
  expect(issuer.asked).toBe(1);
  clock.time += 1;
  const { promise, resolve } = Promise.withResolvers<void>();
  issuer.wait = promise;
  issuer.answer = [];
  expect((await show(by("ES256", "k"))).userId).toBe("ada");
  expect(issuer.asked).toBe(2);
  resolve();
  await expect.poll(() => refused(by("ES256", "k"))).toBe(REFUSED);
});

test.each<[string, Answer]>([
  ["cannot be reached", new Error("connect ECONNREFUSED")],
  ["answers what is no JSON", "<html>"],
  ["answers JSON that is no set", '{"keys":"none"}'],
  ["answers a list", "[]"],
  ["has more than 50 keys", Array.from({ length: 51 }, () => jwkOf("ES256"))],
])(
  "while the issuer %s its keys serve on for an hour, then connects are UNAVAILABLE",
  async (_, bad) => {
    const { clock, issuer, lines, refused, show } = world([jwkOf("ES256", { kid: "k" })]);
    await show(by("ES256", "k"));
    issuer.answer = bad;
    for (let minutes = 5; minutes < 60; minutes += 5) {
      clock.time += 300_000;
      expect((await show(by("ES256", "k"))).userId).toBe("ada");
    }
    // It may be a new key.
    expect(await refused(by("ES256", "new"))).toBe(UNAVAILABLE);
    clock.time += 300_000;
    expect(await refused(by("ES256", "k"))).toBe(UNAVAILABLE);
    expect(lines.map(({ message }) => message)).toContain("the issuer's keys cannot be fetched");
    issuer.answer = [jwkOf("ES256", { kid: "k" })];
    clock.time += 5_000;
    expect((await show(by("ES256", "k"))).userId).toBe("ada");
  },
);

test("an issuer that was never there is asked once in 5 s, and is no reason to refuse anybody", async () => {
  const { clock, issuer, refused, checks } = world(new Error("down"));
  const all = Array.from({ length: 50 }, () => refused(by("ES256", "k")));
  expect(new Set(await Promise.all(all))).toEqual(new Set([UNAVAILABLE]));
  expect(issuer.asked).toBe(1);
  await refused(by("ES256", "k"));
  expect(issuer.asked).toBe(1);
  clock.time += 5_000;
  await refused(by("ES256", "k"));
  expect(issuer.asked).toBe(2);
  expect(checks()).toEqual([]);
});

test("a set without a usable key is one, and the log says so", async () => {
  const { lines, refused, checks } = world([]);
  expect(await refused(by("ES256", "k"))).toBe(REFUSED);
  expect(checks()).toEqual(["key"]);
  expect(lines.map(({ message }) => message)).toContain("the issuer has no key that can be used");
});

test("a token is checked by our own list of algorithms before anybody is asked for a key", async () => {
  const { issuer, refused, checks } = world([jwkOf("ES256", { kid: "k" })], {
    algorithms: ["HS256", "ES256"],
    hmac_secret: SECRET,
  });
  expect(await refused(by("RS256", "k"))).toBe(REFUSED);
  expect(issuer.asked).toBe(0);
  expect(checks()).toEqual(["algorithm"]);
});

test("a secret beside the issuer's keys serves HS256, and none of theirs does", async () => {
  const { issuer, refused, show, checks } = world([jwkOf("ES256", { kid: "k" })], {
    algorithms: ["HS256", "ES256"],
    hmac_secret: SECRET,
  });
  expect((await show(goodToken(CLAIMS))).userId).toBe("ada");
  expect(issuer.asked).toBe(0);
  expect((await show(by("ES256", "k"))).userId).toBe("ada");
  expect(await refused(tokenOf({ alg: "HS256", kid: "k" }, CLAIMS, "k"))).toBe(REFUSED);
  expect(checks()).toEqual(["signature"]);
});

test("keys can be fetched before the first client comes", async () => {
  const { authentication, issuer, show } = world([jwkOf("ES256", { kid: "k" })]);
  await authentication.prepare();
  expect(issuer.asked).toBe(1);
  await show(by("ES256", "k"));
  expect(issuer.asked).toBe(1);
});

test("keys that were stored serve in the host's next life, fresh ones without a fetch", async () => {
  const store = keyStore();
  await world([jwkOf("ES256", { kid: "k" })], {}, store).show(by("ES256", "k"));
  const { clock, issuer, show } = world(new Error("down"), {}, store);
  clock.time += 299_999;
  expect((await show(by("ES256", "k"))).userId).toBe("ada");
  expect(issuer.asked).toBe(0);
  clock.time += 1;
  expect((await show(by("ES256", "k"))).userId).toBe("ada");
  expect(issuer.asked).toBe(1);
});

test("they serve for an hour from when they were fetched, however many lives that is", async () => {
  const store = keyStore();
  await world([jwkOf("ES256", { kid: "k" })], {}, store).show(by("ES256", "k"));
  for (let minutes = 10; minutes < 60; minutes += 10) {
    const life = world(new Error("down"), {}, store);
    life.clock.time += minutes * 60_000;
    expect((await life.show(by("ES256", "k"))).userId).toBe("ada");
    // It may be a new key.
    expect(await life.refused(by("ES256", "new"))).toBe(UNAVAILABLE);
  }
  const last = world(new Error("down"), {}, store);
  last.clock.time += 3_600_000;
  expect(await last.refused(by("ES256", "k"))).toBe(UNAVAILABLE);
  last.issuer.answer = [jwkOf("ES256", { kid: "new" })];
  last.clock.time += 5_000;
  expect((await last.show(by("ES256", "new"))).userId).toBe("ada");
  const next = world(new Error("down"), {}, store);
  next.clock.time += 3_700_000;
  expect((await next.show(by("ES256", "new"))).userId).toBe("ada");
});

test("a store that holds garbage, or fails, is a warning, and the issuer is asked", async () => {
  const garbage = keyStore();
  garbage.store(URL, { bytes: new TextEncoder().encode("<html>"), fetchedAt: NOW * 1_000 });
  const failing: KeyStore = {
    load: () => {
      throw new Error("full");
    },
    store: () => {
      throw new Error("full");
    },
  };
  for (const store of [garbage, failing]) {
    const { issuer, lines, show } = world([jwkOf("ES256", { kid: "k" })], {}, store);
    expect((await show(by("ES256", "k"))).userId).toBe("ada");
    expect(issuer.asked).toBe(1);
    const told = lines.map(({ message }) => message);
    expect(told).toContain("the issuer's keys that were kept cannot be read");
    expect(told.includes("the issuer's keys cannot be kept")).toBe(store === failing);
  }
});
