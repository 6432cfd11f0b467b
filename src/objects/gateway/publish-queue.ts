/**
 * What one gateway publishes to one channel: at most one call in flight, and what arrives meanwhile
 * leaves as the next batch, in order. A batch that is not full is taken one turn of the event loop later,
 * because each frame of a socket is an event of its own. A failed call is repeated with the same keys until
 * its deadline; the channel knows the keys it has.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { background } from "../../engine/background.ts";
import type { PublishResult } from "../../engine/ports/broker.ts";
import { errorFrom, rateLimited, unavailable } from "../../protocol/errors.ts";
import {
  type PublishItem,
  PublishRequestSchema,
  PublishResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_QUEUED_BYTES } from "../../protocol/limits.ts";
import { readAnswer } from "../calls/answers.ts";
import { retrying, toChannel } from "../calls/retry.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { Trouble } from "../trouble.ts";
import type { Turn } from "./turn.ts";

/** How long a client should wait when the queue is full, in milliseconds. */
const FULL_RETRY_MS = 1_000;

/** What the queue needs from the gateway around it. */
export interface PublishHost {
  readonly platform: ObjectPlatform;
  /** Of calls to channels. */
  readonly channelTrouble: Trouble;
  readonly turn: Turn;
  /** Where this gateway is, as its host names regions. */
  readonly region: string;
}

export class PublishQueue {
  /** Sends one PublishRequest and answers its PublishResponse. */
  readonly #call: (request: Uint8Array) => Promise<Uint8Array>;
  readonly #host: PublishHost;
  #waiting: WaitingPublish[] = [];
  #waitingBytes = 0;
  #running = false;

  constructor(call: (request: Uint8Array) => Promise<Uint8Array>, host: PublishHost) {
    this.#call = call;
    this.#host = host;
  }

  /** Whether nothing waits and nothing is in flight. */
  get idle(): boolean {
    return !this.#running;
  }

  /** Bytes of publishes that can be added now. */
  get room(): number {
    return MAX_QUEUED_BYTES - this.#waitingBytes;
  }

  /**
   * Adds a publish. Rejects with a MessagingError: RATE_LIMITED when the queue is full, UNAVAILABLE when
   * the channel does not answer in time.
   */
  push(item: PublishItem): Promise<PublishResult> {
    const size = item.key.length + item.body.length;
    const { promise, resolve, reject } = Promise.withResolvers<PublishResult>();
    if (this.#waitingBytes + size > MAX_QUEUED_BYTES) {
      reject(rateLimited("too many publishes are waiting for this channel", FULL_RETRY_MS));
      return promise;
    }
    this.#waiting.push({ item, size, resolve, reject });
    this.#waitingBytes += size;
    if (!this.#running) background(this.#run(), this.#host.platform.logger, "publish queue");
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0) {
        if (!this.#full) await this.#host.turn.next();
        const batch = this.#take();
        try {
          settle(batch, await this.#send(batch));
        } catch (error) {
          for (const { reject } of batch) reject(error);
        }
      }
    } finally {
      this.#running = false;
    }
  }

  /** Whether the next batch would be no larger a turn later. */
  get #full(): boolean {
    return this.#waiting.length >= MAX_BATCH_ENTRIES || this.#waitingBytes >= MAX_BATCH_BYTES;
  }

  #take(): WaitingPublish[] {
    let count = 0;
    let bytes = 0;
    for (const { size } of this.#waiting) {
      if (count === MAX_BATCH_ENTRIES || (count > 0 && bytes + size > MAX_BATCH_BYTES)) break;
      count += 1;
      bytes += size;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  async #send(batch: readonly WaitingPublish[]): Promise<Uint8Array> {
    const items = batch.map(({ item }) => item);
    const { channelTrouble, platform, region } = this.#host;
    const request = toBinary(PublishRequestSchema, create(PublishRequestSchema, { items, region }));
    return await retrying(() => this.#call(request), toChannel(platform, channelTrouble));
  }
}

function settle(batch: readonly WaitingPublish[], answer: Uint8Array): void {
  const { epoch, results } = readAnswer(PublishResponseSchema, answer);
  batch.forEach(({ resolve, reject }, index) => {
    const result = results[index];
    if (result === undefined) reject(unavailable("the channel left out an answer"));
    else if (result.error !== undefined) reject(errorFrom(result.error));
    else {
      const position = { epoch, offset: Number(result.offset) };
      resolve({ position, duplicate: result.duplicate });
    }
  });
}

interface WaitingPublish {
  readonly item: PublishItem;
  readonly size: number;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: unknown) => void;
}
