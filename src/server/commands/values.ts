/** Values of options that several commands take. */
import { InvalidArgumentError } from "commander";

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
