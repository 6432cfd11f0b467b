/**
 * What one node publishes to one channel: one call at a time, which carries all that came meanwhile,
 * in order. So the order holds whatever is repeated, and a busy channel makes large calls by itself. The
 * first call is made one turn later, since what came in one turn belongs together.
 */
import { background } from "../../../engine/background.ts";
import type { PublishResult } from "../../../engine/ports/broker.ts";
import type { Logger } from "../../../engine/ports/platform.ts";
import { rateLimited } from "../../../protocol/errors.ts";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_QUEUED_BYTES } from "../../../protocol/limits.ts";

/** How long a client should wait when the queue is full, in milliseconds. */
const FULL_RETRY_MS = 1_000;

export interface PublishItem {
  readonly key: string;
  /** An EntryBody. */
  readonly body: Uint8Array;
}

/** Bytes that wait in all queues of a node together. */
export interface QueuedBytes {
  readonly most: number;
  waiting: number;
}

export class RedisPublishQueue {
  readonly #call: (items: readonly PublishItem[]) => Promise<readonly PublishResult[]>;
  readonly #nextTurn: (callback: () => void) => void;
  readonly #all: QueuedBytes;
  readonly #logger: Logger;
  #waiting: Queued[] = [];
  #bytes = 0;
  #running = false;

  /** @param call runs the publish script, repeats it where that is worth it, and answers one result for each */
  constructor(
    call: (items: readonly PublishItem[]) => Promise<readonly PublishResult[]>,
    nextTurn: (callback: () => void) => void,
    all: QueuedBytes,
    logger: Logger,
  ) {
    this.#call = call;
    this.#nextTurn = nextTurn;
    this.#all = all;
    this.#logger = logger;
  }

  /** Whether nothing waits and nothing is in flight. */
  get idle(): boolean {
    return !this.#running;
  }

  /** Bytes of publishes that can be added now. */
  get room(): number {
    return Math.min(MAX_QUEUED_BYTES - this.#bytes, this.#all.most - this.#all.waiting);
  }

  /** @throws MessagingError RATE_LIMITED when the queue is full, else what the call throws */
  push(item: PublishItem): Promise<PublishResult> {
    const size = item.key.length + item.body.length;
    if (this.#bytes + size > MAX_QUEUED_BYTES || this.#all.waiting + size > this.#all.most) {
      return Promise.reject(rateLimited("too many publishes are waiting", FULL_RETRY_MS));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, size, resolve, reject });
      this.#count(size);
      if (this.#running) return;
      this.#running = true;
      this.#nextTurn(() => background(this.#run(), this.#logger, "publishing"));
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        const results = await this.#call(batch.map(({ item }) => item));
        for (const [index, result] of results.entries()) batch[index]?.resolve(result);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }

  #take(): Queued[] {
    let count = 0;
    let bytes = 0;
    for (const { size } of this.#waiting) {
      if (count === MAX_BATCH_ENTRIES || (count > 0 && bytes + size > MAX_BATCH_BYTES)) break;
      count += 1;
      bytes += size;
    }
    this.#count(-bytes);
    return this.#waiting.splice(0, count);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#all.waiting += bytes;
  }
}

interface Queued {
  readonly item: PublishItem;
  readonly size: number;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: unknown) => void;
}
