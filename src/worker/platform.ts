/** Time, chance and logs as Workers give them. */
import type { Clock, Logger, Random, Timers } from "../engine/ports.ts";

export const clock: Clock = { now: () => Date.now() };

export const random: Random = { uuid: () => crypto.randomUUID() };

export const timers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Twelve random letters and digits, about 71 bits: short enough to stand in every message id. */
export function shortId(): string {
  let id = "";
  while (id.length < 12) {
    // 248 is the largest multiple of 62 in a byte: higher values would favour some letters.
    for (const byte of crypto.getRandomValues(new Uint8Array(16))) {
      if (byte < 248 && id.length < 12) id += ALPHABET[byte % 62];
    }
  }
  return id;
}

/** Structured warnings on the console, which Workers logs collect. */
export const consoleLogger: Logger = {
  warn(message, fields = {}) {
    console.warn(JSON.stringify({ level: "warn", message, ...fields }));
  },
};
