/** Reads a token as a JWT: whether it is good, and whom it stands for. */
import { errors, type JWTHeaderParameters, type JWTPayload, jwtVerify } from "jose";
import type { Identity } from "../engine/ports/identity.ts";
import type { Clock } from "../engine/ports/platform.ts";
import { BadValue } from "../engine/session/application-values.ts";
import { answeredIdentity } from "../engine/session/backend-answers.ts";
import { MessagingError } from "../protocol/errors.ts";
import { MAX_TOKEN_BYTES } from "../protocol/limits.ts";
import { ALGORITHMS } from "./algorithms.ts";
import { type Check, TokenRefusal } from "./checks.ts";
import type { Keys } from "./keys.ts";
import type { AuthSettings, JwtSettings } from "./settings.ts";

/** Which check a claim belongs to that the library looks at. */
const CHECKS_OF_CLAIMS: Readonly<Record<string, Check>> = {
  iss: "issuer",
  aud: "audience",
  exp: "expiry",
  nbf: "not-before",
  iat: "issued-at",
};
/** Which one the fields of an identity belong to. */
const CHECKS_OF_FIELDS: Readonly<Record<string, Check>> = {
  userId: "subject",
  tokenId: "id",
  issuedAt: "issued-at",
  channels: "channels",
  grants: "grants",
};

export interface VerifierOptions {
  readonly jwt: JwtSettings;
  readonly maxLifetimeMs: AuthSettings["maxLifetimeMs"];
  readonly keys: Keys;
  readonly clock: Clock;
}

export class Verifier {
  readonly #jwt: JwtSettings;
  readonly #maxLifetimeMs: number | undefined;
  readonly #keys: Keys;
  readonly #clock: Clock;

  constructor({ jwt, maxLifetimeMs, keys, clock }: VerifierOptions) {
    this.#jwt = jwt;
    this.#maxLifetimeMs = maxLifetimeMs;
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * Whom a token stands for.
   *
   * @param clientId of the client that shows it
   * @throws TokenRefusal that names the check, MessagingError UNAVAILABLE where the issuer's keys are not known now
   */
  async verify(token: string, clientId: string): Promise<Identity> {
    // Bytes are never fewer than characters, and a JWT has none but those of ASCII.
    if (token.length > MAX_TOKEN_BYTES) throw new TokenRefusal("size");
    const claims = await this.#claims(token);
    const expiresAt = this.#end(claims);
    const { sub, jti, iat = 0, client, channels, grants } = claims;
    if (client !== undefined && client !== clientId) throw new TokenRefusal("client");
    try {
      return answeredIdentity({
        userId: sub,
        tokenId: jti,
        // One that does not say so counts as older than any revocation.
        issuedAt: Math.trunc(iat * 1_000),
        expiresAt,
        clientVouched: client === undefined ? undefined : true,
        channels,
        grants,
      });
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      const [field = ""] = error.field.split(".");
      throw new TokenRefusal(CHECKS_OF_FIELDS[field] ?? "form");
    }
  }

  async #claims(token: string): Promise<JWTPayload> {
    const { algorithms, issuers, audiences, leewayMs } = this.#jwt;
    try {
      const { payload } = await jwtVerify(token, (header) => this.#key(header), {
        algorithms: [...algorithms],
        clockTolerance: leewayMs / 1_000,
        currentDate: new Date(this.#clock.now()),
        ...(issuers.length === 0 ? {} : { issuer: [...issuers] }),
        ...(audiences.length === 0 ? {} : { audience: [...audiences] }),
      });
      return payload;
    } catch (error) {
      if (error instanceof MessagingError) throw error;
      throw error instanceof TokenRefusal ? error : new TokenRefusal(checkOf(error));
    }
  }

  /** The header has passed the list of algorithms. Where it says that a key can be had is not looked at. */
  #key({ alg, kid }: JWTHeaderParameters) {
    const algorithm = ALGORITHMS.find((one) => one === alg);
    if (algorithm === undefined) throw new TokenRefusal("algorithm");
    if (kid !== undefined && typeof kid !== "string") throw new TokenRefusal("key");
    return this.#keys.find({ algorithm, keyId: kid });
  }

  /**
   * When the token ends, Unix milliseconds: by its own word, and by the longest time that one may last. The library
   * has seen to it that both times are numbers.
   */
  #end({ exp, iat }: JWTPayload): number {
    const { leewayMs } = this.#jwt;
    const now = this.#clock.now();
    const ends = exp === undefined ? [] : [exp * 1_000 + leewayMs];
    if (iat !== undefined && iat * 1_000 > now + leewayMs) throw new TokenRefusal("issued-at");
    if (this.#maxLifetimeMs !== undefined) {
      // One that has no end must say at least when it began: else each connect would begin it anew.
      if (exp === undefined && iat === undefined) throw new TokenRefusal("issued-at");
      const began = iat === undefined ? now : iat * 1_000 + leewayMs;
      ends.push(began + this.#maxLifetimeMs);
    }
    if (ends.length === 0) throw new TokenRefusal("expiry");
    const end = Math.trunc(Math.min(...ends, Number.MAX_SAFE_INTEGER));
    if (end <= now) throw new TokenRefusal("expiry");
    return end;
  }
}

/** What the library has refused. What it has no name for is a signature that could not even be checked. */
function checkOf(error: unknown): Check {
  if (error instanceof errors.JWTExpired) return "expiry";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CHECKS_OF_CLAIMS[error.claim] ?? "form";
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return "algorithm";
  if (error instanceof errors.JOSENotSupported) return "crit";
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return "form";
  return "signature";
}
