/** Called when a place is free, or, with false, when `clear` came first. */
type Waiting = (granted: boolean) => void;

/** Places for work of which only so much may be under way; what finds none may wait for one, in order. */
export class Slots {
  readonly #most: number;
  readonly #longest: number;
  #taken = 0;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();

  /** @param queue how many may wait */
  constructor(most: number, queue = Number.POSITIVE_INFINITY) {
    this.#most = most;
    this.#longest = queue;
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a place if one is free. Nothing waits while one is. */
  take(): boolean {
    if (this.#taken >= this.#most) return false;
    this.#taken += 1;
    return true;
  }

  /** Waits until a place is free and takes it. Resolves with false where `clear` came first. */
  next(): Promise<boolean> {
    if (this.take()) return Promise.resolve(true);
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /**
   * Waits for a place where none is free.
   *
   * @returns gives up waiting; undefined where as many wait as may
   */
  wait(ready: Waiting): (() => void) | undefined {
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
    first(true);
  }

  /** What waits is not needed any more. */
  clear(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const ready of waiting) ready(false);
  }
}
