/**
 * Channels that were heard of lately, each with the time of the last delivery. What is heard through a pattern
 * alone is remembered no longer than it may be delivered again: there may be a new one with every message.
 */
import type { Clock } from "../../engine/ports/platform.ts";

/** How long after a delivery none of it is repeated any more, in milliseconds. */
export const HEARD_LATELY_MS = 60_000;

/**
 * @example
 * heard.add("chat.room"); // with each delivery
 * heard.takeOld(); // the channels of which there was none for a minute
 */
export class HeardChannels {
  readonly #clock: Clock;
  /** Unix milliseconds, the oldest first. */
  readonly #heard = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(channel: string): boolean {
    return this.#heard.has(channel);
  }

  /** A channel is heard now. */
  add(channel: string): void {
    this.#heard.delete(channel);
    this.#heard.set(channel, this.#clock.now());
  }

  delete(channel: string): void {
    this.#heard.delete(channel);
  }

  channels(): Iterable<string> {
    return this.#heard.keys();
  }

  /** Takes out those that were not heard lately. */
  *takeOld(): Iterable<string> {
    const since = this.#clock.now() - HEARD_LATELY_MS;
    for (const [channel, at] of this.#heard) {
      if (at > since) return;
      this.#heard.delete(channel);
      yield channel;
    }
  }
}
