/**
 * What one gateway publishes in one turn to a channel on its own thread. It is taken at the end of the turn, in one step, so
 * that it is delivered as one batch; a full batch is taken at once.
 */
import type { PublishResult } from "../../engine/ports/broker.ts";
import type { MessagingError } from "../../protocol/errors.ts";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import type { NearPublish } from "../ports/near-channel.ts";
import type { Turn } from "./turn.ts";

export interface NearTarget {
  readonly turn: Turn;
  /** Takes publishes in this step. Undefined where the channel cannot, and has taken none. */
  take(publishes: readonly NearPublish[]): readonly (PublishResult | MessagingError)[] | undefined;
  /** Has one wait for the channel with all that is published after it. */
  wait(publish: NearPublish): Promise<PublishResult>;
}

interface Waiting extends NearPublish {
  readonly resolve: (result: PublishResult | Promise<PublishResult>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * @example
 * const near = new NearPublishes(target);
 * await near.push({ item, body }); // { position, duplicate }, at the end of this turn
 */
export class NearPublishes {
  readonly #target: NearTarget;
  #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(target: NearTarget) {
    this.#target = target;
  }

  /** Whether nothing waits for the end of the turn. */
  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** @throws MessagingError what the channel says of the publish */
  push({ item, body }: NearPublish): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      if (this.idle) this.#target.turn.soon(() => this.#take());
      this.#waiting.push({ item, body, resolve, reject });
      this.#bytes += item.key.length + item.body.length;
      if (this.#waiting.length >= MAX_BATCH_ENTRIES || this.#bytes >= MAX_BATCH_BYTES) this.#take();
    });
  }

  #take(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#bytes = 0;
    try {
      const results = this.#target.take(waiting);
      for (const [index, one] of waiting.entries()) {
        const result = results === undefined ? this.#target.wait(one) : results[index];
        if (result instanceof Error) one.reject(result);
        else one.resolve(result as PublishResult | Promise<PublishResult>);
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
