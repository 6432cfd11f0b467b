/** Deadlines and turns of the event loop. */
import { MessagingError } from "../protocol/errors.ts";

/**
 * The turn after this one. Frames of a socket are an event each: work collected until the next turn
 * is a batch, work done at once is not.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * The promise's outcome, or UNAVAILABLE after `ms` milliseconds. The late outcome is ignored.
 */
export async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(unavailable("no answer in time")), ms);
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** The outcome is unknown; the same request may be sent again. */
export function unavailable(message: string, cause?: unknown): MessagingError {
  return new MessagingError("UNAVAILABLE", message, cause === undefined ? {} : { cause });
}
