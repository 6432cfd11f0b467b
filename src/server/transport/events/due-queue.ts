/** Many things that are due the same time after they were added, by one timer. */

/** Things that are done in one turn of the event loop. */
const AT_ONCE = 1_000;

/**
 * @example
 * const heartbeats = new DueQueue<EventTransport>(15_000, (transport) => transport.beat());
 * heartbeats.add(transport); // beats in 15 s, unless it is deleted
 */
export class DueQueue<T> {
  readonly #ms: number;
  readonly #due: (thing: T) => void;
  /** When each is due, by the clock of performance; those first that were added first. */
  readonly #times = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param ms how long after `add` a thing is due
   * @param due is called with a thing, which is in the queue no longer
   */
  constructor(ms: number, due: (thing: T) => void) {
    this.#ms = ms;
    this.#due = due;
  }

  /** Puts a thing at the end, whether it was there or not. */
  add(thing: T): void {
    this.#times.delete(thing);
    this.#times.set(thing, performance.now() + this.#ms);
    this.#timer ??= this.#wait(this.#ms);
  }

  delete(thing: T): void {
    this.#times.delete(thing);
    if (this.#times.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    let count = 0;
    let next: number | undefined;
    for (const [thing, time] of this.#times) {
      if (time > now || count === AT_ONCE) {
        next = Math.max(0, time - now);
        break;
      }
      count += 1;
      this.#times.delete(thing);
      this.#due(thing);
    }
    // What is due may have been added again, and the timer with it.
    if (next !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = this.#wait(next);
    }
  }

  #wait(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#look(), Math.ceil(ms)).unref();
  }
}
