/** What a token says: which of its claims are looked at, and until when it is good. */
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { type Check, TokenRefusal } from "./checks.ts";
import type { AuthSettings, JwtSettings } from "./settings.ts";

/** Claims as the issuer has signed them. Nothing is known of those that are not looked at here. */
export interface Claims {
  /** Seconds since 1970, all three. */
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly sub?: unknown;
  readonly jti?: unknown;
  readonly client?: unknown;
  readonly channels?: unknown;
  readonly grants?: unknown;
}

/**
 * Reads the claims of a token whose signature is good, and checks those that say where and when it counts.
 *
 * @param bytes the middle one of its parts
 * @param now Unix milliseconds
 * @throws TokenRefusal that names the check
 */
export function readClaims(
  bytes: Uint8Array,
  { issuers, audiences, leewayMs }: Pick<JwtSettings, "issuers" | "audiences" | "leewayMs">,
  now: number,
): Claims {
  const claims = objectIn(bytes);
  const { iss, aud, exp, nbf, iat } = claims;
  if (issuers.length > 0 && !issuers.some((one) => one === iss)) throw new TokenRefusal("issuer");
  if (audiences.length > 0) {
    const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
    if (!audiences.some((one) => named.includes(one))) throw new TokenRefusal("audience");
  }
  mustBeTime(exp, "expiry");
  mustBeTime(nbf, "not-before");
  mustBeTime(iat, "issued-at");
  if (typeof nbf === "number" && nbf * 1_000 > now + leewayMs) throw new TokenRefusal("not-before");
  return claims as Claims;
}

/**
 * When a token ends, Unix milliseconds: by its own word, and by the longest time that one may last.
 *
 * @param now Unix milliseconds
 * @throws TokenRefusal for one that has ended, or whose end cannot be known
 */
export function endOf(
  { exp, iat }: Claims,
  { leewayMs, maxLifetimeMs }: Pick<JwtSettings, "leewayMs"> & Pick<AuthSettings, "maxLifetimeMs">,
  now: number,
): number {
  const ends = exp === undefined ? [] : [exp * 1_000 + leewayMs];
  if (iat !== undefined && iat * 1_000 > now + leewayMs) throw new TokenRefusal("issued-at");
  if (maxLifetimeMs !== undefined) {
    // One that has no end must say at least when it began: else each connect would begin its time again.
    if (exp === undefined && iat === undefined) throw new TokenRefusal("issued-at");
    const began = iat === undefined ? now : iat * 1_000 + leewayMs;
    ends.push(began + maxLifetimeMs);
  }
  if (ends.length === 0) throw new TokenRefusal("expiry");
  const end = Math.trunc(Math.min(...ends, Number.MAX_SAFE_INTEGER));
  if (end <= now) throw new TokenRefusal("expiry");
  return end;
}

function mustBeTime(value: unknown, check: Check): void {
  if (value !== undefined && typeof value !== "number") throw new TokenRefusal(check);
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(getTextEncoding().decodeUtf8(bytes, true));
  } catch {
    throw new TokenRefusal("form");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new TokenRefusal("form");
}
