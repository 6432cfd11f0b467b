/**
 * The line between two threads. What one turn of the event loop brings leaves as one batch, and the next batch leaves
 * when the other side has taken that one up: a port is emptied whole before its thread looks at timers and sockets, and
 * nobody can see how much is in it. What waits meanwhile has a bound, and calls beyond it fail as overloaded.
 *
 * Whether a batch was taken up stands in memory that both sides have, so that a line with little to do carries nothing
 * but calls and answers. A side that has more to send asks there for an acknowledgement, and waits for it. The batch is in
 * that memory as well, as long as it has room for it; a longer one is moved, in memory of its own: a view of a pool would
 * drag the whole pool along.
 *
 * A line waits for its port: calls that are made before there is one leave when it has come.
 */
import { decodeError, encodeError, overloaded, threadEnded } from "./errors.ts";
import {
  ANSWER,
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

/** Posted where the other side waits to hear that its batch was taken up. */
const ACKNOWLEDGEMENT = 1;
/** Posted where a batch is in the memory that both sides have. */
const IN_MEMORY = 2;
/**
 * Bytes of a batch that is handed over there. To move a piece costs several times of what it takes to copy some hundred
 * bytes and to post a number.
 */
const AREA_BYTES = 32 * 1024;

/**
 * What has become of the last batch of a side. The number stands in memory that both sides change:
 *
 * | state | its sender | the other side |
 * | --- | --- | --- |
 * | `TAKEN` | sends the next batch: `ON_ITS_WAY` | |
 * | `ON_ITS_WAY` | has more to send: `AWAITED` | has taken it up by the end of a turn: `TAKEN` |
 * | `AWAITED` | waits | has taken it up: `TAKEN`, and posts a batch of its own or an acknowledgement |
 */
const TAKEN = 0;
const ON_ITS_WAY = 1;
/** The same, and its sender waits for an acknowledgement. */
const AWAITED = 2;

/** The part of a MessagePort that is used. */
export interface Port {
  postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: "message", listener: (value: unknown) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  close(): void;
}

/** One end of a line. */
export interface Line {
  readonly port: Port;
  /** What `newMemory` has made; the other end has the same. */
  readonly memory: SharedArrayBuffer;
  /** Which of the two is this one's. */
  readonly side: 0 | 1;
}

/**
 * What both ends of a new line share: what has become of the last batch of each side, how long it is, and room for it.
 */
export function newMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(2 * (HEAD_BYTES + AREA_BYTES));
}

/** The state of a batch, and its length. */
const HEAD_BYTES = 2 * Int32Array.BYTES_PER_ELEMENT;
const STATE = 0;
const LENGTH = 1;

/** What one side hands over in the memory of a line. */
class Outgoing {
  readonly head: Int32Array<SharedArrayBuffer>;
  readonly area: Buffer<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer, side: 0 | 1) {
    const at = side * (HEAD_BYTES + AREA_BYTES);
    this.head = new Int32Array(memory, at, 2);
    this.area = Buffer.from(memory, at + HEAD_BYTES, AREA_BYTES);
  }
}

interface OpenLine {
  readonly port: Port;
  readonly ours: Outgoing;
  readonly theirs: Outgoing;
}

type Answer = Uint8Array | undefined;

export interface LinkOptions {
  /** Calls back at the end of this turn of the event loop. */
  readonly endOfTurn: (callback: () => void) => void;
  /** Carries out a request of the other thread. */
  readonly serve: (request: Request) => Answer | Promise<Answer>;
}

interface Waiting {
  readonly frame: Frame;
  /** Bytes that it takes. */
  readonly size: number;
}

interface Pending {
  readonly resolve: (answer: Uint8Array | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #calls = new Map<number, Pending>();
  #waiting: Waiting[] = [];
  #bytes = 0;
  #lastId = 0;
  #line: OpenLine | undefined;
  #flushing = false;
  /** A batch of theirs was taken in this turn. */
  #hasTaken = false;
  #over = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Has what waits leave, and from here on what comes. */
  open(line: Line): void {
    if (this.#over) {
      line.port.close();
      return;
    }
    const { memory, port, side } = line;
    const theirSide = side === 0 ? 1 : 0;
    this.#line = {
      port,
      ours: new Outgoing(memory, side),
      theirs: new Outgoing(memory, theirSide),
    };
    line.port.on("message", (value) => this.#take(value));
    line.port.on("close", () => this.end());
    if (this.#waiting.length > 0) this.#flushSoon();
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
    // Of names only the very long ones have to be looked at.
    if (name.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(name) > MAX_NAME_BYTES) {
      return Promise.reject(new RangeError("the name is too long"));
    }
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
    this.#line?.port.close();
    this.#waiting = [];
    this.#bytes = 0;
    for (const { reject } of this.#calls.values()) reject(threadEnded());
    this.#calls.clear();
  }

  #take(value: unknown): void {
    const line = this.#line;
    if (this.#over || line === undefined) return;
    const batch = value === IN_MEMORY ? received(line.theirs) : value;
    if (batch instanceof Uint8Array) {
      this.#hasTaken = true;
      for (const frame of decodeBatch(batch)) this.#handle(frame);
    }
    this.#flushSoon();
  }

  #handle(frame: Frame): void {
    const { id } = frame;
    if (frame.kind === REQUEST) {
      const answer = (body: Answer): void => this.#push({ kind: ANSWER, id, body });
      const failed = (error: unknown): void =>
        this.#push({ kind: ERROR, id, body: encodeError(error) });
      try {
        const served = this.#options.serve(frame);
        if (served instanceof Promise) served.then(answer, failed);
        else answer(served);
      } catch (error) {
        failed(error);
      }
      return;
    }
    const pending = this.#calls.get(id);
    this.#calls.delete(id);
    if (frame.kind === ANSWER) pending?.resolve(frame.body);
    else pending?.reject(decodeError(frame.body));
  }

  #push(frame: Frame): void {
    if (this.#over) return;
    const size = sizeOf(frame);
    this.#waiting.push({ frame, size });
    this.#bytes += size;
    this.#flushSoon();
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
    const line = this.#line;
    if (this.#over || line === undefined) return;
    const { port, theirs } = line;
    const isAwaited = this.#hasTaken && Atomics.exchange(theirs.head, STATE, TAKEN) === AWAITED;
    this.#hasTaken = false;
    // What comes from here says as much as an acknowledgement.
    if (!this.#send(line) && isAwaited) port.postMessage(ACKNOWLEDGEMENT);
  }

  /** Sends a batch, where there is something to send and the last one was taken up. */
  #send({ ours, port }: OpenLine): boolean {
    if (this.#waiting.length === 0) return false;
    const { area, head } = ours;
    if (Atomics.compareExchange(head, STATE, ON_ITS_WAY, AWAITED) !== TAKEN) return false;
    const { batch, bytes } = this.#batch();
    this.#bytes -= bytes;
    Atomics.store(head, STATE, ON_ITS_WAY);
    if (bytes <= AREA_BYTES) {
      encodeBatch(batch, area);
      Atomics.store(head, LENGTH, bytes);
      port.postMessage(IN_MEMORY);
    } else {
      const piece = new Uint8Array(bytes);
      encodeBatch(batch, Buffer.from(piece.buffer));
      port.postMessage(piece, [piece.buffer]);
    }
    // What is left asks for an acknowledgement.
    if (this.#waiting.length > 0) this.#flushSoon();
    return true;
  }

  /** The first of those that wait, as many as one batch has. */
  #batch(): { readonly batch: readonly Waiting[]; readonly bytes: number } {
    let bytes = 0;
    let count = 0;
    for (const { size } of this.#waiting) {
      if (count > 0 && bytes + size > BATCH_BYTES) break;
      bytes += size;
      count += 1;
    }
    const isAll = count === this.#waiting.length;
    const batch = isAll ? this.#waiting : this.#waiting.splice(0, count);
    if (isAll) this.#waiting = [];
    return { batch, bytes };
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) % 0x1_0000_0000;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }
}

/** A copy of the batch that the other side has left: its place is for the next one. */
function received({ area, head }: Outgoing): Uint8Array {
  return new Uint8Array(area.subarray(0, Atomics.load(head, LENGTH)));
}
