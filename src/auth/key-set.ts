/** An issuer's set of keys, as it publishes them: a JWK Set. */
import { type CryptoKey, importJWK, type JWK } from "jose";
import { isObject } from "../protocol/json-strict.ts";
import { MAX_JWKS_KEYS } from "../protocol/limits.ts";
import { utf8Decode } from "../protocol/utf8.ts";
import type { Algorithm, PublicAlgorithm } from "./algorithms.ts";

/** Digits of base64url of the shortest modulus that is taken, 2,048 bits, and of the longest, 8,192. */
const MODULUS_DIGITS = [342, 1_366] as const;

/** The members of a JWK that are its public half, by its kind. Nothing else of it is used. */
const PUBLIC_MEMBERS: Readonly<Record<PublicAlgorithm, readonly string[]>> = {
  RS256: ["kty", "n", "e"],
  ES256: ["kty", "crv", "x", "y"],
  EdDSA: ["kty", "crv", "x"],
};

export class KeySet {
  /** How many keys there are that can be used. */
  readonly size: number;
  readonly #keys: readonly SetKey[];

  private constructor(keys: readonly SetKey[]) {
    this.#keys = keys;
    this.size = keys.length;
  }

  /**
   * Reads a set. Keys that are for something else, or for no algorithm of ours, are left out.
   *
   * @param algorithms those that are configured
   * @throws Error that says why it is no set, in words for the log
   */
  static async read(bytes: Uint8Array, algorithms: readonly Algorithm[]): Promise<KeySet> {
    const jwks = listOf(bytes);
    if (jwks.length > MAX_JWKS_KEYS) throw new Error(`it has more than ${MAX_JWKS_KEYS} keys`);
    const keys = await Promise.all(jwks.map((jwk) => readKey(jwk, algorithms)));
    return new KeySet(keys.filter((key) => key !== undefined));
  }

  /**
   * The key of an id. Without an id the one that serves the algorithm, if there is only one.
   */
  find(algorithm: Algorithm, keyId: string | undefined): CryptoKey | undefined {
    const serving = this.#keys.filter((key) => key.algorithm === algorithm);
    if (keyId !== undefined) return serving.find((key) => key.keyId === keyId)?.key;
    return serving.length === 1 ? serving[0]?.key : undefined;
  }
}

interface SetKey {
  readonly algorithm: PublicAlgorithm;
  readonly keyId: string | undefined;
  readonly key: CryptoKey;
}

function listOf(bytes: Uint8Array): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(bytes));
  } catch {
    throw new Error("it is no JSON");
  }
  const keys = isObject(value) ? value["keys"] : undefined;
  if (!Array.isArray(keys)) throw new Error("it has no list of keys");
  return keys;
}

/** Undefined for a key that cannot be used. */
async function readKey(
  jwk: unknown,
  algorithms: readonly Algorithm[],
): Promise<SetKey | undefined> {
  if (!isObject(jwk)) return undefined;
  const { kid, alg, use, key_ops: operations } = jwk;
  const algorithm = algorithmOf(jwk);
  if (algorithm === undefined || !algorithms.includes(algorithm)) return undefined;
  // A key serves one algorithm: its own word for it must not be another one.
  if (alg !== undefined && alg !== algorithm) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return undefined;
  }
  if (kid !== undefined && typeof kid !== "string") return undefined;
  const members = PUBLIC_MEMBERS[algorithm].map((name): [string, unknown] => [name, jwk[name]]);
  try {
    const key = await importJWK(Object.fromEntries(members) as JWK, algorithm);
    return { algorithm, keyId: kid, key: key as CryptoKey };
  } catch {
    return undefined;
  }
}

function algorithmOf({ kty, crv, n }: Record<string, unknown>): PublicAlgorithm | undefined {
  const [least, most] = MODULUS_DIGITS;
  if (kty === "RSA") {
    const digits = typeof n === "string" ? n.length : 0;
    return digits >= least && digits <= most ? "RS256" : undefined;
  }
  if (kty === "EC" && crv === "P-256") return "ES256";
  return kty === "OKP" && crv === "Ed25519" ? "EdDSA" : undefined;
}
