/** Which tokens are good, and that all others are refused in the same words, with the check in the log. */
import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { hmac as nodeHmac } from "../../src/server/platform.ts";
import {
  goodToken,
  jwkOf,
  KEYS,
  part,
  pemOf,
  SECRET,
  signedParts,
  tokenOf,
} from "../support/tokens.ts";
import { NOW, scene } from "./scene.ts";

const REFUSED = "AUTH_ERROR: authentication failed";
const CLAIMS = { sub: "ada", iss: "https://issuer.example", aud: "app", exp: NOW + 60 };
const HS256 = { alg: "HS256" };
/** Issuer and audience are checked, with a secret and a public key. */
const BOTH = {
  jwt: {
    hmac_secret: SECRET,
    public_key: pemOf(KEYS.RS256.publicKey),
    algorithms: ["HS256", "RS256"],
    issuer: "https://issuer.example",
    audience: ["app", "other"],
    leeway: "0s",
  },
};
const RSA_ALONE = {
  jwt: { public_key: pemOf(KEYS.RS256.publicKey), algorithms: ["RS256"], leeway: "0s" },
};

test.each(["RS256", "ES256", "EdDSA"] as const)(
  "a token of %s is good by its public key",
  async (alg) => {
    const { publicKey, privateKey } = KEYS[alg];
    const { show, checks } = scene({ jwt: { public_key: pemOf(publicKey), algorithms: [alg] } });
    const token = tokenOf({ alg, kid: "any" }, { sub: "ada", exp: NOW + 60 }, privateKey);
    const expiresAt = (NOW + 65) * 1_000;
    expect(await show(token)).toEqual({ userId: "ada", issuedAt: 0, expiresAt });
    expect(checks()).toEqual([]);
  },
);

test("what a token says is what its bearer is", async () => {
  const { show } = scene(BOTH);
  const grants = [{ pattern: "chat.**", actions: ["subscribe", "publish"] }];
  const said = { jti: "t1", client: "phone", channels: ["user.ada", "news.*"], grants };
  expect(await show(goodToken({ ...CLAIMS, ...said, iat: NOW - 10 }))).toEqual({
    userId: "ada",
    tokenId: "t1",
    issuedAt: (NOW - 10) * 1_000,
    expiresAt: (NOW + 60) * 1_000,
    clientVouched: true,
    channels: ["user.ada", "news.*"],
    grants,
  });
  // What other services want to know of a token is none of ours.
  const more = { ...CLAIMS, aud: ["else", "other"], roles: ["admin"], client_id: "oauth" };
  expect(await show(goodToken(more))).toEqual({
    userId: "ada",
    issuedAt: 0,
    expiresAt: (NOW + 60) * 1_000,
  });
});

const EVIL = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const [H, C, S] = goodToken(CLAIMS).split(".");

test.each<[name: string, token: string, check: string]>([
  ["none", "", "missing"],
  ["no JWT", "hunter2", "form"],
  ["of two parts", `${H}.${C}`, "form"],
  ["of five parts, as one that is encrypted", `${H}.${C}.${S}.${C}.${S}`, "form"],
  ["with an empty header", `.${C}.${S}`, "form"],
  ["with a header that is no JSON", `e30x.${C}.${S}`, "form"],
  ["with a header that is a list", `${part([])}.${C}.${S}`, "form"],
  ["with a header without algorithm", tokenOf({}, CLAIMS), "form"],
  [
    "with a header that is no UTF-8",
    rawHeader(Buffer.from('{"alg":"HS256","x":"\xff"}', "latin1")),
    "form",
  ],
  ["that names its key by a number", tokenOf({ ...HS256, kid: 1 }, CLAIMS), "key"],
  ["with an algorithm that is no text", tokenOf({ alg: ["HS256"] }, CLAIMS), "form"],
  ["with claims that are no object", tokenOf(HS256, []), "form"],
  ["with claims that are no JSON", rawClaims("hello"), "form"],
  ["with claims that were changed", `${H}.${part({ ...CLAIMS, sub: "eve" })}.${S}`, "signature"],
  ["without its signature", `${H}.${C}.`, "signature"],
  ["with half of its signature", `${H}.${C}.${S?.slice(0, 20)}`, "signature"],
  ["with a signature that is no base64", `${H}.${C}.!!!!`, "form"],
  ["of another secret", goodToken(CLAIMS, `${SECRET}!`), "signature"],
  ["of no algorithm", tokenOf({ alg: "none" }, CLAIMS), "algorithm"],
  ["of no algorithm, unsigned", `${part({ alg: "none" })}.${C}.`, "algorithm"],
  ["of no algorithm in other letters", `${part({ alg: "nOnE" })}.${C}.`, "algorithm"],
  ["of a longer hash", tokenOf({ alg: "HS512" }, CLAIMS), "algorithm"],
  ["of an algorithm that is not configured", ofKey("ES256"), "algorithm"],
  [
    "of PSS, by the same key",
    tokenOf({ alg: "PS256" }, CLAIMS, KEYS.RS256.privateKey),
    "algorithm",
  ],
  ["of HS256 by the public key as its secret", byPublicKey(), "signature"],
  ["of RS256 that is signed by the secret", tokenOf({ alg: "RS256" }, CLAIMS), "signature"],
  [
    "of another key that it brings along",
    tokenOf(
      { alg: "RS256", jwk: EVIL.publicKey.export({ format: "jwk" }) },
      CLAIMS,
      EVIL.privateKey,
    ),
    "signature",
  ],
  [
    "of another key that it says where to find",
    tokenOf(
      {
        alg: "RS256",
        jku: "https://evil.example/jwks",
        x5u: "https://evil.example/x5u",
        x5c: ["A"],
      },
      CLAIMS,
      EVIL.privateKey,
    ),
    "signature",
  ],
  ["with an extension that is not known", withHeader({ crit: ["exp"], exp: 1 }), "crit"],
  ["with extensions that are no list", withHeader({ crit: "exp" }), "form"],
  ["with claims that are not encoded", withHeader({ crit: ["b64"], b64: false }), "form"],
  ["that has expired", goodToken({ ...CLAIMS, exp: NOW }), "expiry"],
  ["that has expired long ago", goodToken({ ...CLAIMS, exp: -1 }), "expiry"],
  ["without an end", goodToken({ ...CLAIMS, exp: undefined }), "expiry"],
  ["with an end that is no number", goodToken({ ...CLAIMS, exp: `${NOW + 60}` }), "expiry"],
  ["that is not good yet", goodToken({ ...CLAIMS, nbf: NOW + 1 }), "not-before"],
  ["with a beginning that is no number", goodToken({ ...CLAIMS, nbf: null }), "not-before"],
  ["that was issued tomorrow", goodToken({ ...CLAIMS, iat: NOW + 86_400 }), "issued-at"],
  ["with an issue that is no number", goodToken({ ...CLAIMS, iat: "now" }), "issued-at"],
  ["of another issuer", goodToken({ ...CLAIMS, iss: "https://evil.example" }), "issuer"],
  ["of no issuer", goodToken({ ...CLAIMS, iss: undefined }), "issuer"],
  ["of a list of issuers", goodToken({ ...CLAIMS, iss: [CLAIMS.iss] }), "issuer"],
  ["for another audience", goodToken({ ...CLAIMS, aud: "bank" }), "audience"],
  ["for others", goodToken({ ...CLAIMS, aud: ["bank", "shop"] }), "audience"],
  ["for no audience", goodToken({ ...CLAIMS, aud: undefined }), "audience"],
  ["without a user", goodToken({ ...CLAIMS, sub: undefined }), "subject"],
  ["of an empty user", goodToken({ ...CLAIMS, sub: "" }), "subject"],
  ["of a user who is a number", goodToken({ ...CLAIMS, sub: 7 }), "subject"],
  ["of a user who is no Unicode", goodToken({ ...CLAIMS, sub: "\ud800" }), "subject"],
  ["of a user of 256 bytes", goodToken({ ...CLAIMS, sub: "x".repeat(256) }), "subject"],
  ["with an id that is no text", goodToken({ ...CLAIMS, jti: 7 }), "id"],
  ["with an empty id", goodToken({ ...CLAIMS, jti: "" }), "id"],
  ["for another client id", goodToken({ ...CLAIMS, client: "tablet" }), "client"],
  ["for a client id that is no text", goodToken({ ...CLAIMS, client: null }), "client"],
  ["with channels that are no list", goodToken({ ...CLAIMS, channels: "a" }), "channels"],
  ["with a channel that is none", goodToken({ ...CLAIMS, channels: ["a..b"] }), "channels"],
  ["with grants that are no list", goodToken({ ...CLAIMS, grants: {} }), "grants"],
  ["with a grant of no action", withGrant({ pattern: "a", actions: ["fly"] }), "grants"],
  ["with a grant for no pattern", withGrant({ actions: ["publish"] }), "grants"],
  ["longer than 8 KiB", goodToken({ ...CLAIMS, more: "x".repeat(8_192) }), "size"],
])("a token %s is refused", async (_, token, check) => {
  // On every host.
  const elsewhere = scene(BOTH, { hmac: webHmac });
  expect(await elsewhere.refused(token)).toBe(REFUSED);
  expect(elsewhere.checks()).toEqual([check]);
  const { refused, checks, lines } = scene(BOTH);
  expect(await refused(token)).toBe(REFUSED);
  expect(checks()).toEqual([check]);
  expect(lines).toHaveLength(1);
  // Neither the token nor what it says.
  const log = JSON.stringify(lines);
  for (const part of token.split(".")) if (part.length > 8) expect(log).not.toContain(part);
  expect(log).not.toMatch(/eve|tablet|bank|tomorrow/);
});

test.each([
  ["of Node", nodeHmac],
  ["of the Web", webHmac],
])("a good token is good by the HMAC %s, whatever else its header says", async (_, hmac) => {
  const { show } = scene(BOTH, { hmac });
  for (const more of [
    {},
    { typ: "JWT", kid: "any" },
    { b64: false },
    { jku: "https://a.example" },
  ]) {
    expect((await show(tokenOf({ ...HS256, ...more }, CLAIMS))).userId).toBe("ada");
  }
});

test("on Node a token of HS256 waits for no other thread", async () => {
  const { show } = scene(BOTH);
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await show(goodToken(CLAIMS));
  expect(turned).toBe(false);
});

test("a token of 8 KiB is read", async () => {
  const token = (more: number) => goodToken({ sub: "ada", exp: NOW + 60, more: "x".repeat(more) });
  const lengths = Array.from({ length: 100 }, (_, index) => 6_000 + index);
  const longest = lengths.map(token).findLast(({ length }) => length <= 8_192) ?? "";
  expect(longest.length).toBeGreaterThan(8_188);
  const { show } = scene({ jwt: { hmac_secret: SECRET, algorithms: ["HS256"] } });
  expect((await show(longest)).userId).toBe("ada");
});

test("the public key as a secret is nothing where HS256 is not configured", async () => {
  const { refused, checks } = scene(RSA_ALONE);
  expect(await refused(byPublicKey())).toBe(REFUSED);
  expect(checks()).toEqual(["algorithm"]);
});

test("the issuer's clock may be off by the leeway, and the session goes on for as long", async () => {
  const { clock, refused, show } = scene({
    jwt: { hmac_secret: SECRET, algorithms: ["HS256"], leeway: "5s" },
  });
  const token = goodToken({ sub: "ada", exp: NOW, nbf: NOW + 5, iat: NOW + 5 });
  expect((await show(token)).expiresAt).toBe((NOW + 5) * 1_000);
  clock.time += 5_000;
  expect(await refused(token)).toBe(REFUSED);
});

test("with max_lifetime a token need not say its end, and none lasts longer", async () => {
  const { refused, show, checks } = scene({
    max_lifetime: "1h",
    jwt: { hmac_secret: SECRET, algorithms: ["HS256"], leeway: "0s" },
  });
  const end = async (claims: object) =>
    (await show(goodToken({ sub: "ada", ...claims }))).expiresAt ?? 0;
  expect(await end({ iat: NOW - 60 })).toBe((NOW + 3_540) * 1_000);
  expect(await end({ iat: NOW - 60, exp: NOW + 10 })).toBe((NOW + 10) * 1_000);
  expect(await end({ iat: NOW - 60, exp: NOW + 99_999 })).toBe((NOW + 3_540) * 1_000);
  // One that does not say when it began has an end at least.
  expect(await end({ exp: NOW + 99_999 })).toBe((NOW + 3_600) * 1_000);
  await refused(goodToken({ sub: "ada" }));
  await refused(goodToken({ sub: "ada", iat: NOW - 3_600 }));
  expect(checks()).toEqual(["issued-at", "expiry"]);
});

test("an end that no clock reaches is one all the same", async () => {
  const { show } = scene({ jwt: { hmac_secret: SECRET, algorithms: ["HS256"] } });
  const { expiresAt } = await show(rawClaims('{"sub":"ada","exp":1e999}'));
  expect(expiresAt).toBe(Number.MAX_SAFE_INTEGER);
});

/** A token whose claims are some text. */
function rawClaims(text: string): string {
  return signedParts(part(HS256), Buffer.from(text).toString("base64url"), SECRET);
}

/** A token whose header is some bytes. */
function rawHeader(bytes: Buffer): string {
  return signedParts(bytes.toString("base64url"), part(CLAIMS), SECRET);
}

function withHeader(header: object): string {
  return tokenOf({ ...HS256, ...header }, CLAIMS);
}

function withGrant(grant: object): string {
  return goodToken({ ...CLAIMS, grants: [grant] });
}

function ofKey(alg: "ES256" | "EdDSA"): string {
  return tokenOf({ alg, jwk: jwkOf(alg) }, CLAIMS, KEYS[alg].privateKey);
}

function byPublicKey(): string {
  return tokenOf(HS256, CLAIMS, pemOf(KEYS.RS256.publicKey));
}
