/** What the session of a stream writes to, and how much of it may wait for a client that reads slowly. */
import type { Transport } from "../engine/ports.ts";
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import type { SizedFrame } from "../protocol/publication-frames.ts";

/** Bytes that may wait for a client before answers go ahead of deliveries. */
const HIGH_WATER_BYTES = 256 * 1024;

export interface TransportOwner {
  farewell(disconnect: Disconnect): SizedFrame;
  /** More waits for the client than may. Ends the session. */
  overrun(): void;
  /** So many deliveries will never be sent. */
  dropped(frames: number): void;
  /** Nothing more will be written. */
  ended(): void;
}

/** What a session writes to: a queue from which the library takes as fast as the client reads. */
export class StreamTransport implements Transport {
  readonly #maxQueueBytes: number;
  readonly #owner: TransportOwner;
  readonly #queue = new FrameQueue();
  #overrun = false;
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;
  /** Settles when the client may be read again; undefined while it may. */
  #paused: { readonly over: Promise<void>; readonly resume: () => void } | undefined;

  constructor(maxQueueBytes: number, owner: TransportOwner) {
    this.#maxQueueBytes = maxQueueBytes;
    this.#owner = owner;
  }

  write(frame: SizedFrame): void {
    if (this.#ended) return;
    this.#queue.push(frame);
    this.#wake?.();
    if (this.#overrun || this.#queue.bytes <= this.#maxQueueBytes) return;
    this.#overrun = true;
    this.#owner.overrun();
  }

  pause(): void {
    if (this.#ended || this.#paused !== undefined) return;
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

  close(disconnect: Disconnect): void {
    if (this.#ended) return;
    // Whoever does not read will not read what is queued for it either; the code goes out at once.
    if (disconnect.code === DISCONNECTS.slowConsumer.code) {
      this.#owner.dropped(this.#queue.dropDeliveries());
    }
    this.#queue.push(this.#owner.farewell(disconnect));
    this.finish();
  }

  /** Ends the stream behind what was written: well, or with an error for the library to tell. */
  finish(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.resume();
    this.#error = error;
    this.#owner.ended();
    this.#wake?.();
  }

  /** Nobody reads any more. */
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
}

/** Frames in their order, but for urgent ones, which go ahead where much waits. */
class FrameQueue {
  readonly #urgent = new Fifo();
  readonly #others = new Fifo();
  #count = 0;

  get bytes(): number {
    return this.#urgent.bytes + this.#others.bytes;
  }

  push(frame: SizedFrame): void {
    this.#count += 1;
    (frame.urgent ? this.#urgent : this.#others).push(this.#count, frame);
  }

  take(): SizedFrame | undefined {
    const ahead = this.bytes > HIGH_WATER_BYTES || this.#urgent.next < this.#others.next;
    const first = ahead ? this.#urgent : this.#others;
    return first.take() ?? this.#others.take();
  }

  /** Returns how many frames that were. */
  dropDeliveries(): number {
    const dropped = this.#others.length;
    this.#others.clear();
    return dropped;
  }

  clear(): void {
    this.#urgent.clear();
    this.#others.clear();
  }
}

/** First in, first out, without moving what stays. */
class Fifo {
  #entries: { readonly place: number; readonly frame: SizedFrame }[] = [];
  #head = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** Place of the first frame; Infinity when there is none. */
  get next(): number {
    return this.#entries[this.#head]?.place ?? Number.POSITIVE_INFINITY;
  }

  push(place: number, frame: SizedFrame): void {
    this.#entries.push({ place, frame });
    this.#bytes += frame.bytes;
  }

  take(): SizedFrame | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= entry.frame.bytes;
    // Taken frames are let go of once they are the larger part.
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry.frame;
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
