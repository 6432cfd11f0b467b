/** What the object of a user keeps: the user's sessions on all gateways, and which of the user's tokens are revoked. */
import type { Revocation } from "../../engine/ports/revocations.ts";

export interface UserSessionRow {
  readonly sessionId: string;
  readonly gateway: string;
  /** When it connected, Unix milliseconds. */
  readonly since: number;
}

export interface UserRevocationRow extends Revocation {
  /** Gateways that had sessions of the user, and that have not confirmed yet that those of the token have ended. */
  readonly owed: readonly string[];
}

/** Every method is synchronous, and what one turn of the event loop writes becomes durable together. */
export interface UserStore {
  sessions(): Iterable<UserSessionRow>;
  save(row: UserSessionRow): void;
  drop(sessionId: string): void;
  revocations(): Iterable<UserRevocationRow>;
  /** In the place of the one with the same token. */
  saveRevocation(row: UserRevocationRow): void;
  dropRevocation(tokenId: string): void;
}
