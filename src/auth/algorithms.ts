/** The algorithms that tokens may be signed by, and which of them a key serves. Each key serves one. */
import { base64Decode } from "@bufbuild/protobuf/wire";

/** Ours, by their names in a JWT. */
export const ALGORITHMS = ["HS256", "RS256", "ES256", "EdDSA"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
/** Those of a key that has a public half. */
export type PublicAlgorithm = Exclude<Algorithm, "HS256">;

/** How keys of each kind name themselves in DER, in hexadecimal digits. */
const KINDS: readonly (readonly [identifier: string, algorithm: PublicAlgorithm])[] = [
  // rsaEncryption, without parameters.
  ["300d06092a864886f70d0101010500", "RS256"],
  // ecPublicKey on prime256v1.
  ["301306072a8648ce3d020106082a8648ce3d030107", "ES256"],
  ["300506032b6570", "EdDSA"],
];
/** A key of 2,048 bits; shorter ones are not taken. */
const MIN_RSA_BYTES = 294;

/** A public key as PEM, and the algorithm that it serves. */
export interface PublicKey {
  readonly pem: string;
  readonly algorithm: PublicAlgorithm;
}

/**
 * A public key out of a text, which may have `\n` in the place of line breaks, as variables of an environment do.
 *
 * @returns the key, or what is wrong with it
 */
export function readPublicKey(text: string): PublicKey | string {
  const pem = unescaped(text);
  const der = derOf(pem, "PUBLIC KEY");
  if (der === undefined) return 'must be a public key as PEM, with "BEGIN PUBLIC KEY"';
  // A sequence, its length, and what kind of key it is.
  const algorithm = kindAfter(der, /^30(?:[0-7].|81..|82....)/);
  if (algorithm === undefined) return "must be a key of RSA, P-256 or Ed25519";
  if (algorithm === "RS256" && der.length < MIN_RSA_BYTES) {
    return "must be of at least 2,048 bits";
  }
  return { pem, algorithm };
}

/** The algorithm that a private key as PEM signs by, in PKCS #8; undefined for what is none of ours. */
export function algorithmOfPrivateKey(pem: string): PublicAlgorithm | undefined {
  const der = derOf(unescaped(pem), "PRIVATE KEY");
  // The same after a version.
  return der && kindAfter(der, /^30(?:[0-7].|81..|82....)020100/);
}

function unescaped(text: string): string {
  return text.replaceAll("\\n", "\n").trim();
}

function derOf(pem: string, kind: string): Uint8Array | undefined {
  const [, body] =
    new RegExp(`^-----BEGIN ${kind}-----\\s([A-Za-z0-9+/=\\s]+)-----END ${kind}-----$`).exec(pem) ??
    [];
  if (body === undefined) return undefined;
  try {
    return base64Decode(body.replaceAll(/\s/g, ""));
  } catch {
    return undefined;
  }
}

function kindAfter(der: Uint8Array, head: RegExp): PublicAlgorithm | undefined {
  const digits = [...der.subarray(0, 40)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  const rest = digits.replace(head, "");
  if (rest === digits) return undefined;
  return KINDS.find(([identifier]) => rest.startsWith(identifier))?.[1];
}
