/** What is revoked in a single process. When it ends all of that is forgotten. */
import type { Identity } from "../../engine/ports/identity.ts";
import type { EndRevoked, Revocation, Revocations } from "../../engine/ports/revocations.ts";
import { rateLimited } from "../../protocol/errors.ts";
import { MAX_REVOCATIONS } from "../../protocol/limits.ts";
import { RevocationList } from "../revocations/list.ts";

/** How long a caller should wait that has revoked too much, in milliseconds. */
const FULL_RETRY_MS = 60_000;

export class MemoryRevocations implements Revocations {
  readonly durable = false;
  readonly #now: () => number;
  readonly #list = new RevocationList();
  #end: EndRevoked | undefined;

  /** @param now Unix milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  start(end: EndRevoked): void {
    this.#end = end;
  }

  async revoke(revocation: Revocation): Promise<void> {
    if (this.#list.size >= MAX_REVOCATIONS) this.sweep();
    if (this.#list.size >= MAX_REVOCATIONS) {
      throw rateLimited("too much is revoked already", FULL_RETRY_MS);
    }
    this.#list.add(revocation);
    this.#end?.([revocation]);
  }

  revoked(identity: Identity): boolean {
    return this.#list.revoked(identity, this.#now());
  }

  /** Forgets what has expired by itself. */
  sweep(): void {
    this.#list.dropOver(this.#now());
  }
}
