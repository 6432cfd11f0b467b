/** Callers: every door for servers asks here what a request's key is good for. */
import { coveredBy } from "../../channels/patterns.ts";
import type { Clock, Logger } from "../../engine/ports/platform.ts";
import { MessagingError, rateLimited } from "../../protocol/errors.ts";
import { Failures } from "./failures.ts";
import type { KeyEntry, Right, Sha256 } from "./key.ts";

/** Longest key that is looked at, in characters. */
const MAX_KEY_LENGTH = 256;
/** How often it is warned of keys that anyone on the way can read, in milliseconds. */
const WARN_EVERY_MS = 60_000;

const CLOSED =
  "this server has no API keys, so that its API is closed: make one with messageloop key";
const MISSING = "the key is missing: send it in the header Authorization: Bearer KEY";

/** The other end of a request, as far as its host knows. */
export interface KeyPeer {
  /** Network address of the client; empty where it is not known. */
  readonly address: string;
  /** Whether the request came without TLS from elsewhere than this machine or a trusted proxy. */
  readonly exposed?: boolean;
}

export interface KeysOptions {
  readonly entries: readonly KeyEntry[];
  readonly sha256: Sha256;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A caller that has shown a key, and what the key is good for. */
export class Principal {
  /** Id of the key. It is no secret. */
  readonly id: string;
  readonly rights: ReadonlySet<Right>;
  /** Channels that the key is good for, by patterns and names. */
  readonly patterns: readonly string[];
  /** From when on it is good for nothing, Unix milliseconds; undefined for never. */
  readonly expiresAt: number | undefined;
  readonly #everywhere: boolean;

  constructor({ id, rights, patterns, expiresAt }: Omit<KeyEntry, "digest">) {
    this.id = id;
    this.rights = new Set(rights);
    this.patterns = patterns;
    this.expiresAt = expiresAt;
    this.#everywhere = patterns.includes("**");
  }

  /** @param channel a channel, or a pattern: then its channels, all of them */
  may(right: Right, channel: string): boolean {
    if (!this.rights.has(right)) return false;
    return this.#everywhere || coveredBy(this.patterns, channel);
  }

  /** @throws MessagingError ACL_ERROR where the key is good for it in no channel */
  checkRight(right: Right): void {
    if (this.rights.has(right)) return;
    throw new MessagingError("ACL_ERROR", `the key has not the right ${right}`);
  }

  /** @throws MessagingError ACL_ERROR where the key is not good for it */
  check(right: Right, channel: string): void {
    this.checkRight(right);
    if (!this.may(right, channel)) {
      throw new MessagingError("ACL_ERROR", "the key is for other channels");
    }
  }

  /**
   * For what concerns sessions and users, which belong to no channel.
   *
   * @throws MessagingError ACL_ERROR where the key is not good for every channel
   */
  checkEverywhere(right: Right): void {
    this.check(right, "**");
  }
}

export class Keys {
  readonly #entries: readonly KeyEntry[];
  readonly #sha256: Sha256;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #failures = new Failures();
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor({ entries, sha256, clock, logger }: KeysOptions) {
    this.#entries = entries;
    this.#sha256 = sha256;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Whether any key can open the API. */
  get configured(): boolean {
    return this.#entries.length > 0;
  }

  /**
   * The caller of a request.
   *
   * @param authorization its header Authorization, `Bearer ml_…`
   * @throws MessagingError AUTH_ERROR for a key that is missing, unknown or expired, and where there are
   * no keys at all; RATE_LIMITED in its place at an address that has failed too often, where a good key still passes
   * @example
   * const principal = await keys.authorize(request.headers.get("Authorization"), { address });
   * principal.check("publish", channel);
   */
  async authorize(authorization: string | null | undefined, peer: KeyPeer): Promise<Principal> {
    if (this.#entries.length === 0) throw new MessagingError("AUTH_ERROR", CLOSED);
    const key = bearer(authorization);
    if (key === undefined) throw new MessagingError("AUTH_ERROR", MISSING);
    const now = this.#clock.steady?.() ?? this.#clock.now();
    if (peer.exposed === true) this.#warn(now);
    const entry = key.length > MAX_KEY_LENGTH ? undefined : await this.#find(key);
    const expired = entry?.expiresAt !== undefined && entry.expiresAt <= this.#clock.now();
    // However often others have failed at this address: no client may shut out others that share it.
    if (entry !== undefined && !expired) return new Principal(entry);
    const wait = this.#failures.wait(peer.address, now);
    if (wait > 0) throw rateLimited("too many keys from this address were wrong", wait);
    this.#failures.count(peer.address, now);
    // Only the bearer of the key hears it.
    throw new MessagingError(
      "AUTH_ERROR",
      expired ? "the key has expired" : "the key is not valid",
    );
  }

  /** Compares with every digest and every byte of it, even after a match. */
  async #find(key: string): Promise<KeyEntry | undefined> {
    const digest = await this.#sha256(key);
    let found: KeyEntry | undefined;
    for (const entry of this.#entries) {
      let difference = digest.length ^ entry.digest.length;
      for (let i = 0; i < digest.length; i++) {
        difference |= (digest[i] ?? 0) ^ (entry.digest[i] ?? 0);
      }
      if (difference === 0) found = entry;
    }
    return found;
  }

  #warn(now: number): void {
    if (now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    this.#logger.warn("an API key came over plain HTTP, where anybody on the way can read it");
  }
}

/** The key of a header; undefined where there is none. */
function bearer(authorization: string | null | undefined): string | undefined {
  const [, key] = /^Bearer +([^\s]+) *$/i.exec(authorization ?? "") ?? [];
  return key;
}
