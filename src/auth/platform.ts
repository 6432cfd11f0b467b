/** What authentication needs of its host. */
import type { Clock, Hmac, Logger } from "../engine/ports/platform.ts";

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

export interface AuthPlatform {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fetchBytes: FetchBytes;
  readonly hmac: Hmac;
}
