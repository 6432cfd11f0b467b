/**
 * What the session of a stream writes to, and how much of it may wait for a client that reads slowly.
 *
 * | state | since | `write` | the client reads |
 * | --- | --- | --- | --- |
 * | open | the call was admitted | adds a frame | frames as fast as it likes |
 * | overrun | more waited than `maxQueueBytes` | adds a frame; the owner closes the session | what was written since |
 * | ended | `close`, `finish` or `abandon` | drops the frame | what waits, and then the end or the error |
 */
import type { Transport } from "../../../engine/ports/transport.ts";
import { OutboundQueue } from "../../../http/streaming/outbound-queue.ts";
import { DISCONNECTS, type Disconnect } from "../../../protocol/codes.ts";
import type { SizedFrame } from "../../../protocol/publication-frames.ts";

export interface TransportOwner {
  farewell(disconnect: Disconnect): SizedFrame;
  /** More waits for the client than may. Ends the session. */
  overrun(): void;
  /** So many deliveries will never be sent. */
  dropped(frames: number): void;
  /** Nothing more will be written; a slow client may take its time to read up to here. */
  ended(slow: boolean): void;
}

/** What a session writes to: a queue from which the library takes as fast as the client reads. */
export class StreamTransport implements Transport {
  readonly #maxQueueBytes: number;
  readonly #owner: TransportOwner;
  readonly #queue = new OutboundQueue<SizedFrame>();
  #overrun = false;
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(maxQueueBytes: number, owner: TransportOwner) {
    this.#maxQueueBytes = maxQueueBytes;
    this.#owner = owner;
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(frame: SizedFrame): void {
    if (this.#ended) return;
    this.#queue.push(frame, frame);
    this.#wake?.();
    if (this.#overrun || this.#queue.bytes <= this.#maxQueueBytes) return;
    this.#overrun = true;
    // A client that does not read will not read this either, and what ends it must not wait for it.
    this.#owner.dropped(this.#queue.clear());
    this.#owner.overrun();
  }

  /** Writes what says that the stream is there, where nothing waits that would say it as well. */
  beat(heartbeat: SizedFrame): void {
    if (this.#ended || this.#queue.length > 0) return;
    this.#queue.push(heartbeat, heartbeat);
    this.#wake?.();
  }

  close(disconnect: Disconnect): void {
    if (this.#ended) return;
    const slow = disconnect.code === DISCONNECTS.slowConsumer.code;
    if (slow) this.#owner.dropped(this.#queue.dropDeliveries());
    const farewell = this.#owner.farewell(disconnect);
    this.#queue.push(farewell, farewell);
    this.end(slow);
  }

  /** Ends the stream after what was written: well, or with an error for the library to report. */
  finish(error?: unknown): void {
    if (this.#ended) return;
    this.#error = error;
    this.end(false);
  }

  /** The client reads no more. */
  abandon(reason: unknown): void {
    this.#queue.clear();
    this.finish(reason);
  }

  /** Everything that is written, until the end. */
  async *frames(): AsyncGenerator<SizedFrame> {
    for (;;) {
      const frame = this.#queue.take();
      if (frame !== undefined) yield frame;
      else if (this.#ended) break;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    if (this.#error !== undefined) throw this.#error;
  }

  /** Nothing more is written. */
  protected end(slow: boolean): void {
    this.#ended = true;
    this.#owner.ended(slow);
    this.#wake?.();
  }
}

/** The same for a client that sends on the stream as well, and can be read more slowly. */
export class PausableTransport extends StreamTransport {
  /** Settles when the client may be read again; undefined while it may. */
  #paused: { readonly over: Promise<void>; readonly resume: () => void } | undefined;

  pause(): void {
    if (this.ended || this.#paused !== undefined) return;
    const { promise: over, resolve: resume } = Promise.withResolvers<void>();
    this.#paused = { over, resume };
  }

  resume(): void {
    this.#paused?.resume();
    this.#paused = undefined;
  }

  /** Resolves when the client may be read, at once unless it is paused. */
  async readable(): Promise<void> {
    await this.#paused?.over;
  }

  protected override end(slow: boolean): void {
    super.end(slow);
    this.resume();
  }
}
