/** Tokens that are good for nothing any more before they expire. */
import type { Identity } from "./identity.ts";

/** One token of a user that is revoked, or all that the user had until then. */
export interface Revocation {
  readonly userId: string;
  /** Id of the token; empty for all tokens of the user that were issued up to `time`. */
  readonly tokenId: string;
  /** When it was made, Unix milliseconds. */
  readonly time: number;
  /** Until when it is remembered, Unix milliseconds: by then the tokens have expired by themselves. */
  readonly until: number;
}

/**
 * Ends the sessions of this node whose tokens are revoked.
 *
 * @param entering sessions that wait for their own answer on whether they may enter, so that its refusal states the reason
 */
export type EndRevoked = (
  revocations: readonly Revocation[],
  entering?: ReadonlySet<string>,
) => void;

/**
 * What is revoked, as all nodes know it. Failures are MessagingErrors: UNAVAILABLE where it is not known whether the
 * call took effect.
 */
export interface Revocations {
  /** Whether what is revoked is still known when every process of the deployment has been killed. */
  readonly durable: boolean;
  /**
   * Resolves when it is remembered. Each node that can be reached ends the sessions that it is about within 10 s,
   * by what `start` was given.
   *
   * @throws MessagingError RATE_LIMITED where too much is remembered already
   */
  revoke(revocation: Revocation): Promise<void>;
  /**
   * Gives what ends the sessions of this node. It MAY be called with what was revoked long ago, and more than once
   * with the same.
   */
  start(end: EndRevoked): void;
  /** Whether a token is revoked, as far as this node knows now. */
  revoked(identity: Identity): boolean;
  /**
   * The same, asked where it is remembered. Default: a node knows all of it.
   *
   * @throws MessagingError UNAVAILABLE where nobody answers
   */
  lookUp?(identity: Identity): Promise<boolean>;
}

/**
 * Whether a token is revoked, for a door that begins no session with it.
 *
 * @throws MessagingError UNAVAILABLE where that cannot be known now
 */
export async function isRevoked(
  revocations: Revocations | undefined,
  identity: Identity,
): Promise<boolean> {
  if (revocations === undefined || identity.userId === "") return false;
  return revocations.revoked(identity) || ((await revocations.lookUp?.(identity)) ?? false);
}

/** Whether it is this identity's token that is revoked. One without a time of issue is an old one. */
export function revokes({ userId, tokenId, time }: Revocation, identity: Identity): boolean {
  if (userId !== identity.userId) return false;
  return tokenId === "" ? (identity.issuedAt ?? 0) <= time : tokenId === identity.tokenId;
}
