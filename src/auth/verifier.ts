/** Reads a token as a JWT: whether it is good, and which user it stands for. */
import { type CompactJWSHeaderParameters, compactVerify, errors } from "jose";
import type { Identity } from "../engine/ports/identity.ts";
import type { Clock, Hmac } from "../engine/ports/platform.ts";
import { BadValue } from "../engine/session/application-values.ts";
import { answeredIdentity } from "../engine/session/backend-answers.ts";
import { sameBytes } from "../protocol/bytes.ts";
import { MessagingError } from "../protocol/errors.ts";
import { MAX_TOKEN_BYTES } from "../protocol/limits.ts";
import { ALGORITHMS } from "./algorithms.ts";
import { type Check, TokenRefusal } from "./checks.ts";
import { endOf, readClaims } from "./claims.ts";
import { plainHs256 } from "./hs256.ts";
import type { Keys } from "./keys.ts";
import type { AuthSettings, JwtSettings } from "./settings.ts";

/** Which check the fields of an identity belong to. */
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
  readonly hmac: Hmac;
}

export class Verifier {
  readonly #jwt: JwtSettings;
  readonly #terms: Parameters<typeof endOf>[1];
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #hmac: Hmac;

  constructor({ jwt, maxLifetimeMs, keys, clock, hmac }: VerifierOptions) {
    this.#jwt = jwt;
    this.#terms = { leewayMs: jwt.leewayMs, maxLifetimeMs };
    this.#keys = keys;
    this.#clock = clock;
    this.#hmac = hmac;
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
    const signed = await this.#signedClaims(token);
    const now = this.#clock.now();
    const claims = readClaims(signed, this.#jwt, now);
    const expiresAt = endOf(claims, this.#terms, now);
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

  /**
   * The claims of a token, after its signature was found good.
   *
   * @throws TokenRefusal, MessagingError UNAVAILABLE where the issuer's keys are not known now
   */
  async #signedClaims(token: string): Promise<Uint8Array> {
    const { algorithms } = this.#jwt;
    const secret = this.#keys.secret;
    const plain = secret === undefined ? undefined : plainHs256(token);
    if (secret !== undefined && plain !== undefined) {
      const expected = await this.#hmac(secret, plain.signed);
      if (!sameBytes(expected, plain.signature)) throw new TokenRefusal("signature");
      return plain.claims;
    }
    try {
      const options = { algorithms: [...algorithms] };
      const found = await compactVerify(
        token,
        (header: CompactJWSHeaderParameters) => this.#key(header),
        options,
      );
      // Claims that are not encoded are no JWT's.
      if (found.protectedHeader.b64 === false) throw new TokenRefusal("form");
      return found.payload;
    } catch (error) {
      if (error instanceof MessagingError) throw error;
      throw error instanceof TokenRefusal ? error : new TokenRefusal(checkOf(error));
    }
  }

  /** The header has passed the list of algorithms. Where it says that a key can be had is not looked at. */
  #key({ alg, kid }: CompactJWSHeaderParameters) {
    const algorithm = ALGORITHMS.find((one) => one === alg);
    if (algorithm === undefined) throw new TokenRefusal("algorithm");
    if (kid !== undefined && typeof kid !== "string") throw new TokenRefusal("key");
    return this.#keys.find({ algorithm, keyId: kid });
  }
}

/** What the library has refused. What it has no name for is a signature that could not even be checked. */
function checkOf(error: unknown): Check {
  if (error instanceof errors.JOSEAlgNotAllowed) return "algorithm";
  if (error instanceof errors.JOSENotSupported) return "crit";
  if (error instanceof errors.JWSInvalid) return "form";
  return "signature";
}
