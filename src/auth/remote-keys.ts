/**
 * The keys of an issuer, fetched from it: kept, fetched again now and then, and for a key that is not known, and
 * served on while the issuer cannot be reached.
 */
import type { CryptoKey } from "jose";
import { background } from "../engine/background.ts";
import { errorText } from "../engine/error-text.ts";
import { MessagingError } from "../protocol/errors.ts";
import {
  JWKS_FRESH_MS,
  JWKS_RETRY_MS,
  JWKS_STALE_MS,
  JWKS_TIMEOUT_MS,
  JWKS_UNKNOWN_KEY_MS,
  MAX_JWKS_BYTES,
} from "../protocol/limits.ts";
import type { Algorithm } from "./algorithms.ts";
import { TokenRefusal } from "./checks.ts";
import { KeySet } from "./key-set.ts";
import type { AuthPlatform } from "./platform.ts";

const NEVER = Number.NEGATIVE_INFINITY;

export class RemoteKeys {
  readonly #url: string;
  readonly #algorithms: readonly Algorithm[];
  readonly #platform: AuthPlatform;
  /** The last one that could be read. */
  #set: KeySet | undefined;
  /** When that was, when it was last tried, and when for a key that was not known; steady time in milliseconds. */
  #fetched = NEVER;
  #tried = NEVER;
  #soughtUnknown = NEVER;
  #failed = false;
  /** While it is being fetched. Never rejects. */
  #fetching: Promise<void> | undefined;
  /** From when on it is known what was stored. Never rejects. */
  #loaded: Promise<void> | undefined;

  constructor(url: string, algorithms: readonly Algorithm[], platform: AuthPlatform) {
    this.#url = url;
    this.#algorithms = algorithms;
    this.#platform = platform;
  }

  /** Begins to fetch the keys, so that the first client need not wait for them. */
  prefetch(): void {
    this.#inBackground(this.#fetch());
  }

  /** @throws TokenRefusal for a key that the issuer has not, MessagingError UNAVAILABLE where that cannot be known now */
  async find(algorithm: Algorithm, keyId: string | undefined): Promise<CryptoKey> {
    if (this.#set === undefined) await this.#load();
    if (this.#serving === undefined) await this.#retry();
    else if (this.#now - this.#fetched >= JWKS_FRESH_MS) this.#inBackground(this.#retry());
    const known = this.#known(algorithm, keyId);
    if (known !== undefined) return known;
    await this.#seek();
    const found = this.#known(algorithm, keyId);
    if (found !== undefined) return found;
    // Of an issuer that cannot be reached the key may be a new one.
    if (this.#failed) throw unavailable();
    throw new TokenRefusal("key");
  }

  #known(algorithm: Algorithm, keyId: string | undefined): CryptoKey | undefined {
    const set = this.#serving;
    if (set === undefined) throw unavailable();
    return set.find(algorithm, keyId);
  }

  /** The keys, for as long as they may serve. */
  get #serving(): KeySet | undefined {
    return this.#now - this.#fetched < JWKS_STALE_MS ? this.#set : undefined;
  }

  get #now(): number {
    const { clock } = this.#platform;
    return clock.steady?.() ?? clock.now();
  }

  /** Fetches the keys unless they just were. */
  #retry(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    return this.#now - this.#tried < JWKS_RETRY_MS ? Promise.resolve() : this.#fetch();
  }

  /** Fetches them for a key that is not known: invented names of keys cause no more than one such fetch. */
  #seek(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    if (this.#now - this.#soughtUnknown < JWKS_UNKNOWN_KEY_MS) return Promise.resolve();
    this.#soughtUnknown = this.#now;
    return this.#fetch();
  }

  #fetch(): Promise<void> {
    this.#tried = this.#now;
    this.#fetching ??= this.#take().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  #inBackground(fetching: Promise<void>): void {
    background(fetching, this.#platform.logger, "fetching the issuer's keys");
  }

  /** Takes what an earlier life of the host has stored, as old as it is. */
  #load(): Promise<void> {
    this.#loaded ??= this.#takeStored();
    return this.#loaded;
  }

  async #takeStored(): Promise<void> {
    const { clock, keyStore, logger } = this.#platform;
    try {
      const stored = keyStore?.load(this.#url);
      if (stored === undefined) return;
      const set = await KeySet.read(stored.bytes, this.#algorithms);
      // A clock that was set back says nothing of how old it is.
      const age = Math.max(clock.now() - stored.fetchedAt, 0);
      if (this.#set !== undefined) return;
      this.#set = set;
      this.#fetched = this.#now - age;
    } catch (error) {
      const fields = { url: this.#url, error: errorText(error) };
      logger.warn("the issuer's keys that were kept cannot be read", fields);
    }
  }

  #store(bytes: Uint8Array): void {
    const { clock, keyStore, logger } = this.#platform;
    try {
      keyStore?.store(this.#url, { bytes, fetchedAt: clock.now() });
    } catch (error) {
      const fields = { url: this.#url, error: errorText(error) };
      logger.warn("the issuer's keys cannot be kept", fields);
    }
  }

  async #take(): Promise<void> {
    const { fetchBytes, logger } = this.#platform;
    const limits = { maxBytes: MAX_JWKS_BYTES, timeoutMs: JWKS_TIMEOUT_MS };
    try {
      const bytes = await fetchBytes(this.#url, limits);
      const set = await KeySet.read(bytes, this.#algorithms);
      if (set.size === 0) logger.warn("the issuer has no key that can be used", { url: this.#url });
      else if (this.#failed) logger.info?.("the issuer's keys are there again", { url: this.#url });
      this.#set = set;
      this.#fetched = this.#now;
      this.#failed = false;
      this.#store(bytes);
    } catch (error) {
      const fields = { url: this.#url, error: errorText(error) };
      logger.warn("the issuer's keys cannot be fetched", fields);
      this.#failed = true;
    }
  }
}

function unavailable(): MessagingError {
  return new MessagingError("UNAVAILABLE", "authentication is not possible now");
}
