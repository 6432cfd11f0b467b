/**
 * What goes out on one socket. Frames are put into their wire form once for all who get them, and what
 * a connection receives in one turn of the event loop leaves as one write. A socket that is backed up
 * keeps its deliveries in a bounded queue, and answers go ahead of them.
 */
import type { SizedFrame } from "../protocol/publication-frames.ts";

/** Bytes that a socket may hold unsent before its deliveries wait in the queue. */
const HIGH_WATER_BYTES = 256 * 1024;
const TEXT = 0x81;
const BINARY = 0x82;

/** The part of a network socket that is used. */
export interface WritableSocket {
  readonly writableLength: number;
  readonly writable: boolean;
  write(chunk: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
  once(event: "drain", listener: () => void): unknown;
}

/** A whole WebSocket frame from a server: final, unmasked, uncompressed. */
export function wireForm(frame: SizedFrame): Uint8Array {
  frame.prepared ??= encodeFrame(frame);
  return frame.prepared;
}

function encodeFrame({ data, bytes }: SizedFrame): Uint8Array {
  const header = bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10;
  const buffer = Buffer.allocUnsafe(header + bytes);
  buffer[0] = typeof data === "string" ? TEXT : BINARY;
  if (header === 2) buffer[1] = bytes;
  else if (header === 4) {
    buffer[1] = 126;
    buffer.writeUInt16BE(bytes, 2);
  } else {
    buffer[1] = 127;
    buffer.writeUInt32BE(0, 2);
    buffer.writeUInt32BE(bytes, 6);
  }
  if (typeof data === "string") buffer.write(data, header, "utf8");
  else buffer.set(data, header);
  return buffer;
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

/** Whom a writer belongs to. */
export interface WriterOwner {
  /** More waits for the socket than may. Ends the connection. */
  overrun(): void;
}

/** What every idle writer has written in this turn; never added to. */
const NOTHING: Uint8Array[] = [];

export class SocketWriter {
  readonly #socket: WritableSocket;
  readonly #flusher: Flusher;
  readonly #owner: WriterOwner;
  /** Bytes that may wait for the socket. */
  readonly #maxQueueBytes: number;
  /** What this turn has brought, in its order. */
  #turn: Uint8Array[] = NOTHING;
  /** Deliveries that wait until the socket has drained; undefined while it takes everything. */
  #queue: Uint8Array[] | undefined;
  #queuedBytes = 0;

  constructor(socket: WritableSocket, flusher: Flusher, owner: WriterOwner, maxQueueBytes: number) {
    this.#socket = socket;
    this.#flusher = flusher;
    this.#owner = owner;
    this.#maxQueueBytes = maxQueueBytes;
  }

  /** Bytes that the socket has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength + this.#queuedBytes;
  }

  write(frame: SizedFrame): void {
    const chunk = wireForm(frame);
    if (this.#queue !== undefined && !frame.urgent) {
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
      if (this.backlog > this.#maxQueueBytes) this.#owner.overrun();
      return;
    }
    if (this.#turn.length === 0) {
      this.#turn = [];
      this.#flusher.add(this);
    }
    this.#turn.push(chunk);
  }

  /** Puts what this turn has brought on the socket. */
  flush(): void {
    const chunks = this.#turn;
    if (chunks.length === 0) return;
    this.#turn = NOTHING;
    this.#put(chunks);
    const socket = this.#socket;
    if (this.#queue !== undefined || socket.writableLength <= HIGH_WATER_BYTES) return;
    this.#queue = [];
    socket.once("drain", () => this.#drained());
    if (this.backlog > this.#maxQueueBytes) this.#owner.overrun();
  }

  /** Puts everything on the socket, whatever it holds: the connection is about to close. */
  finish(): void {
    const chunks = [...(this.#queue ?? []), ...this.#turn];
    this.#turn = NOTHING;
    this.drop();
    this.#put(chunks);
  }

  /** Forgets the deliveries that wait for the socket to drain. Returns how many frames that were. */
  drop(): number {
    const dropped = this.#queue?.length ?? 0;
    this.#queuedBytes = 0;
    if (this.#queue !== undefined) this.#queue = [];
    return dropped;
  }

  #drained(): void {
    const queue = this.#queue ?? [];
    this.#queue = undefined;
    let at = 0;
    let bytes = 0;
    while (at < queue.length && bytes <= HIGH_WATER_BYTES) {
      bytes += (queue[at] as Uint8Array).length;
      at += 1;
    }
    this.#queuedBytes -= bytes;
    this.#put(queue.slice(0, at));
    if (at === queue.length && this.#socket.writableLength <= HIGH_WATER_BYTES) return;
    this.#queue = queue.slice(at);
    // A socket that took it all at once will not drain again.
    if (this.#socket.writableLength === 0) setImmediate(() => this.#drained());
    else this.#socket.once("drain", () => this.#drained());
  }

  #put(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array);
      return;
    }
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
  }
}
