/** Time, chance and turns of the event loop as Node gives them. */
import { randomBytes, randomUUID } from "node:crypto";
import { shortId as shortIdFrom } from "../channels/short-id.ts";
import type { Clock, Random, Timers } from "../engine/ports/platform.ts";

export const clock: Clock = { now: () => Date.now() };

export const random: Random = { uuid: () => randomUUID() };

export const timers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Timers that do not keep a process running that has nothing else to do. */
export const idleTimers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** A short random name, unguessable. */
export function shortId(): string {
  return shortIdFrom(randomBytes);
}

/** Calls back in the next turn of the event loop, after what has come in by then. */
export function nextTurn(callback: () => void): void {
  setImmediate(callback);
}
