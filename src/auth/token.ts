/** Makes tokens, for development and for tests: in production the application's own service does. */
import { importPKCS8, SignJWT } from "jose";
import type { Grant } from "../engine/ports/access.ts";
import type { Identity } from "../engine/ports/identity.ts";
import { type Algorithm, algorithmOfPrivateKey } from "./algorithms.ts";

/** What a token is to say. */
export interface TokenContents {
  readonly userId: string;
  readonly tokenId?: string | undefined;
  /** The client id that its bearer has to connect with. */
  readonly client?: string | undefined;
  readonly channels?: Identity["channels"];
  readonly grants?: readonly Grant[] | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  /** Unix milliseconds, both. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** What a token is signed with: a secret, or a private key as PEM in PKCS #8. */
export type SigningKey = { readonly secret: Uint8Array } | { readonly pem: string };

/** Undefined for a PEM that holds no key of ours. */
export function algorithmOf(key: SigningKey): Algorithm | undefined {
  return "secret" in key ? "HS256" : algorithmOfPrivateKey(key.pem);
}

/** @throws Error for what is no private key */
export async function makeToken(key: SigningKey, contents: TokenContents): Promise<string> {
  const alg = algorithmOf(key);
  if (alg === undefined) throw new Error("is no private key of RSA, P-256 or Ed25519 in PKCS #8");
  const { tokenId, client, channels, grants, issuer, audience } = contents;
  const claims = { iss: issuer, aud: audience, jti: tokenId, client, channels, grants };
  const said = Object.entries(claims).filter(([, value]) => value !== undefined);
  const token = new SignJWT(Object.fromEntries(said))
    .setProtectedHeader({ alg, typ: "JWT" })
    .setSubject(contents.userId)
    .setIssuedAt(Math.floor(contents.issuedAt / 1_000))
    .setExpirationTime(Math.floor(contents.expiresAt / 1_000));
  return await token.sign("secret" in key ? key.secret : await importPKCS8(key.pem, alg));
}
