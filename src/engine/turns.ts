/**
 * How reads, and requests for many channels, share the event loop. A read of history or presence is taken in steps of some milliseconds,
 * and so many steps run in one turn of the loop; the others wait, first come, first served, while the
 * loop does what else there is to do. As each session has one read at a time, all of them get on alike.
 */
import type { Clock } from "./ports/platform.ts";

/** Steps of one turn at most. It is the only bound where the clock stands still while code runs. */
const STEPS_A_TURN = 32;
/** How long the steps of one turn may take before the next waits, in milliseconds. */
const TURN_MS = 10;

/**
 * @example
 * const turns = new Turns(clock, nextTurn);
 * const page = await turns.run(() => broker.history(channel, filter)); // now, or in a later turn of the loop
 */
export class Turns {
  readonly #clock: Clock;
  readonly #nextTurn: (callback: () => void) => void;
  /** From `#first` on: those that wait. */
  #waiting: (() => void)[] = [];
  #first = 0;
  /** Steps that this turn has seen, and when the first of them began, Unix milliseconds. */
  #steps = 0;
  #began = 0;

  /** @param nextTurn calls back in the next turn of the event loop */
  constructor(clock: Clock, nextTurn: (callback: () => void) => void) {
    this.#clock = clock;
    this.#nextTurn = nextTurn;
  }

  /**
   * Runs a step, at once where this turn has room for it. What the step returns may be a promise: only
   * its synchronous part counts.
   *
   * @param weight for how many steps it counts
   * @returns what the step returns, or rejects with what it throws
   */
  run<T>(step: () => T | Promise<T>, weight = 1): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const take = (): void => {
        this.#steps += weight;
        try {
          resolve(step());
        } catch (error) {
          reject(error);
        }
      };
      if (this.#first === this.#waiting.length && this.#hasRoom()) this.#take(take);
      else this.#waiting.push(take);
    });
  }

  #take(step: () => void): void {
    if (this.#steps === 0) {
      this.#began = this.#clock.now();
      this.#nextTurn(() => this.#turn());
    }
    step();
  }

  #hasRoom(): boolean {
    if (this.#steps === 0) return true;
    // A clock that was set back says nothing; the number of steps is bounded all the same.
    return this.#steps < STEPS_A_TURN && this.#clock.now() - this.#began < TURN_MS;
  }

  #turn(): void {
    this.#steps = 0;
    while (this.#hasRoom()) {
      const step = this.#waiting[this.#first];
      if (step === undefined) break;
      this.#first += 1;
      this.#take(step);
    }
    if (this.#first < this.#waiting.length) {
      // Cutting once in a while keeps a step O(1) without a linked list.
      if (this.#first < 1_024 || this.#first * 2 < this.#waiting.length) return;
      this.#waiting = this.#waiting.slice(this.#first);
    } else this.#waiting = [];
    this.#first = 0;
  }
}
