/**
 * The line between two threads. What one turn of the event loop brings leaves as one batch, and the next batch leaves
 * when the other side has taken that one up: a port is emptied whole before its thread looks at timers and sockets, and
 * nobody can see how much is in it. What waits meanwhile has a bound, and calls beyond it fail as overloaded.
 */
import { decodeError, encodeError, overloaded, threadEnded } from "./errors.ts";
import {
  ANSWER,
  acknowledges,
  decodeBatch,
  ERROR,
  encodeBatch,
  type Frame,
  MAX_NAME_BYTES,
  REQUEST,
  type Request,
  sizeOf,
} from "./frames.ts";

/** Bytes of one batch, except that each has a frame: a turn of the other side takes one batch of each thread. */
const BATCH_BYTES = 256 * 1024;
/** Bytes of requests and answers that may wait; more requests are refused. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** Calls that may wait for their answer. */
const MAX_CALLS = 65_536;

/** Posted in the place of a batch where nothing has to be said but that one was taken up. */
const ACKNOWLEDGEMENT = 1;

/** The part of a MessagePort that is used. */
export interface Port {
  postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: "message", listener: (value: unknown) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  close(): void;
}

export interface LinkOptions {
  readonly port: Port;
  /** Calls back at the end of this turn of the event loop. */
  readonly endOfTurn: (callback: () => void) => void;
  /** Carries out a request of the other thread. */
  readonly serve: (request: Request) => Promise<Uint8Array | undefined>;
  /** The other thread has ended. */
  readonly ended?: () => void;
}

interface Pending {
  readonly resolve: (answer: Uint8Array | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #calls = new Map<number, Pending>();
  #frames: Frame[] = [];
  #bytes = 0;
  #lastId = 0;
  /** A batch of ours has not been taken up yet. */
  #inFlight = false;
  /** A batch of theirs was taken up, which they have not heard. */
  #owesAcknowledgement = false;
  #flushing = false;
  #over = false;
  /** The most bytes that ever waited. */
  mostWaiting = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    options.port.on("message", (value) => this.#take(value));
    options.port.on("close", () => this.end());
  }

  /** Calls that wait for their answer. */
  get calls(): number {
    return this.#calls.size;
  }

  /** Bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /**
   * Calls an object of the other thread. The bytes are copied at the end of the turn, so they must not change.
   *
   * @throws what the object throws, with `remote`; an error with `overloaded` where too much waits; an error with
   * `retryable` where the thread has ended
   */
  call(method: number, name: string, body: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#over) return Promise.reject(threadEnded());
    const size = Buffer.byteLength(name);
    if (size > MAX_NAME_BYTES) return Promise.reject(new RangeError("the name is too long"));
    if (this.#bytes > MAX_WAITING_BYTES || this.#calls.size >= MAX_CALLS) {
      return Promise.reject(overloaded());
    }
    const id = this.#nextId();
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#push({ kind: REQUEST, id, method, name, body });
    });
  }

  /** Nothing goes on: what waits for an answer hears that there is none. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.port.close();
    this.#frames = [];
    this.#bytes = 0;
    for (const { reject } of this.#calls.values()) reject(threadEnded());
    this.#calls.clear();
    this.#options.ended?.();
  }

  #take(value: unknown): void {
    if (this.#over) return;
    if (!(value instanceof Uint8Array)) {
      this.#acknowledged();
      return;
    }
    if (acknowledges(value)) this.#acknowledged();
    for (const frame of decodeBatch(value)) this.#handle(frame);
    this.#owesAcknowledgement = true;
    this.#flushSoon();
  }

  #acknowledged(): void {
    this.#inFlight = false;
    if (this.#frames.length > 0) this.#flushSoon();
  }

  #handle(frame: Frame): void {
    const { id } = frame;
    if (frame.kind === REQUEST) {
      this.#options.serve(frame).then(
        (body) => this.#push({ kind: ANSWER, id, body }),
        (error: unknown) => this.#push({ kind: ERROR, id, body: encodeError(error) }),
      );
      return;
    }
    const pending = this.#calls.get(id);
    this.#calls.delete(id);
    if (frame.kind === ANSWER) pending?.resolve(frame.body);
    else pending?.reject(decodeError(frame.body));
  }

  #push(frame: Frame): void {
    if (this.#over) return;
    this.#frames.push(frame);
    this.#bytes += sizeOf(frame);
    this.mostWaiting = Math.max(this.mostWaiting, this.#bytes);
    if (!this.#inFlight) this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#options.endOfTurn(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#over) return;
    const { port } = this.#options;
    const batch = this.#inFlight ? [] : this.#batch();
    if (batch.length > 0) {
      this.#inFlight = true;
      const bytes = batch.reduce((sum, frame) => sum + sizeOf(frame), 0);
      this.#bytes -= bytes;
      const piece = encodeBatch(batch, bytes, this.#owesAcknowledgement);
      port.postMessage(piece, [piece.buffer]);
    } else if (this.#owesAcknowledgement) port.postMessage(ACKNOWLEDGEMENT);
    this.#owesAcknowledgement = false;
  }

  /** The first of those that wait, as many as one batch has. */
  #batch(): Frame[] {
    let bytes = 0;
    let count = 0;
    for (const frame of this.#frames) {
      bytes += sizeOf(frame);
      if (count > 0 && bytes > BATCH_BYTES) break;
      count += 1;
    }
    if (count === this.#frames.length) {
      const all = this.#frames;
      this.#frames = [];
      return all;
    }
    return this.#frames.splice(0, count);
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) % 0x1_0000_0000;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }
}
