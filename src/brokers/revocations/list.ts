/** What is revoked, in the memory of one process. */
import type { Identity } from "../../engine/ports/identity.ts";
import { type Revocation, revokes } from "../../engine/ports/revocations.ts";

export class RevocationList {
  /** By user, and then by token; the empty token stands for all. */
  readonly #users = new Map<string, Map<string, Revocation>>();
  #size = 0;
  /** Before this nothing is over, Unix milliseconds. */
  #firstEnd = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#size;
  }

  /** Returns false where nothing of it is new. */
  add({ userId, tokenId, time, until }: Revocation): boolean {
    let tokens = this.#users.get(userId);
    if (tokens === undefined) {
      tokens = new Map();
      this.#users.set(userId, tokens);
    }
    const known = tokens.get(tokenId);
    if (known === undefined) this.#size += 1;
    else if (known.time >= time && known.until >= until) return false;
    this.#firstEnd = Math.min(this.#firstEnd, until);
    tokens.set(tokenId, {
      userId,
      tokenId,
      time: Math.max(known?.time ?? 0, time),
      until: Math.max(known?.until ?? 0, until),
    });
    return true;
  }

  /** @param now Unix milliseconds */
  revoked(identity: Identity, now: number): boolean {
    const tokens = this.#users.get(identity.userId);
    if (tokens === undefined) return false;
    const all = [tokens.get(""), tokens.get(identity.tokenId ?? "")];
    return all.some((one) => one !== undefined && one.until > now && revokes(one, identity));
  }

  /** Forgets what need not be remembered any more, and says what that was. */
  dropOver(now: number): Revocation[] {
    if (now < this.#firstEnd) return [];
    const over: Revocation[] = [];
    this.#firstEnd = Number.POSITIVE_INFINITY;
    for (const one of this.all()) {
      if (one.until <= now) over.push(one);
      else this.#firstEnd = Math.min(this.#firstEnd, one.until);
    }
    for (const { userId, tokenId } of over) {
      const tokens = this.#users.get(userId);
      tokens?.delete(tokenId);
      if (tokens?.size === 0) this.#users.delete(userId);
    }
    this.#size -= over.length;
    return over;
  }

  *all(): Iterable<Revocation> {
    for (const tokens of this.#users.values()) yield* tokens.values();
  }
}
