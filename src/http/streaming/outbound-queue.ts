/**
 * What waits for one connection of any kind that reads slowly: deliveries, answers
 * and pongs, all of them counted.
 */
import type { SizedFrame } from "../../protocol/publication-frames.ts";

/** Bytes that may wait for a client before answers go ahead of deliveries. */
export const HIGH_WATER_BYTES = 256 * 1024;
/** Memory that a waiting frame takes beside its bytes. */
const OVERHEAD_BYTES = 256;

/** What a waiting frame counts for, in bytes. */
export function costOf({ bytes }: Pick<SizedFrame, "bytes">): number {
  return bytes + OVERHEAD_BYTES;
}

/**
 * Frames in their order, but for urgent ones, which go ahead where much waits.
 *
 * @typeParam Item the form in which a host keeps a frame
 */
export class OutboundQueue<Item> {
  readonly #urgent = new Fifo<Item>();
  readonly #others = new Fifo<Item>();
  #count = 0;

  /** What all that waits counts for. */
  get bytes(): number {
    return this.#urgent.bytes + this.#others.bytes;
  }

  get length(): number {
    return this.#urgent.length + this.#others.length;
  }

  /** Adds a frame in the host's form of it. */
  push(item: Item, frame: Pick<SizedFrame, "bytes" | "urgent">): void {
    this.#count += 1;
    const queue = frame.urgent ? this.#urgent : this.#others;
    queue.push({ place: this.#count, item, cost: costOf(frame) });
  }

  take(): Item | undefined {
    const ahead = this.bytes > HIGH_WATER_BYTES || this.#urgent.next < this.#others.next;
    const first = ahead ? this.#urgent : this.#others;
    return first.take() ?? this.#others.take();
  }

  /** Forgets what is not urgent. Returns how many frames that were. */
  dropDeliveries(): number {
    const dropped = this.#others.length;
    this.#others.clear();
    return dropped;
  }

  /** Forgets everything. Returns how many deliveries that were. */
  clear(): number {
    this.#urgent.clear();
    return this.dropDeliveries();
  }
}

interface Place<Item> {
  readonly place: number;
  readonly item: Item;
  readonly cost: number;
}

/** First in, first out, without moving what stays. */
class Fifo<Item> {
  #entries: Place<Item>[] = [];
  #head = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** Place of the first entry; Infinity when there is none. */
  get next(): number {
    return this.#entries[this.#head]?.place ?? Number.POSITIVE_INFINITY;
  }

  push(entry: Place<Item>): void {
    this.#entries.push(entry);
    this.#bytes += entry.cost;
  }

  take(): Item | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= entry.cost;
    // Taken entries are let go of once they are the larger part.
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry.item;
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
