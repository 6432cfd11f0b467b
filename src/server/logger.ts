/**
 * The server's log: one JSON line per record. It is for what an operator should know, never for single
 * messages, and what must stay secret does not reach it even when it is passed by mistake.
 */
import { pino, stdTimeFunctions } from "pino";
import type { Logger } from "../engine/ports/platform.ts";
import type { LogLevel } from "./config/config.ts";
import { standardOutput } from "./log-output.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A logger that leaves out the levels that are not written, but for the two gravest. */
export interface ServerLogger extends Logger {
  /** Something that must not happen, such as an exception that was not caught. */
  error(message: string, fields?: Fields): void;
}

/** Where the lines go, each with its newline. */
export interface LogStream {
  write(line: string): unknown;
}

/** Stands for what the log must not hold. */
const REDACTED = "[redacted]";
/** Levels of nesting that are written; what lies deeper is left out, and so a cycle ends. */
const MAX_DEPTH = 4;
/** Keys of the record itself, which no field may replace. */
const RECORD_KEYS: ReadonlySet<string> = new Set(["level", "time", "message"]);
/** The word inside a longer key counts as well: access_token, redisPassword. */
const SECRET = /token|password|authorization|payload|secret|cookie|^data$|[_-]data$/i;

/**
 * A logger that writes to standard output by default.
 *
 * @param level the least severe that is written
 * @param stream must not throw; by default a log that cannot be written loses lines, and nothing else
 *
 * @example
 * const logger = createLogger("info");
 * logger.warn("backend slow", { backend: "shop", ms: 840 });
 */
export function createLogger(level: LogLevel, stream: LogStream = standardOutput()): ServerLogger {
  const options = {
    level,
    base: null,
    messageKey: "message",
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log = pino(options, stream as { write(line: string): void });
  const at =
    (name: LogLevel) =>
    (message: string, fields: Fields = {}): void => {
      // First what happened, as a person reads it.
      if (log.isLevelEnabled(name)) log[name]({ message, ...record(fields) });
    };
  return {
    warn: at("warn"),
    error: at("error"),
    ...(log.isLevelEnabled("info") ? { info: at("info"), audit: at("info") } : {}),
    ...(log.isLevelEnabled("debug") ? { debug: at("debug") } : {}),
  };
}

function record(fields: Fields): Record<string, unknown> {
  try {
    const entries = Object.entries(entriesOf(fields, MAX_DEPTH));
    return Object.fromEntries(
      entries.map(([key, value]) => [RECORD_KEYS.has(key) ? `${key}_` : key, value]),
    );
  } catch {
    // A value may throw when it is looked at, and the log is where errors end.
    return { unreadable: true };
  }
}

/**
 * A copy without secrets. The library's own redaction knows fixed paths only, and a secret may lie at
 * any depth.
 */
function entriesOf(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isSecret(key) ? REDACTED : harmless(inner, depth - 1),
    ]),
  );
}

function harmless(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return `${value}`;
  // One called toJSON would be called.
  if (typeof value === "function") return undefined;
  if (typeof value !== "object" || value === null) return value;
  // An error's own fields may hold anything; its text is what a person needs.
  if (value instanceof Error) return value.stack ?? String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  // Bytes are a payload, under any key.
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return REDACTED;
  if (depth <= 0) return "[deep]";
  if (Array.isArray(value)) return value.map((inner) => harmless(inner, depth - 1));
  return entriesOf(value, depth);
}

function isSecret(key: string): boolean {
  return SECRET.test(key) || key.endsWith("Data");
}
