/**
 * Channels that were heard of lately, each with the time of the last delivery. What is heard by a pattern
 * alone is remembered no longer than it may be delivered again: there may be a new one with every message.
 */

/** How long after a delivery none of it is repeated any more, in milliseconds. */
export const HEARD_LATELY_MS = 60_000;

export class HeardChannels {
  /** Unix milliseconds, the oldest first. */
  readonly #heard = new Map<string, number>();

  has(channel: string): boolean {
    return this.#heard.has(channel);
  }

  /** A channel is heard now. */
  add(channel: string): void {
    this.#heard.delete(channel);
    this.#heard.set(channel, Date.now());
  }

  delete(channel: string): void {
    this.#heard.delete(channel);
  }

  channels(): Iterable<string> {
    return this.#heard.keys();
  }

  /** Takes out those that were not heard lately. */
  *takeOld(): Iterable<string> {
    const since = Date.now() - HEARD_LATELY_MS;
    for (const [channel, at] of this.#heard) {
      if (at > since) return;
      this.#heard.delete(channel);
      yield channel;
    }
  }
}
