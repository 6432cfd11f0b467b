/** Time, chance and logs as Workers give them. */
import { shortId as shortIdFrom } from "../channels/short-id.ts";
import { boundedLogger } from "../engine/bounded-logger.ts";
import type { Clock, Logger, Random, Timers } from "../engine/ports/platform.ts";
import type { LogLevel } from "../engine/settings/settings.ts";
import type { ObjectPlatform } from "../objects/ports/platform.ts";

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

/** Text of 144 random bits. */
export function secret(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

/** Structured lines on the console, which Workers logs collect. All of one isolate share the bounds. */
const { warn, info, audit, debug } = boundedLogger(
  {
    warn: writing("warn"),
    info: writing("info"),
    audit: writing("info"),
    debug: writing("debug"),
  },
  clock,
);
export const consoleLogger: Logger = { warn, info };

/** What objects need, with everything that is logged. */
export const platform: ObjectPlatform = { clock, timers, logger: consoleLogger };

/** The same with what a level wants. */
export function consoleLoggerAt(level: LogLevel): Logger {
  return {
    warn: level === "error" ? () => {} : warn,
    ...(level === "info" || level === "debug" ? { info, audit } : {}),
    ...(level === "debug" ? { debug } : {}),
  };
}

function writing(level: "debug" | "info" | "warn"): Logger["warn"] {
  return (message, fields = {}) => {
    console[level](JSON.stringify({ level, message, ...fields }));
  };
}
