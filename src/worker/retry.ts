/** Calls to an object that may be reset at any moment. */
import { CHANNEL_TIMEOUT_MS } from "../protocol/limits.ts";
import { delay, unavailable } from "./timers.ts";

/** First pause between two tries, in milliseconds; it doubles. */
const FIRST_PAUSE_MS = 20;

export interface Retrying {
  /** Who is called. */
  readonly what: string;
  /** After this long a failure is final, in milliseconds. */
  readonly timeoutMs: number;
}

const A_CHANNEL: Retrying = { what: "the channel", timeoutMs: CHANNEL_TIMEOUT_MS };

/**
 * Calls until it succeeds, the failure says not to, or the time is over. The call gets the
 * milliseconds that are left.
 *
 * @throws MessagingError UNAVAILABLE
 */
export async function retrying<T>(
  call: (ms: number) => Promise<T>,
  { what, timeoutMs } = A_CHANNEL,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    try {
      return await call(end - Date.now());
    } catch (error) {
      // An overloaded object only gets worse when asked again.
      const overloaded =
        error instanceof Error && "overloaded" in error && error.overloaded === true;
      if (overloaded || Date.now() + pause >= end) {
        throw unavailable(`${what} does not answer`, error);
      }
    }
    await delay(pause * (0.5 + Math.random()));
    pause *= 2;
  }
}
