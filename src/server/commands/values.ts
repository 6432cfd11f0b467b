/** Values of options that several commands take. */
import { InvalidArgumentError } from "commander";

/** A place in a channel's log. */
export interface Place {
  readonly epoch: string;
  readonly offset: bigint;
}

/** The largest whole number that the protocol has room for everywhere. */
const MOST = 2 ** 32 - 1;

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
