/** How many sessions of a node were reported to have each channel by its name, where a hook wants that. */
export class Occupancy {
  readonly #sessions = new Map<string, number>();
  #last = 0;

  /** Channels with at least one of them. */
  get size(): number {
    return this.#sessions.size;
  }

  /** A number that rises with each call, in microseconds since 1970 as far as the clock goes. */
  sequence(now: number): number {
    this.#last = Math.max(now * 1_000, this.#last + 1);
    return this.#last;
  }

  /** One more session has a channel. Returns whether it is the first. */
  enter(channel: string): boolean {
    const before = this.#sessions.get(channel) ?? 0;
    this.#sessions.set(channel, before + 1);
    return before === 0;
  }

  /** A session has a channel no more. Returns whether it was the last. */
  leave(channel: string): boolean {
    const left = (this.#sessions.get(channel) ?? 0) - 1;
    if (left > 0) this.#sessions.set(channel, left);
    else this.#sessions.delete(channel);
    return left <= 0;
  }
}
