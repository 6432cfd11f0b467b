/**
 * What one node publishes to one channel: at most one call is in flight, and what arrives meanwhile leaves with the
 * next, in order. So the order holds whatever is repeated, and a busy channel makes large calls by itself. What comes
 * in one turn of the event loop belongs together: the call is made one turn later where its host says so, unless it is
 * full, or as large as the last one where that is enough. Now and then a whole turn is waited for all the same: where calls are
 * short, few publishes come meanwhile, and calls that have become small would stay small.
 */
import { type MessagingError, rateLimited, unavailable } from "../../protocol/errors.ts";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_QUEUED_BYTES } from "../../protocol/limits.ts";
import { background } from "../background.ts";
import type { PublishResult } from "../ports/broker.ts";
import type { Logger } from "../ports/platform.ts";

/** How long a client should wait when the queue is full, in milliseconds. */
const FULL_RETRY_MS = 1_000;
/** After so many calls one waits for its whole turn, which is put off further each time that it brings no more. */
const FIRST_LOOK = 4;
const LAST_LOOK = 32;

/** A publish as the queue sees it. */
export interface QueuedPublish {
  readonly key: string;
  /** An EntryBody. */
  readonly body: Uint8Array;
}

/** Bytes that wait in all queues of a node together. */
export interface QueuedBytes {
  readonly most: number;
  waiting: number;
}

/** What the queue needs from the broker around it. */
export interface PublishQueueHost<Item extends QueuedPublish> {
  /** Makes one call, repeats it where that is worth it, and answers for each item: its place, or why it has none. */
  publish(items: readonly Item[]): Promise<readonly (PublishResult | MessagingError)[]>;
  /**
   * Resolves in the next turn of the event loop; undefined where a call need not wait for it.
   *
   * @param first whether nothing was in flight before
   * @param last items of the last call, which has been answered; 0 before the first one
   */
  turn(first: boolean, last: number): Promise<void> | undefined;
  /** Whether a call waits no longer than until it is as large as the last one. Default: it waits for its turn. */
  readonly asLarge?: boolean;
  /** Default: each queue counts by itself. */
  readonly queued?: QueuedBytes;
  readonly logger: Logger;
}

interface Waiting<Item> {
  readonly item: Item;
  readonly size: number;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: unknown) => void;
}

export class PublishQueue<Item extends QueuedPublish> {
  readonly #host: PublishQueueHost<Item>;
  readonly #all: QueuedBytes;
  #waiting: Waiting<Item>[] = [];
  #bytes = 0;
  /** Items of the last call. */
  #last = 0;
  /** Calls since one has waited for its whole turn, and after how many the next one does. */
  #sinceLook = 0;
  #lookAfter = FIRST_LOOK;
  /** Ends the wait for a turn; undefined where nothing but the turn does. */
  #enough: (() => void) | undefined;
  #running = false;

  constructor(host: PublishQueueHost<Item>) {
    this.#host = host;
    this.#all = host.queued ?? { most: MAX_QUEUED_BYTES, waiting: 0 };
  }

  /** Whether nothing waits and nothing is in flight. */
  get idle(): boolean {
    return !this.#running;
  }

  /** Bytes of publishes that can be added now. */
  get room(): number {
    return Math.min(MAX_QUEUED_BYTES - this.#bytes, this.#all.most - this.#all.waiting);
  }

  /** @throws MessagingError RATE_LIMITED when the queue is full, else what the call throws or answers */
  push(item: Item): Promise<PublishResult> {
    const size = item.key.length + item.body.length;
    const { promise, resolve, reject } = Promise.withResolvers<PublishResult>();
    if (size > this.room) {
      reject(rateLimited("too many publishes are waiting", FULL_RETRY_MS));
      return promise;
    }
    this.#waiting.push({ item, size, resolve, reject });
    this.#count(size);
    if (this.#isAsLarge) this.#enough?.();
    if (!this.#running) background(this.#run(), this.#host.logger, "publishing");
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let first = true; this.#waiting.length > 0; first = false) {
      if (!this.#full) await this.#gather(first);
      const batch = this.#take();
      if (batch.length < this.#last) this.#lookAfter = 1;
      this.#sinceLook += 1;
      this.#last = batch.length;
      try {
        const results = await this.#host.publish(batch.map(({ item }) => item));
        for (const [index, { resolve, reject }] of batch.entries()) {
          const result = results[index] ?? unavailable("an answer to a publish is missing");
          if (result instanceof Error) reject(result);
          else resolve(result);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }

  /**
   * Waits for what belongs to the next call. Clients that publish again when they have been answered are as many as the
   * last time: when all of them have come there is nothing more to wait for.
   */
  async #gather(first: boolean): Promise<void> {
    const turn = this.#host.turn(first, this.#last);
    if (turn === undefined || this.#host.asLarge !== true) {
      await turn;
      return;
    }
    if (this.#sinceLook >= this.#lookAfter) {
      await turn;
      const isMore = this.#waiting.length > this.#last;
      this.#lookAfter = isMore ? FIRST_LOOK : Math.min(2 * this.#lookAfter, LAST_LOOK);
      this.#sinceLook = 0;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#enough = resolve;
    if (this.#isAsLarge) resolve();
    await Promise.race([turn, promise]);
    this.#enough = undefined;
  }

  get #isAsLarge(): boolean {
    return this.#waiting.length >= this.#last;
  }

  /** Whether the next batch would be no larger a turn later. */
  get #full(): boolean {
    return this.#waiting.length >= MAX_BATCH_ENTRIES || this.#bytes >= MAX_BATCH_BYTES;
  }

  #take(): Waiting<Item>[] {
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
