/** A token bucket: so many requests at once, and after that so many per second. */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /**
   * @param rate tokens per second
   * @param burst tokens that a full bucket holds
   * @param now Unix milliseconds
   */
  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes a token. Returns 0, or how many milliseconds it takes until there is one. */
  take(now: number): number {
    // A clock that is set back gives nothing and takes nothing.
    const passed = Math.max(now - this.#at, 0);
    this.#at = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + (passed * this.#rate) / 1000);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#tokens) * 1000) / this.#rate);
  }
}
