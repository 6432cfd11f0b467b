/**
 * Names for lives of logs that may begin with a call. Nearly no call begins one, and random names are
 * dear: a name that was not used is offered again, to one call at a time.
 */

/** Names that are kept. */
const MAX_KEPT = 256;

export class EpochPool {
  readonly #random: { epoch(): string };
  readonly #kept: string[] = [];

  constructor(random: { epoch(): string }) {
    this.#random = random;
  }

  take(): string {
    return this.#kept.pop() ?? this.#random.epoch();
  }

  /** The answer shows that the name stands for nothing. Of a call without an answer nobody can know. */
  giveBack(name: string): void {
    if (this.#kept.length < MAX_KEPT) this.#kept.push(name);
  }
}
