/** Time, chance and logs as Workers give them. */
import { shortId as shortIdFrom } from "../channels/short-id.ts";
import type { Clock, Logger, Random, Timers } from "../engine/ports.ts";

export const clock: Clock = { now: () => Date.now() };

export const random: Random = { uuid: () => crypto.randomUUID() };

export const timers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** A short random name, unguessable. */
export function shortId(): string {
  return shortIdFrom((length) => crypto.getRandomValues(new Uint8Array(length)));
}

/** Structured lines on the console, which Workers logs collect. */
export const consoleLogger: Logger = {
  warn(message, fields = {}) {
    console.warn(JSON.stringify({ level: "warn", message, ...fields }));
  },
  info(message, fields = {}) {
    console.info(JSON.stringify({ level: "info", message, ...fields }));
  },
};
