/** Deadlines and turns of the event loop. */
import { unavailable } from "../../protocol/errors.ts";
import type { Timers } from "./platform.ts";

/**
 * The turn after this one. Frames of a socket are an event each: work collected until the next turn
 * is a batch, work done at once is not.
 */
export function nextTurn(timers: Timers): Promise<void> {
  return delay(timers, 0);
}

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
