/** The ports of real runtimes. */
import type { Clock, Surroundings } from "./ports.ts";

/** Beyond it a timer of a browser or of Node runs at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

/** The page or the worker, where there is one. */
export const page: Surroundings = {
  watch(wake, sleep) {
    const listeners = { online: wake, pageshow: wake, pagehide: sleep };
    const here = Object.entries(listeners).filter(([type]) => `on${type}` in globalThis);
    for (const [type, listener] of here) addEventListener(type, listener);
    return () => {
      for (const [type, listener] of here) removeEventListener(type, listener);
    };
  },
};
