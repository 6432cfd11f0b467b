/** What objects need of the machine, on whatever runs the test. Nothing is logged. */
import type { Clock, Timers } from "../../src/engine/ports/platform.ts";
import type { ObjectPlatform } from "../../src/objects/ports/platform.ts";

// Both are looked up at each call, so that a test may put other ones in their place.
const clock: Clock = { now: () => Date.now() };

const timers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

export const platform: ObjectPlatform = { clock, timers, logger: { warn: () => {} } };

export function nextTurn(): Promise<void> {
  return delay(0);
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
