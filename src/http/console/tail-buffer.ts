/** What of a live tail is kept to be shown. */
import type { Gap } from "../../client/core/message.ts";
import type { ShownMessage } from "./shown-message.ts";

/** Messages that are kept to be shown; older ones are left out, and counted. */
export const MOST_TAILED = 200;
/** Gaps that are kept to be shown. */
const MOST_GAPS = 50;
/** How far a rate looks back, in milliseconds. */
const RATE_MS = 5_000;

export interface Tailed {
  /** The newest first. */
  readonly messages: readonly ShownMessage[];
  readonly gaps: readonly GapAt[];
  /** How many have come, those that are left out included. */
  readonly came: number;
  readonly leftOut: number;
  /** Messages in a second. */
  readonly rate: number;
}

export interface GapAt extends Gap {
  /** When it was heard of, Unix milliseconds. */
  readonly at: number;
}

/** What has come of a tail. */
export class TailBuffer {
  #messages: ShownMessage[] = [];
  #gaps: GapAt[] = [];
  #came = 0;
  /** How many had come, by the time. */
  #marks: { at: number; came: number }[] = [];

  add(message: ShownMessage): void {
    this.#came += 1;
    this.#messages.push(message);
    // Not at each of them: to move an array costs as much as it is long.
    if (this.#messages.length >= 2 * MOST_TAILED)
      this.#messages = this.#messages.slice(-MOST_TAILED);
  }

  gap(gap: Gap, at: number): void {
    this.#gaps = [{ ...gap, at }, ...this.#gaps].slice(0, MOST_GAPS);
  }

  clear(): void {
    this.#messages = [];
    this.#gaps = [];
    this.#came = 0;
    this.#marks = [];
  }

  /** @param now a time that only goes forward, in milliseconds */
  look(now: number): Tailed {
    this.#marks.push({ at: now, came: this.#came });
    while (this.#marks.length > 2 && (this.#marks[1]?.at ?? now) <= now - RATE_MS)
      this.#marks.shift();
    const [first] = this.#marks;
    const seconds = (now - (first?.at ?? now)) / 1_000;
    const messages = this.#messages.slice(-MOST_TAILED).reverse();
    return {
      messages,
      gaps: this.#gaps,
      came: this.#came,
      leftOut: this.#came - messages.length,
      rate: seconds === 0 ? 0 : (this.#came - (first?.came ?? 0)) / seconds,
    };
  }
}
