/** What a token is checked for, and the refusal that names the check: for the log, and for no client. */

/** In the order in which they are made. */
export type Check =
  /** There is no token, and one is required. */
  | "missing"
  /** Longer than may be. */
  | "size"
  /** No JWT in its compact form, or with parts that are none. */
  | "form"
  /** A header `crit` that names what is not known here. */
  | "crit"
  /** Signed by an algorithm that is not configured, or by none. */
  | "algorithm"
  /** No key of ours is the one that it names. */
  | "key"
  | "signature"
  | "issuer"
  | "audience"
  | "expiry"
  | "not-before"
  /** Issued in a time that is yet to come, or no one knows when where that must be known. */
  | "issued-at"
  /** No user, or one that cannot be one. */
  | "subject"
  /** An id that is none. */
  | "id"
  /** Made for another client id than the one that shows it. */
  | "client"
  | "channels"
  | "grants"
  /** The backend, which may only narrow what a token says, has named another user. */
  | "backend";

/** A token that is not good. Nothing of the token stands in it. */
export class TokenRefusal extends Error {
  override readonly name = "TokenRefusal";
  readonly check: Check;

  constructor(check: Check) {
    super(`the token fails the check ${check}`);
    this.check = check;
  }
}
