/** What the Worker signs, by the one key that it has. */
import { importJWK, type JWK, type JWTPayload, jwtVerify, SignJWT } from "jose";

const ALGORITHM = "EdDSA";
const AUDIENCE = "messageloop";

export interface TokenTerms {
  readonly issuer: string;
  /** The user's id. */
  readonly name: string;
  /** What its bearer may do. */
  readonly grants: readonly { readonly pattern: string; readonly actions: readonly string[] }[];
}

/** A token for MessageLoop, good for five minutes. */
export async function signToken(signingKey: string, terms: TokenTerms): Promise<string> {
  const { issuer, name, grants } = terms;
  return await sign(signingKey, { sub: name, iss: issuer, grants }, AUDIENCE, "5m");
}

/** Claims that only this Worker reads again: they are for another audience. */
export async function seal(signingKey: string, claims: JWTPayload): Promise<string> {
  return await sign(signingKey, claims, "session", "1d");
}

/** What was sealed, or undefined for what was not, or too long ago. */
export async function unseal(signingKey: string, text: string): Promise<JWTPayload | undefined> {
  const key = await importJWK(publicPart(signingKey), ALGORITHM);
  const terms = { algorithms: [ALGORITHM], audience: "session" };
  return await jwtVerify(text, key, terms).then(
    ({ payload }) => payload,
    () => undefined,
  );
}

/** The key set that MessageLoop fetches. */
export function publicKeys(signingKey: string): { readonly keys: readonly JWK[] } {
  return { keys: [{ ...publicPart(signingKey), alg: ALGORITHM, use: "sig" }] };
}

async function sign(
  signingKey: string,
  claims: JWTPayload,
  audience: string,
  lifetime: string,
): Promise<string> {
  const jwk = JSON.parse(signingKey) as JWK;
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: ALGORITHM, kid: `${jwk.kid}` })
    .setIssuedAt()
    .setAudience(audience)
    .setExpirationTime(lifetime)
    .sign(await importJWK(jwk, ALGORITHM));
}

/** Everything but `d`, which is what signs. */
function publicPart(signingKey: string): JWK {
  const { kty, crv, x, kid } = JSON.parse(signingKey) as {
    kty: "OKP";
    crv: string;
    x: string;
    kid: string;
  };
  return { kty, crv, x, kid };
}
