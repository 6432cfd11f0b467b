/** Time that passes faster, or slower, for a client than for the server. */
import type { Clock } from "../../src/client/core/ports.ts";

/** Beyond it a timer of Node runs at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @param pace how many milliseconds of the client pass in one of the machine */
export function pacedClock(pace: number, random: () => number = Math.random): Clock {
  return {
    now: () => Date.now(),
    elapsed: () => performance.now() * pace,
    after(ms, run) {
      const timer = setTimeout(run, Math.min(ms / pace, LONGEST_TIMER_MS));
      return () => clearTimeout(timer);
    },
    random,
  };
}
