import { MessagingError } from "../../protocol/errors.ts";
import { SURVEYS_RETRY_MS } from "../../protocol/limits.ts";

/**
 * A survey more than there may be.
 *
 * @param retryAfterMs how long whoever asks should wait, in milliseconds
 */
export function tooMany(message: string, retryAfterMs = SURVEYS_RETRY_MS): MessagingError {
  return new MessagingError("RATE_LIMITED", message, {
    metadata: { retry_after_ms: retryAfterMs },
  });
}
