/**
 * What goes out on one socket. Frames are put into their wire form once for all receivers, and what
 * a connection receives in one turn of the event loop leaves as one write. A socket that is backed up
 * keeps everything in a bounded queue, in which answers go ahead of deliveries.
 *
 * | state | since | a frame |
 * | --- | --- | --- |
 * | free | the beginning, or the socket has drained | leaves at the end of the turn, or at once where the turn has brought much |
 * | backed up | the socket holds more than HIGH_WATER_BYTES | waits in the queue, until the socket has drained |
 * | overrun | more than `maxQueueBytes` waited: all of it is dropped | waits; the owner ends the connection |
 * | finished | `finish`, which puts on the socket what waits | is dropped |
 */
import { HIGH_WATER_BYTES, OutboundQueue } from "../../http/streaming/outbound-queue.ts";
import type { SizedFrame } from "../../protocol/publication-frames.ts";
import { compressedForm, unpooled, wireForm } from "./wire-form.ts";

/** Frames that a socket is handed at once; each takes memory of its own there, however small it is. */
const MAX_TURN_FRAMES = 1_024;
/** Chunks of so many bytes together leave as one, since to hand the socket each of them costs more than to copy them. */
const MAX_COPIED_BYTES = 8 * 1024;

/** The part of a network socket that is used. */
export interface WritableSocket {
  readonly writableLength: number;
  readonly writable: boolean;
  write(chunk: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
  once(event: "drain", listener: () => void): unknown;
}

/** Flushes the writers that were written to in this turn, all in one callback. */
export class Flusher {
  #dirty: SocketWriter[] = [];

  add(writer: SocketWriter): void {
    if (this.#dirty.length === 0) setImmediate(() => this.flush());
    this.#dirty.push(writer);
  }

  flush(): void {
    const writers = this.#dirty;
    this.#dirty = [];
    for (const writer of writers) writer.flush();
  }
}

/** What a writer belongs to. */
export interface WriterOwner {
  /**
   * More waits for the socket than may, and has been dropped, so many deliveries among it. Ends the
   * connection.
   */
  overrun(deliveries: number): void;
}

type Waiting = SizedFrame | Uint8Array;

export interface WriterTerms {
  /** Bytes that may wait for the socket. */
  readonly maxQueueBytes: number;
  /** Whether the other end takes compressed frames. */
  readonly compresses: boolean;
}

export class SocketWriter {
  readonly #socket: WritableSocket;
  readonly #flusher: Flusher;
  readonly #owner: WriterOwner;
  readonly #terms: WriterTerms;
  /** Of the terms, what each delivery asks. */
  readonly #compresses: boolean;
  /** What this turn has brought: nearly always one frame, so that the list is for those after the first. */
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;
  #turnBytes = 0;
  /**
   * What waits until the socket has drained; undefined while the socket takes everything. A delivery
   * waits in the wire form that it shares with others, an answer gets its own when it leaves.
   */
  #queue: OutboundQueue<Waiting> | undefined;
  /** Whether frames wait or go nowhere: the one question that each delivery asks. */
  #holds = false;
  #overrun = false;
  #finished = false;

  constructor(socket: WritableSocket, flusher: Flusher, owner: WriterOwner, terms: WriterTerms) {
    this.#socket = socket;
    this.#flusher = flusher;
    this.#owner = owner;
    this.#terms = terms;
    this.#compresses = terms.compresses;
  }

  /** Bytes that the socket has not taken yet, with what each waiting frame takes beside them. */
  get backlog(): number {
    return this.#socket.writableLength + this.#turnBytes + (this.#queue?.bytes ?? 0);
  }

  /** Nothing that is written after `finish` leaves. */
  write(frame: SizedFrame): void {
    if (this.#holds) {
      this.#hold(frame);
      return;
    }
    const chunk = this.#compresses
      ? (frame.compressed ?? compressedForm(frame))
      : (frame.prepared ?? wireForm(frame));
    this.#turnBytes += chunk.length;
    if (this.#first === undefined) {
      this.#first = chunk;
      this.#flusher.add(this);
    } else if (this.#others === undefined) this.#others = [chunk];
    else this.#others.push(chunk);
    // More than a socket should hold at once does not wait for the end of the turn.
    if (this.#turnBytes > HIGH_WATER_BYTES || (this.#others?.length ?? 0) >= MAX_TURN_FRAMES) {
      this.flush();
    }
  }

  /** Puts what this turn has brought on the socket. */
  flush(): void {
    const first = this.#first;
    if (first === undefined) return;
    const socket = this.#socket;
    if (this.#others === undefined && socket.writableLength === 0) {
      // The usual case, and the hot one. A socket that wants more holds less than the bound below.
      this.#first = undefined;
      this.#turnBytes = 0;
      if (!socket.writable || socket.write(first)) return;
    } else {
      // What does not leave at once may lie in the socket for as long as the client pleases.
      this.#put(this.#takeTurn(), socket.writableLength > 0);
    }
    if (this.#queue !== undefined || socket.writableLength <= HIGH_WATER_BYTES) return;
    this.#queue = new OutboundQueue();
    this.#holds = true;
    socket.once("drain", () => this.#drained());
    this.#check();
  }

  /** Puts everything on the socket, past every bound: the connection is about to close. */
  finish(): void {
    const queue = this.#queue;
    const rest: Uint8Array[] = [];
    for (let item = queue?.take(); item !== undefined; item = queue?.take()) {
      rest.push(this.#lastingForm(item));
    }
    rest.push(...this.#takeTurn());
    this.#finished = true;
    this.#holds = true;
    this.#put(rest, true);
  }

  /** Forgets the deliveries that wait for the socket to drain. Returns how many frames that were. */
  drop(): number {
    return this.#queue?.dropDeliveries() ?? 0;
  }

  #takeTurn(): readonly Uint8Array[] {
    const chunks = this.#first === undefined ? [] : [this.#first, ...(this.#others ?? [])];
    this.#first = undefined;
    this.#others = undefined;
    this.#turnBytes = 0;
    return chunks;
  }

  /** Keeps a frame until the socket has drained. */
  #hold(frame: SizedFrame): void {
    if (this.#finished) return;
    if (frame.urgent) this.#queue?.push(frame, frame);
    else {
      const form = this.#lastingForm(frame);
      const bytes = Math.min(frame.bytes, form.length);
      this.#queue?.push(form, { bytes, urgent: false });
    }
    this.#check();
  }

  #check(): void {
    if (this.#overrun || this.backlog <= this.#terms.maxQueueBytes) return;
    this.#overrun = true;
    // A client that does not read will not read this either, and what ends it must not wait for it.
    this.#owner.overrun(this.#queue?.clear() ?? 0);
  }

  #drained(): void {
    const queue = this.#queue;
    const socket = this.#socket;
    if (queue === undefined || this.#finished) return;
    while (queue.length > 0 && socket.writable && socket.writableLength <= HIGH_WATER_BYTES) {
      const batch: Uint8Array[] = [];
      const before = queue.bytes;
      while (queue.length > 0 && before - queue.bytes <= HIGH_WATER_BYTES) {
        batch.push(this.#lastingForm(queue.take() as Waiting));
      }
      this.#put(batch, true);
    }
    if (socket.writableLength > HIGH_WATER_BYTES) socket.once("drain", () => this.#drained());
    else {
      this.#queue = undefined;
      this.#holds = false;
    }
  }

  /** @param lasting whether the chunks may lie in the socket for long */
  #put(chunks: readonly Uint8Array[], lasting: boolean): void {
    const socket = this.#socket;
    if (!socket.writable || chunks.length === 0) return;
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    if (chunks.length > 1 && bytes <= MAX_COPIED_BYTES) {
      socket.write(together(chunks, bytes, lasting));
      return;
    }
    socket.cork();
    for (const chunk of chunks) socket.write(lasting ? unpooled(chunk) : chunk);
    socket.uncork();
  }

  #lastingForm(item: Waiting): Uint8Array {
    if (item instanceof Uint8Array) return item;
    return this.#compresses ? compressedForm(item, true) : wireForm(item, true);
  }
}

function together(chunks: readonly Uint8Array[], bytes: number, lasting: boolean): Uint8Array {
  const whole = lasting ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
