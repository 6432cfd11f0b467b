/** Places for work of which only so much may be under way; what finds none may wait for one, in order. */
export class Slots {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: ((granted: boolean) => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.#waiting.length;
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
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a place back. The one that waits the longest gets it. */
  free(): void {
    const first = this.#waiting.shift();
    if (first === undefined) this.#taken -= 1;
    else first(true);
  }

  /** What waits is not needed any more. */
  clear(): void {
    for (const waiting of this.#waiting.splice(0)) waiting(false);
  }
}
