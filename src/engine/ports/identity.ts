/** A client's identity: what authentication finds out of it, and what its session carries from then on. */
import type { Grant } from "./access.ts";

/**
 * A client's identity, as authentication has found out. All but the user may be left out.
 *
 * @example
 * const identity: Identity = {
 *   userId: "ada",
 *   expiresAt: Date.now() + 3_600_000,
 *   channels: ["user.ada"],
 *   grants: [{ pattern: "chat.**", actions: ["subscribe", "publish"] }],
 * };
 */
export interface Identity {
  /** At most 255 bytes of UTF-8; empty for an anonymous client. */
  readonly userId: string;
  /** Id of the token, by which it can be revoked; at most 255 bytes. */
  readonly tokenId?: string;
  /**
   * When the token was issued, Unix milliseconds; 0 where the token does not say, so that it counts as older than any
   * revocation. Left out, it is when the authenticator was asked.
   */
  readonly issuedAt?: number;
  /** When it ends, Unix milliseconds. */
  readonly expiresAt?: number;
  /** Whether authentication vouches for the client id that the client gave. */
  readonly clientVouched?: boolean;
  /** Channels and patterns that the session has from its connect on, at most 100. */
  readonly channels?: readonly string[];
  /** What the token lets its bearer do, at most 100; undefined where it says nothing, then rules alone decide. */
  readonly grants?: readonly Grant[];
}

/**
 * Of a client that was not authenticated. An authenticator that allows an anonymous client answers with this very object, and
 * with no other without a user.
 */
export const NOBODY: Identity = { userId: "" };
