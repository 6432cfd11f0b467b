/** Calls to an object that may be reset at any moment. */
import { pauseAfter, repeated } from "../../engine/ports/timers.ts";
import { ERRORS } from "../../protocol/codes.ts";
import { MessagingError, unavailable } from "../../protocol/errors.ts";
import { CHANNEL_TIMEOUT_MS } from "../../protocol/limits.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { Trouble } from "../trouble.ts";

/** Between two tries. */
const PAUSES = { firstMs: 20, longestMs: Number.POSITIVE_INFINITY };

export interface Retrying {
  /** The object that is called. */
  readonly what: string;
  /** After this long a failure is final, in milliseconds. */
  readonly timeoutMs: number;
  /** How long all calls together may take, in milliseconds. Default: `timeoutMs`. */
  readonly callMs?: number;
  /** Receives every failure and every success. */
  readonly trouble: Trouble;
  readonly platform: ObjectPlatform;
}

/** Terms for a call to a channel. */
export function toChannel(platform: ObjectPlatform, trouble: Trouble): Retrying {
  return { what: "the channel", timeoutMs: CHANNEL_TIMEOUT_MS, trouble, platform };
}

/** Terms for a call to a pattern index. */
export function toIndex(
  platform: ObjectPlatform,
  trouble: Trouble,
  timeoutMs = CHANNEL_TIMEOUT_MS,
): Retrying {
  return { what: "the pattern index", timeoutMs, trouble, platform };
}

/** Terms for a call to a user's object or to the counters of a region. */
export function toDirectory(platform: ObjectPlatform, trouble: Trouble): Retrying {
  return { what: "the directory", timeoutMs: CHANNEL_TIMEOUT_MS, trouble, platform };
}

/**
 * Calls until it succeeds, another try would not help, or the time is over.
 *
 * @throws MessagingError UNAVAILABLE where the object does not answer in time or is overloaded; what the
 * object states; and as it is what is wrong on this side, such as a request without an encoding
 */
export async function retrying<T>(
  call: () => Promise<T>,
  { what, timeoutMs, callMs, trouble, platform }: Retrying,
): Promise<T> {
  const { clock, timers } = platform;
  const end = clock.now() + timeoutMs;
  const answer = await repeated(call, {
    timers,
    timeoutMs: callMs ?? timeoutMs,
    late: () => unavailable("no answer in time"),
    failed: (error, failures) => {
      trouble.failed(error);
      const stated = statedBy(error);
      if (stated !== undefined) throw stated;
      if (isMistake(error)) throw error;
      const pause = pauseAfter(failures, PAUSES);
      // An overloaded object only gets worse when asked again.
      if (flagged(error, "overloaded") || clock.now() + pause >= end) {
        throw unavailable(`${what} does not answer`, error);
      }
      return pause * (0.5 + Math.random());
    },
  });
  trouble.worked();
  return answer;
}

/**
 * What the called object has stated: an error of its own with a code of the table. It arrives as another
 * class, with its fields.
 */
function statedBy(error: unknown): MessagingError | undefined {
  if (!(error instanceof Error) || !flagged(error, "remote")) return undefined;
  const code = "code" in error ? error.code : undefined;
  if (typeof code !== "string" || !(code in ERRORS)) return undefined;
  return new MessagingError(code, error.message, { cause: error });
}

/**
 * Whether the error was made on this side and not by the call: a deadline is worth another try, a mistake
 * in the program or an answer that cannot be read is not.
 */
export function isMistake(error: unknown): boolean {
  if (error instanceof MessagingError) return !error.retry;
  const remote = ["remote", "retryable", "durableObjectReset"].some((flag) => flagged(error, flag));
  return !remote && MISTAKES.some((mistake) => error instanceof mistake);
}

const MISTAKES = [TypeError, RangeError, SyntaxError, ReferenceError];

function flagged(error: unknown, flag: string): boolean {
  return error instanceof Error && (error as Error & Record<string, unknown>)[flag] === true;
}
