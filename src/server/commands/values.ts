/** Values of options that several commands take. */
import { InvalidArgumentError } from "commander";
import { parseDuration } from "../../engine/settings/duration.ts";

/** A place in a channel's log. */
export interface Place {
  readonly epoch: string;
  readonly offset: bigint;
}

/** The largest whole number that the protocol has room for everywhere. */
const MOST = 2 ** 32 - 1;

/** @throws InvalidArgumentError for anything but a whole number from 1 to 4,294,967,295 */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= MOST) return number;
  throw new InvalidArgumentError("It must be a whole number of at least 1.");
}

/** An event's id names its place. */
export function eventId(text: string): Place {
  const [, epoch = "", offset = ""] = /^([^=]+)-(\d{1,19})$/.exec(text) ?? [];
  if (epoch !== "") return { epoch, offset: BigInt(offset) };
  throw new InvalidArgumentError("It must be an event's id, such as 3kTzQ0aVbN7x-41.");
}

/** Values of an option that may be given several times. */
export function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/**
 * Reads an option that is a duration.
 *
 * @param kind which ones there are, for the error: "of at least 1s, such as 10m"
 * @returns milliseconds, or throws InvalidArgumentError
 * @example
 * duration(500, 3_600_000, "from 500ms to 1h, such as 2s")("5s"); // 5000
 */
export function duration(leastMs: number, mostMs: number, kind: string): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= leastMs && ms <= mostMs) return ms;
    throw new InvalidArgumentError(`It must be a duration ${kind}.`);
  };
}
