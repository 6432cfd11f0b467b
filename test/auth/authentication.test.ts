/** Tokens beside the application's own authenticator, what is required, and settings that do not go together. */
import { expect, test } from "vitest";
import { algorithmOfPrivateKey } from "../../src/auth/algorithms.ts";
import { intersection } from "../../src/auth/narrow.ts";
import { covers, matches } from "../../src/channels/patterns.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { type Identity, NOBODY } from "../../src/engine/ports/identity.ts";
import { SettingsError } from "../../src/engine/settings/settings.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { utf8Encode } from "../../src/protocol/utf8.ts";
import { createRouter } from "../../src/proxy/router.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { goodToken, KEYS, pemOf, SECRET } from "../support/tokens.ts";
import { NOW, scene } from "./scene.ts";

const REFUSED = "AUTH_ERROR: authentication failed";
const JWT = { jwt: { hmac_secret: SECRET, algorithms: ["HS256"], leeway: "0s" } };
const TOKEN = goodToken({
  sub: "ada",
  jti: "t1",
  exp: NOW + 60,
  client: "phone",
  channels: ["a", "b"],
  grants: [
    { pattern: "chat.**", actions: ["subscribe", "publish"] },
    { pattern: "*.log", actions: ["history"] },
  ],
});

/** An application whose authenticator answers so. */
function answering(answer: unknown): Backends {
  return { authenticate: async () => answer as Identity };
}

test("a backend takes away from a token and adds nothing", async () => {
  const whole = scene(JWT, { application: answering({ userId: "ada" }) });
  const said = await whole.show(TOKEN);
  expect(said).toEqual(await scene(JWT).show(TOKEN));
  const answer: Identity = {
    userId: "ada",
    tokenId: "another",
    issuedAt: NOW * 1_000,
    expiresAt: (NOW + 30) * 1_000,
    clientVouched: false,
    channels: ["b", "c"],
    grants: [
      { pattern: "chat.public.*", actions: ["subscribe", "survey"] },
      { pattern: "**", actions: ["history"] },
    ],
  };
  const less = scene(JWT, { application: answering(answer) });
  expect(await less.show(TOKEN)).toEqual({
    userId: "ada",
    tokenId: "t1",
    issuedAt: 0,
    expiresAt: (NOW + 30) * 1_000,
    channels: ["b"],
    grants: [
      { pattern: "chat.public.*", actions: ["subscribe"] },
      { pattern: "*.log", actions: ["history"] },
    ],
  });
  const more = { ...answer, expiresAt: (NOW + 90) * 1_000, clientVouched: true };
  const bare = goodToken({ sub: "ada", exp: NOW + 60 });
  expect(await scene(JWT, { application: answering(more) }).show(bare)).toEqual({
    userId: "ada",
    issuedAt: 0,
    expiresAt: (NOW + 60) * 1_000,
    // Of what is allowed a token that says nothing allows all.
    grants: answer.grants,
  });
});

test("a backend that names another user than the token has refused", async () => {
  const { refused, checks } = scene(JWT, { application: answering({ userId: "eve" }) });
  expect(await refused(TOKEN)).toBe(REFUSED);
  expect(checks()).toEqual(["backend"]);
});

test("a backend is not asked about a token that is not good, and its refusal stays its own", async () => {
  let asked = 0;
  const authenticate = async () => {
    asked += 1;
    throw new MessagingError("BANNED", "go away");
  };
  const { refused, checks } = scene(JWT, { application: { authenticate } });
  expect(await refused("hunter2")).toBe(REFUSED);
  expect([asked, checks()]).toEqual([0, ["form"]]);
  expect(await refused(TOKEN)).toBe("BANNED: go away");
  expect(asked).toBe(1);
});

test("with a key a token is required, unless the settings say otherwise", async () => {
  const required = scene(JWT);
  expect(await required.refused("")).toBe(REFUSED);
  expect(required.checks()).toEqual(["missing"]);
  const optional = scene({ ...JWT, required: false });
  expect(await optional.show("")).toBe(NOBODY);
  // A token that is shown is looked at.
  expect(await optional.refused("hunter2")).toBe(REFUSED);
  // Without one a backend decides, as it would without the key.
  const asked = scene({ ...JWT, required: false }, { application: answering({ userId: "guest" }) });
  expect((await asked.show("")).userId).toBe("guest");
});

test("where a token is required somebody has to be there who reads it", async () => {
  const { authentication, refused } = scene({ required: true });
  expect(authentication.problem?.problems).toMatchObject([{ path: "auth.required" }]);
  await expect(authentication.prepare()).rejects.toThrow(SettingsError);
  // Whatever a host makes of that, nobody comes in.
  expect(await refused("hunter2")).toBe(REFUSED);
  expect(await refused("")).toBe(REFUSED);
  for (const application of [answering({ userId: "ada" }), routed()]) {
    const world = scene({ required: true }, { application });
    expect(world.authentication.problem).toBeUndefined();
    await world.authentication.prepare();
    expect(await world.refused("")).toBe(REFUSED);
    expect((await world.show("sesame")).userId).toBe("ada");
  }
  expect(scene(JWT).authentication.problem).toBeUndefined();
});

function routed(): Backends {
  return createRouter().add({ channel: "*", method: "*" }, answering({ userId: "ada" }));
}

test("without settings the application's backends are asked as they are", () => {
  const application = answering({ userId: "ada" });
  expect(scene({}, { application }).backends).toBe(application);
  expect(scene({}).backends.authenticate).toBeUndefined();
});

test("all else goes to the application's backends as before", async () => {
  const router = routed();
  const { backends } = scene(JWT, { application: router });
  const caller = { sessionId: "s", clientId: "", clientType: "", userId: "ada" };
  const never = { cancelled: false, onCancel: () => {} };
  await backends.authorizeSubscribe?.({ channel: "a", token: "", caller }, never);
  const payload = { id: "1" } as never;
  const request = { id: "1", channel: "a", method: "m", payload, metadata: {}, caller };
  expect(await backends.rpc?.(request, never)).toBe(payload);
  expect(scene(JWT).backends.rpc).toBeUndefined();
  expect(scene(JWT).backends.authorizeSubscribe).toBeUndefined();
});

test("max_lifetime ends what a backend has let in as well", async () => {
  const at = async (expiresAt: number | undefined) => {
    const application = answering({ userId: "ada", expiresAt });
    return (await scene({ max_lifetime: "1h" }, { application }).show("sesame")).expiresAt;
  };
  expect(await at(undefined)).toBe((NOW + 3_600) * 1_000);
  expect(await at((NOW + 10) * 1_000)).toBe((NOW + 10) * 1_000);
  expect(await at((NOW + 9_999) * 1_000)).toBe((NOW + 3_600) * 1_000);
});

const PATTERNS = [
  "**",
  "a",
  "b",
  "*",
  "a.b",
  "a.*",
  "*.b",
  "*.*",
  "a.**",
  "a.b.**",
  "*.b.**",
  "a.*.c",
];
const CHANNELS = [
  "a",
  "b",
  "a.b",
  "a.c",
  "c.b",
  "b.b",
  "a.b.c",
  "a.c.c",
  "b.b.b",
  "a.b.c.d",
  "x.y.z.w",
];

test("the intersection of two patterns stands for what both stand for, and for nothing else", () => {
  for (const left of PATTERNS) {
    for (const right of PATTERNS) {
      const both = intersection(left, right);
      for (const channel of CHANNELS) {
        const expected = matches(left, channel) && matches(right, channel);
        expect([left, right, channel, both !== undefined && matches(both, channel)]).toEqual([
          left,
          right,
          channel,
          expected,
        ]);
      }
      if (both !== undefined) expect(covers(left, both) && covers(right, both)).toBe(true);
    }
  }
});

const RSA = pemOf(KEYS.RS256.publicKey);
const ED = pemOf(KEYS.EdDSA.publicKey);
const URL = "https://issuer.example/jwks.json";

test.each<[object, string[]]>([
  [{ hmac_secret: "short", algorithms: ["HS256"] }, ["hmac_secret: must be a text of at least 32"]],
  [{ hmac_secret: SECRET }, ["algorithms: must have HS256, which hmac_secret serves"]],
  [{ hmac_secret: SECRET, algorithms: ["RS256"] }, ["algorithms: must have HS256"]],
  [{ algorithms: ["HS256"] }, ["algorithms: has HS256, which needs hmac_secret"]],
  [{ algorithms: ["ES256"] }, ["algorithms: has ES256, which needs public_key or jwks_url"]],
  [{ hmac_secret: SECRET, algorithms: ["HS256", "ES256"] }, ["algorithms: has ES256, which needs"]],
  [{ public_key: RSA, algorithms: ["ES256"] }, ["algorithms: must have RS256, which public_key"]],
  [
    { public_key: ED, algorithms: ["EdDSA", "RS256"] },
    ["algorithms: has RS256, and public_key serves EdDSA alone"],
  ],
  [
    { public_key: RSA, jwks_url: URL, algorithms: ["RS256"] },
    ["jwks_url: has the keys in the place"],
  ],
  [{ jwks_url: URL }, ["algorithms: must have an algorithm of the keys at jwks_url"]],
  [{ algorithms: ["none"] }, ["algorithms.0: must be one of HS256"]],
  [
    { hmac_secret: SECRET, algorithms: ["HS256", "HS256"] },
    ["algorithms: must not name one twice"],
  ],
  [{ issuer: "me" }, ["issuer: does nothing without a key"]],
  [{ issuer: [] }, ["issuer: must be a text, or a list of texts"]],
  [{ audience: [""] }, ["audience.0: must be a text, or a list of texts"]],
  [{ leeway: "6m" }, ["leeway: must be at most 300s"]],
  [{ public_key: "key.pem", algorithms: ["RS256"] }, ["public_key: must be a public key as PEM"]],
  [
    { public_key: RSA.replace("A", "!"), algorithms: ["RS256"] },
    ["public_key: must be a public key"],
  ],
  [
    { public_key: RSA.replaceAll("PUBLIC", "PRIVATE"), algorithms: ["RS256"] },
    ["public_key: must be a public key"],
  ],
  ...["http://issuer.example/", "ftp://a/", "https://", "https://me:secret@a/", "https://a/#b"].map(
    (jwks_url): [object, string[]] => [
      { jwks_url, algorithms: ["RS256"] },
      ["jwks_url: must be an https URL"],
    ],
  ),
])("settings %j are wrong", (jwt, expected) => {
  const problems = (): readonly string[] => {
    try {
      parseConfig({ auth: { jwt } });
      return [];
    } catch (error) {
      return (error as Error).message.split("\n");
    }
  };
  expect(problems()).toEqual(expected.map((text) => expect.stringContaining(`auth.jwt.${text}`)));
  // A secret may stand in a log no more than a token may.
  expect(problems().join()).not.toContain(SECRET);
});

test("keys are taken as they are written, and say which algorithm they serve", () => {
  for (const alg of ["RS256", "ES256", "EdDSA"] as const) {
    const pem = pemOf(KEYS[alg].publicKey);
    for (const text of [
      pem,
      pem.trim(),
      pem.replaceAll("\n", "\\n"),
      pem.replaceAll("\n", "\r\n"),
    ]) {
      const { jwt } = parseConfig({ auth: { jwt: { public_key: text, algorithms: [alg] } } }).auth;
      expect(jwt?.publicKey?.algorithm).toBe(alg);
    }
    const pkcs8 = KEYS[alg].privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(algorithmOfPrivateKey(pkcs8)).toBe(alg);
  }
  expect(algorithmOfPrivateKey(RSA)).toBeUndefined();
  const local = ["http://localhost:1/", "http://127.0.0.1:80/a?b", "http://[::1]/"];
  for (const jwks_url of [URL, ...local]) {
    expect(parseConfig({ auth: { jwt: { jwks_url, algorithms: ["RS256"] } } }).auth.required).toBe(
      true,
    );
  }
});

test("a Worker has its keys from secrets, which stand above the table and are checked like it", () => {
  const auth = (env: object) => settingsOf(env).auth;
  const secret = { MESSAGELOOP_AUTH_JWT_HMAC_SECRET: SECRET };
  const messageloop = { auth: { jwt: { algorithms: ["HS256"], hmac_secret: "of the table" } } };
  expect(auth({ ...secret, messageloop }).jwt?.hmacSecret).toEqual(utf8Encode(SECRET));
  const pem = { MESSAGELOOP_AUTH_JWT_PUBLIC_KEY: ED };
  const table = { auth: { jwt: { algorithms: ["EdDSA"] } } };
  expect(auth({ ...pem, messageloop: table }).jwt?.publicKey?.algorithm).toBe("EdDSA");
  expect(auth({}).required).toBe(false);
  expect(() => auth(secret)).toThrow("auth.jwt.algorithms: must have HS256");
  expect(() => auth({ MESSAGELOOP_AUTH_JWT_HMAC_SECRET: 7 })).toThrow("auth.jwt.hmac_secret");
  for (const wrong of [7, [], { auth: 7 }, { auth: { jwt: [] } }]) {
    expect(() => auth({ ...secret, messageloop: wrong })).toThrow("must be a table of settings");
  }
});

test("a public key that cannot be imported keeps a server from starting", async () => {
  const der = KEYS.ES256.publicKey.export({ type: "spki", format: "der" });
  // A point that is on no curve.
  der.fill(0xff, der.length - 32);
  const pem = `-----BEGIN PUBLIC KEY-----\n${der.toString("base64")}\n-----END PUBLIC KEY-----\n`;
  const { authentication } = scene({ jwt: { public_key: pem, algorithms: ["ES256"] } });
  await expect(authentication.prepare()).rejects.toThrow(/auth\.jwt\.public_key: is no key/);
});
