/** Settings of authentication, the same on every host. */
import * as v from "valibot";
import { patternProblem } from "../channels/patterns.ts";
import { formatDuration } from "../engine/settings/duration.ts";
import {
  durations,
  durationsFrom,
  key,
  secretText,
  someOf,
  switches,
  table,
  textElsewhere,
  together,
  unset,
} from "../engine/settings/settings.ts";
import { utf8Length } from "../protocol/lean/utf8-length.ts";
import { TOKEN_LEEWAY_MS } from "../protocol/limits.ts";
import { utf8Encode } from "../protocol/utf8.ts";
import { ALGORITHMS, type PublicAlgorithm, type PublicKey, readPublicKey } from "./algorithms.ts";

export type AuthSettings = Readonly<ReturnType<typeof authSettings>>;

/** What is checked of tokens, and with which keys. */
export type JwtSettings = Readonly<NonNullable<AuthSettings["jwt"]>>;

/** What `auth.required` comes to where no key and no backend reads a token. */
export const LACK_OF_AUTHENTICATOR =
  "needs somebody who can say who a client is: a key in auth.jwt, or a backend that authenticates";

/** As long as what it makes: a shorter secret can be guessed from a single token. */
const MIN_SECRET_BYTES = 32;
const NOT_A_SECRET = `must be a text of at least ${MIN_SECRET_BYTES} bytes that nobody can guess`;
const NOT_A_KEY = "must be a public key as PEM";
const NOT_A_URL = "must be an https URL; http is for this machine alone";
const NOT_PATTERNS = "must be a list of channels and patterns";
const NOT_NAMES = "must be a text, or a list of texts";
/** Nothing but a host and a path: a URL with a password in it would end in logs. */
const SECURE_URL = /^https:\/\/[^\s/?#@\\]+(?:[/?][^\s#]*)?$/;
const LOCAL_URL = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?:[/?][^\s#]*)?$/;

const texts = v.pipe(v.string(NOT_NAMES), v.nonEmpty(NOT_NAMES));
const names = v.pipe(
  v.union([texts, v.pipe(v.array(texts), v.nonEmpty(NOT_NAMES))], NOT_NAMES),
  v.transform((value): readonly string[] => (typeof value === "string" ? [value] : value)),
);

const publicKeys = v.pipe(
  v.string(NOT_A_KEY),
  v.transform(readPublicKey),
  v.check(
    (key) => typeof key !== "string",
    ({ input }) => `${input}`,
  ),
  v.transform((key) => key as PublicKey),
);

const jwtTable = table({
  hmac_secret: unset(
    secretText(
      v.pipe(
        v.string(NOT_A_SECRET),
        v.check((text) => utf8Length(text) >= MIN_SECRET_BYTES, NOT_A_SECRET),
        v.transform(utf8Encode),
      ),
    ),
  ),
  public_key: unset(textElsewhere(publicKeys)),
  jwks_url: unset(
    v.pipe(
      v.string(NOT_A_URL),
      v.check((url) => SECURE_URL.test(url) || LOCAL_URL.test(url), NOT_A_URL),
    ),
  ),
  algorithms: v.optional(
    v.pipe(
      someOf(ALGORITHMS),
      v.check((list) => new Set(list).size === list.length, "must not name one twice"),
    ),
    [],
  ),
  issuer: unset(names),
  audience: unset(names),
  leeway: v.optional(
    v.pipe(durations, v.maxValue(300_000, "must be at most 300s")),
    formatDuration(TOKEN_LEEWAY_MS),
  ),
});
type Jwt = v.InferOutput<typeof jwtTable>;

/** `auth`: a table. */
export const authEntries = v.optional(
  v.pipe(
    table({
      required: key(switches, "true with a key of jwt, else false"),
      max_lifetime: unset(durationsFrom(1_000)),
      subscription_tokens: v.optional(
        v.pipe(
          v.array(v.pipe(v.string(NOT_PATTERNS), v.check(isPattern, NOT_PATTERNS)), NOT_PATTERNS),
          v.check((list) => new Set(list).size === list.length, "must not name one twice"),
        ),
        [],
      ),
      jwt: v.optional(v.pipe(jwtTable, together(contradictions)), {}),
    }),
    v.forward(
      v.check(({ subscription_tokens, jwt }) => {
        return subscription_tokens.length === 0 || hasKey(jwt);
      }, "needs a key in jwt, by which these tokens are read"),
      ["subscription_tokens"],
    ),
  ),
  {},
);

function hasKey({ hmac_secret, public_key, jwks_url }: Jwt): boolean {
  return [hmac_secret, public_key, jwks_url].some((key) => key !== undefined);
}

function isPattern(text: string): boolean {
  return patternProblem(text) === undefined;
}

/** What the table comes to. */
export function authSettings({
  required,
  max_lifetime: maxLifetimeMs,
  subscription_tokens: subscriptionTokens,
  jwt,
}: v.InferOutput<typeof authEntries>) {
  const { hmac_secret: hmacSecret, public_key: publicKey, jwks_url: jwksUrl, algorithms } = jwt;
  const keyed = hasKey(jwt);
  return {
    /** Whether a client must show a token. */
    required: required ?? keyed,
    /** How long a client may stay by one token, in milliseconds; undefined for no limit beside the token's own. */
    maxLifetimeMs,
    /** Patterns of channels that need a token of their own to be subscribed to. */
    subscriptionTokens,
    /** Undefined where there is no key: then no token is read. */
    jwt: keyed
      ? {
          /** At least one. */
          algorithms,
          /** Of HS256. It must reach no log and no client. */
          hmacSecret,
          publicKey,
          /** Where the issuer has its keys. */
          jwksUrl,
          /** Of which a token's has to be one; any issuer where there are none. */
          issuers: jwt.issuer ?? [],
          /** Of which a token has to name one; any audience where there are none. */
          audiences: jwt.audience ?? [],
          /** How far the issuer's clock may be off, in milliseconds. */
          leewayMs: jwt.leeway,
        }
      : undefined,
  };
}

/** Keys without an algorithm, algorithms without a key, and what does nothing. */
function contradictions(jwt: Jwt): [keyof Jwt, string][] {
  const { public_key, jwks_url, algorithms, issuer, audience } = jwt;
  const found: [keyof Jwt, string][] = [];
  if (public_key !== undefined && jwks_url !== undefined) {
    found.push(["jwks_url", "has the keys in the place of public_key: use one of them"]);
  }
  const wrong = algorithmsProblem(jwt);
  if (wrong !== undefined) found.push(["algorithms", wrong]);
  if (!hasKey(jwt) && algorithms.length === 0) {
    const idle = { issuer, audience };
    for (const key of ["issuer", "audience"] as const) {
      if (idle[key] !== undefined) found.push([key, "does nothing without a key"]);
    }
  }
  return found;
}

function algorithmsProblem({
  hmac_secret,
  public_key,
  jwks_url,
  algorithms,
}: Jwt): string | undefined {
  const ofPublic = algorithms.filter((one): one is PublicAlgorithm => one !== "HS256");
  const symmetric = algorithms.includes("HS256");
  if (hmac_secret !== undefined && !symmetric) return "must have HS256, which hmac_secret serves";
  if (hmac_secret === undefined && symmetric) return "has HS256, which needs hmac_secret";
  const served = public_key?.algorithm;
  if (served !== undefined && !ofPublic.includes(served)) {
    return `must have ${served}, which public_key serves`;
  }
  if (jwks_url !== undefined) {
    if (ofPublic.length > 0) return undefined;
    return "must have an algorithm of the keys at jwks_url: RS256, ES256 or EdDSA";
  }
  const unserved = ofPublic.find((one) => one !== served);
  if (unserved === undefined) return undefined;
  return served === undefined
    ? `has ${unserved}, which needs public_key or jwks_url`
    : `has ${unserved}, and public_key serves ${served} alone`;
}
