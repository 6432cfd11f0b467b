/** What authentication needs of its host. */
import type { CryptoKey } from "jose";
import type { Clock, Logger } from "../engine/ports/platform.ts";

/** How much of an issuer's answer is taken, and how long it is waited for. */
export interface FetchLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/**
 * Fetches a document. MUST follow no redirect, and take no answer but a 200 within the limits; rejects with an error
 * whose text is for the log alone.
 */
export type FetchBytes = (url: string, limits: FetchLimits) => Promise<Uint8Array>;

/** A key of WebCrypto that verifies by HMAC-SHA256. */
export type ImportHmacKey = (secret: Uint8Array) => Promise<CryptoKey>;

export interface AuthPlatform {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fetchBytes: FetchBytes;
  readonly importHmacKey: ImportHmacKey;
}
