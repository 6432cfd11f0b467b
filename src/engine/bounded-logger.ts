/**
 * A log that no flood fills. What clients can bring about as often as they like, such as a token that is refused or a
 * backend that cannot be asked, is written so many times at once and then once in a while. The next line of its kind
 * says how many were left out.
 */
import { made } from "../channels/maps.ts";
import type { Clock, LogFields, Logger } from "./ports/platform.ts";

/** Lines of one kind that are written at once. */
export const LINES_AT_ONCE = 20;
/** How long it takes until there may be one more, in milliseconds. */
export const LINE_EVERY_MS = 3_000;
/** Kinds that differ by more than their messages. */
const MAX_KINDS = 1_000;
/** Fields by which kinds of one message differ: their values are names of ours, or of the configuration. */
const KIND_FIELDS = ["check", "backend", "calls", "reason", "what", "method"] as const;

interface Kind {
  /** When there may be as many lines as at first, by the steady clock in milliseconds. */
  whole: number;
  leftOut: number;
}

/**
 * Like the logger, with a bound on warnings and infos of each kind. Lines of level debug are written as they come, since
 * an operator that wants those wants them all; and so is what the bearers of keys have changed.
 */
export function boundedLogger(logger: Required<Logger>, clock: Clock): Required<Logger>;
export function boundedLogger(logger: Logger, clock: Clock): Logger;
export function boundedLogger(logger: Logger, clock: Clock): Logger {
  const kinds = new Map<string, Kind>();
  const bounded =
    (level: "warn" | "info") =>
    (message: string, fields?: LogFields): void => {
      const kind = kindOf(kinds, message, fields);
      const now = clock.steady?.() ?? clock.now();
      const whole = Math.max(kind.whole, now) + LINE_EVERY_MS;
      if (whole - now > LINES_AT_ONCE * LINE_EVERY_MS) {
        kind.leftOut += 1;
        return;
      }
      const { leftOut } = kind;
      kind.whole = whole;
      kind.leftOut = 0;
      logger[level]?.(message, leftOut === 0 ? fields : { ...fields, left_out: leftOut });
    };
  const { audit, debug } = logger;
  return {
    warn: bounded("warn"),
    ...(logger.info === undefined ? {} : { info: bounded("info") }),
    ...(audit === undefined ? {} : { audit: audit.bind(logger) }),
    ...(debug === undefined ? {} : { debug: debug.bind(logger) }),
  };
}

function kindOf(kinds: Map<string, Kind>, message: string, fields: LogFields = {}): Kind {
  const names = KIND_FIELDS.map((name) => (name in fields ? String(fields[name]) : ""));
  const full = [message, ...names].join("\n");
  const name = kinds.has(full) || kinds.size < MAX_KINDS ? full : message;
  return made(kinds, name, () => ({ whole: 0, leftOut: 0 }));
}
