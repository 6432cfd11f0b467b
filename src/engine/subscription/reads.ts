/** The reads of one session, which run one after the other: what many requests ask for is not held at once. */
export class SessionReads {
  /** Those that wait behind the one that runs; undefined while none runs, as in most sessions most of the time. */
  #waiting: (() => void)[] | undefined;
  #first = 0;

  /** Runs a read when those before it have settled, at once where there are none. */
  async run<T>(read: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting;
    if (waiting === undefined) this.#waiting = [];
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await read();
    } finally {
      this.#next();
    }
  }

  #next(): void {
    const next = this.#waiting?.[this.#first];
    this.#first += 1;
    if (next !== undefined) {
      next();
      return;
    }
    this.#waiting = undefined;
    this.#first = 0;
  }
}
