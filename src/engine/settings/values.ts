/** Kinds of values that settings have: each takes what an operator writes and says what it must be. */
import * as v from "valibot";
import { formatDuration, parseDuration } from "./duration.ts";

const NOT_A_DURATION = 'must be a duration such as "30s"';
const NOT_A_SWITCH = "must be true or false";
/** Timers count in 31 bits; one that is set for longer than they hold fires at once. */
const LONGEST_MS = 24 * 86_400_000;

/** A duration as text; its output is whole milliseconds. */
export const durations = v.pipe(
  v.string(NOT_A_DURATION),
  v.transform(parseDuration),
  v.number(NOT_A_DURATION),
  v.maxValue(LONGEST_MS, "must be at most 576h"),
);

/** Durations of at least so many milliseconds. */
export function durationsFrom(minMs: number) {
  return v.pipe(durations, v.minValue(minMs, `must be at least ${formatDuration(minMs)}`));
}

/** A setting that nothing stands in for while it is left out. */
export function unset<const Schema extends v.GenericSchema>(schema: Schema) {
  return v.optional(v.pipe(schema, v.description("none")));
}

/**
 * A key that may be left out, with its default in words: whether it was written has to be known, or the default
 * depends on something else.
 */
export function key<const Schema extends v.GenericSchema>(schema: Schema, standard: unknown) {
  return v.optional(v.pipe(schema, v.description(`${standard}`)));
}

/** A text about which nothing is wrong. @param problemOf says what is, else undefined */
export function textsWithout(problemOf: (text: string) => string | undefined, message: string) {
  return v.pipe(
    v.string(message),
    v.check(
      (text) => problemOf(text) === undefined,
      ({ input }) => problemOf(input) ?? "",
    ),
  );
}

/** One of some names. */
export function oneOf<const Names extends readonly string[]>(names: Names) {
  return v.picklist(names, `must be one of ${names.join(", ")}`);
}

/** A list of some of them. @param least how many it has at least */
export function someOf<const Names extends readonly string[]>(names: Names, least = 0) {
  const message = `must be a list of names out of ${names.join(", ")}`;
  return v.pipe(v.array(oneOf(names), message), v.minLength(least, message));
}

export const switches = v.boolean(NOT_A_SWITCH);

export type LogLevel = (typeof LOG_LEVELS)[number];

/** What may be logged, the least severe first. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

export const logLevels = oneOf(LOG_LEVELS);

/** Whole numbers in a range, both ends included. */
export function wholeNumbers(min: number, max?: number) {
  const message =
    max === undefined
      ? `must be a whole number of at least ${min}`
      : `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(message),
    v.safeInteger(message),
    v.minValue(min, message),
    v.maxValue(max ?? Number.MAX_SAFE_INTEGER, message),
  );
}
