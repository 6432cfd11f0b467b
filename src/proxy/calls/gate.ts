/** Places for calls of one backend, and a queue before them that has an end. */
export class Gate {
  readonly #most: number;
  readonly #longest: number;
  #taken = 0;
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>();

  /** @param queue how many may wait */
  constructor(most: number, queue: number) {
    this.#most = most;
    this.#longest = queue;
  }

  /** Calls in the queue. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a place if one is free. Nothing waits while one is. */
  take(): boolean {
    if (this.#taken >= this.#most) return false;
    this.#taken += 1;
    return true;
  }

  /**
   * Waits for a place where none is free. `ready` is called when it is taken.
   *
   * @returns gives up waiting; undefined where as many wait as may
   */
  wait(ready: () => void): (() => void) | undefined {
    if (this.#waiting.size >= this.#longest) return undefined;
    this.#waiting.add(ready);
    return () => this.#waiting.delete(ready);
  }

  /** Gives a place back. The one that waits the longest gets it. */
  free(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#taken -= 1;
      return;
    }
    this.#waiting.delete(first);
    first();
  }
}
