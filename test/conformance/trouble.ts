/** A node whose channels do not answer as they should, as a client brings it about. */
import type { Broker } from "../../src/engine/ports/broker.ts";
import { MessagingError } from "../../src/protocol/errors.ts";

export class Trouble {
  readonly #brokers = new WeakSet<Broker>();
  /** What is the matter with a channel: `down`, or `stuck` and who waits for its end. */
  readonly #channels = new Map<string, "down" | (() => void)[]>();

  /**
   * Has a channel refuse to be read and joined (`down`), or be read no sooner than that ends
   * (`stuck`); everything else is the end of it.
   */
  bring(broker: Broker, channel: string, what: string): void {
    const before = this.#channels.get(channel) ?? "down";
    this.#channels.delete(channel);
    if (before !== "down") for (const go of before) go();
    if (what === "down" || what === "stuck") {
      this.#channels.set(channel, what === "down" ? what : []);
    }
    if (this.#brokers.has(broker)) return;
    this.#brokers.add(broker);
    const { history, presence, join } = broker;
    broker.history = async (name, filter) => {
      await this.#pass(name);
      return await history.call(broker, name, filter);
    };
    broker.presence = async (name, limit) => {
      await this.#pass(name);
      return await presence.call(broker, name, limit);
    };
    broker.join = async (name, session) => {
      if (this.#channels.get(name) === "down") await this.#pass(name);
      await join.call(broker, name, session);
    };
  }

  async #pass(channel: string): Promise<void> {
    const what = this.#channels.get(channel);
    if (what === "down") throw new MessagingError("UNAVAILABLE", "the channel does not answer");
    if (what !== undefined) await new Promise<void>((resolve) => what.push(resolve));
  }
}
