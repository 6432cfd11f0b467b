/** What a program, or a call of the server API, wants to have revoked. */
import { MessagingError } from "../../protocol/errors.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import { MAX_REVOCATION_MS, MAX_TOKEN_ID_BYTES, MAX_USER_ID_BYTES } from "../../protocol/limits.ts";
import type { Revocation } from "../ports/revocations.ts";

export interface RevokeOptions {
  /** The one token that is revoked. Default: all of the user that were issued up to now. */
  readonly tokenId?: string;
  /** When the tokens have expired by themselves, Unix milliseconds, at most 90 days ahead. Default: 90 days. */
  readonly until?: number;
}

/**
 * @param tokenId undefined for all tokens of the user
 * @throws MessagingError BAD_REQUEST
 */
export function checkedRevocation(
  userId: string,
  tokenId: string | undefined,
  now: number,
  until: number,
): Revocation {
  checkName(userId, "user", MAX_USER_ID_BYTES);
  if (tokenId !== undefined) checkName(tokenId, "token id", MAX_TOKEN_ID_BYTES);
  if (!Number.isSafeInteger(until) || until <= now || until > now + MAX_REVOCATION_MS) {
    const most = MAX_REVOCATION_MS / (24 * 3_600_000);
    throw refused(`until must be a time in Unix milliseconds, at most ${most} days ahead`);
  }
  return { userId, tokenId: tokenId ?? "", time: now, until };
}

/** A client that has not authenticated has no user and no token. */
function checkName(value: unknown, what: string, maxBytes: number): void {
  if (typeof value !== "string" || value === "") throw refused(`the ${what} is empty`);
  if (!value.isWellFormed()) throw refused(`the ${what} is not valid Unicode`);
  if (utf8Length(value) > maxBytes) throw refused(`the ${what} is longer than ${maxBytes} bytes`);
}

function refused(text: string): MessagingError {
  return new MessagingError("BAD_REQUEST", text);
}
