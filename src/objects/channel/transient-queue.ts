/** Messages outside of the log that wait for one gateway: of too many the oldest are dropped. */
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";

/**
 * @example
 * queue.push(encodeTransient(id, time, body));
 * queue.take(); // all that waits, for one call
 */
export class TransientQueue {
  #messages: Uint8Array[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#messages.length === 0;
  }

  /** @param message encoded */
  push(message: Uint8Array): void {
    this.#messages.push(message);
    this.#bytes += message.length;
    while (this.#bytes > MAX_BATCH_BYTES || this.#messages.length > MAX_BATCH_ENTRIES) {
      this.#bytes -= this.#messages.shift()?.length ?? 0;
    }
  }

  /** Everything that waits; it waits no more. */
  take(): readonly Uint8Array[] {
    const taken = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return taken;
  }
}
