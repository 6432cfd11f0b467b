/** Tokens of tests, made by hand: good ones, and those that no library would make. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** What tokens of HS256 are signed with. */
export const SECRET = "a secret of tests, which nobody can guess";

/** Key pairs, by the algorithm that they serve. */
export const KEYS = {
  RS256: generateKeyPairSync("rsa", { modulusLength: 2_048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
};

export type Claims = Readonly<Record<string, unknown>>;

/** A token in its compact form, signed over whatever its parts hold. */
export function tokenOf(header: Claims, claims: unknown, key: string | KeyObject = SECRET): string {
  return signedParts(part(header), part(claims), key);
}

/** The same of parts that are encoded already. */
export function signedParts(header: string, claims: string, key: string | KeyObject): string {
  const signed = `${header}.${claims}`;
  return `${signed}.${signatureOf(signed, key).toString("base64url")}`;
}

/** A good token of HS256. */
export function goodToken(claims: Claims, secret: string = SECRET): string {
  return tokenOf({ alg: "HS256", typ: "JWT" }, claims, secret);
}

/** What a token says until when it is good, from now on. */
export function endingIn(seconds: number): { readonly exp: number } {
  return { exp: Math.floor(Date.now() / 1_000) + seconds };
}

export function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: "spki", format: "pem" }).toString();
}

/** A public key as an issuer publishes it. */
export function jwkOf(algorithm: keyof typeof KEYS, more: object = {}): object {
  return { ...KEYS[algorithm].publicKey.export({ format: "jwk" }), ...more };
}

function signatureOf(signed: string, key: string | KeyObject): Buffer {
  if (typeof key === "string") return createHmac("sha256", key).update(signed).digest();
  const { asymmetricKeyType } = key;
  const hash = asymmetricKeyType === "ed25519" ? null : "sha256";
  return sign(hash, Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
}
