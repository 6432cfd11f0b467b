/** Deadlines, turns of the event loop, and what is tried again. */
import { unavailable } from "../../protocol/errors.ts";
import type { Timers } from "./platform.ts";

/**
 * The turn after this one. Frames of a socket are an event each: work collected until the next turn
 * is a batch, work done at once is not.
 */
export function nextTurn(timers: Timers): Promise<void> {
  return delay(timers, 0);
}

/** Resolves after so many milliseconds. */
export function delay(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => timers.after(ms, resolve));
}

/**
 * The promise's outcome, or an error after `ms` milliseconds. The late outcome is ignored.
 *
 * @param late makes the error. Default: UNAVAILABLE
 */
export function withDeadline<T>(
  timers: Timers,
  promise: Promise<T>,
  ms: number,
  late: () => Error = () => unavailable("no answer in time"),
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = timers.after(ms, () => reject(late()));
    promise.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}

/** Pauses between tries, in milliseconds. Each is twice as long as the one before it, up to the longest. */
export interface Pauses {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** The pause after so many failures in a row, in milliseconds. */
export function pauseAfter(failures: number, { firstMs, longestMs }: Pauses): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs);
}

/** How long something is tried. */
export interface Tries {
  readonly timers: Timers;
  /** After this long it is over, in milliseconds. Timers count that time: a step of the clock changes nothing. */
  readonly timeoutMs: number;
  /** The failure that it ends with then. */
  late(): Error;
  /**
   * Takes a failure and how many there have been. Returns how long to wait before the next try, in milliseconds, or
   * throws what is to be thrown instead of another one.
   */
  failed(error: unknown, failures: number): number;
  /** It is not tried any more, whatever became of it. */
  ended?(): void;
}

/**
 * Calls until it succeeds, a failure is final or the time is over.
 *
 * @throws what `failed` throws, or what is `late`
 * @example
 * await repeated(() => store.write(row), {
 *   timers,
 *   timeoutMs: 5_000,
 *   late: () => unavailable("the store does not answer in time"),
 *   failed: (error, failures) => pauseAfter(failures, { firstMs: 20, longestMs: 1_000 }),
 * });
 */
export async function repeated<T>(
  call: () => Promise<T>,
  { timers, timeoutMs, late, failed, ended }: Tries,
): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  // The race that it ends may be over by then.
  over.catch(() => {});
  const cancel = timers.after(timeoutMs, () => reject(late()));
  try {
    for (let failures = 1; ; failures++) {
      let pause: number;
      try {
        return await Promise.race([call(), over]);
      } catch (error) {
        pause = failed(error, failures);
      }
      await Promise.race([delay(timers, pause), over]);
    }
  } finally {
    cancel();
    ended?.();
  }
}
