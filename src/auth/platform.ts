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

/** An issuer's answer, as it was fetched. */
export interface KeptKeys {
  readonly bytes: Uint8Array;
  /** When that was, Unix milliseconds. */
  readonly fetchedAt: number;
}

/** Where an issuer's keys outlive the host's memory. */
export interface KeyStore {
  /** Those that were stored last; undefined where there are none of this address. */
  load(url: string): KeptKeys | undefined;
  store(url: string, keys: KeptKeys): void;
}

export interface AuthPlatform {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fetchBytes: FetchBytes;
  readonly hmac: Hmac;
  /** Of a host that forgets what it knows whenever nothing happens. Default: keys are kept in memory alone. */
  readonly keyStore?: KeyStore;
}
