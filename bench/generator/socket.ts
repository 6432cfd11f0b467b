/**
 * A WebSocket client that costs next to nothing: it sends whole frames, and looks through what it receives for marks
 * without taking frames apart.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Dialect, Frame } from "../dialect.ts";
import { WRITINGS, type Writing } from "./mark.ts";

const PATIENCE_MS = 20_000;
/** What is received goes through one buffer: everything is looked at before the next read. */
const SHARED = Buffer.alloc(256 * 1_024);

export interface Listener {
  /** A mark has come: where it stands, and when it came as `performance.now()` counts. */
  mark(data: Buffer, at: number, writing: Writing, now: number): void;
  /** The target has closed the connection after its set-up. */
  closed(): void;
}

export class RawSocket {
  /** How often something was received: about as often as the target wrote. */
  reads = 0;
  #closed = false;
  #dropped = false;
  readonly #socket: Socket;
  readonly #binary: boolean;
  readonly #listener: Listener;
  /** How marks stand here: known after the first one. */
  #writing: Writing | undefined;
  /** Distance of the last two marks that were searched for. */
  #stride = Number.MAX_SAFE_INTEGER;
  /** The beginning of a mark whose end is still to come. */
  #rest: Buffer | undefined;
  /** Only while answers are waited for: what has come. */
  #frames: FrameCount | undefined = new FrameCount();
  #wake: (() => void) | undefined;

  /** Connects, and sends the set-up frames one after the other. */
  static async open(
    port: number,
    dialect: Dialect,
    setup: readonly Frame[],
    listener: Listener,
  ): Promise<RawSocket> {
    const opened = new RawSocket(port, dialect, listener);
    await opened.#setUp(setup, dialect.greets === true);
    return opened;
  }

  private constructor(port: number, dialect: Dialect, listener: Listener) {
    this.#binary = dialect.binary;
    this.#listener = listener;
    this.#socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: SHARED,
        callback: (length) => {
          this.#receive(SHARED.subarray(0, length));
          return true;
        },
      },
    });
    const { subprotocol, path } = dialect;
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
        `${subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`}\r\n`,
    );
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#wake?.();
      if (this.#frames === undefined && !this.#dropped) this.#listener.closed();
    });
  }

  send(frame: Frame): void {
    this.#socket.write(masked(Buffer.from(frame), this.#binary));
  }

  /** What is sent until `uncork` leaves at once. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Ends it without a word. */
  drop(): void {
    this.#dropped = true;
    this.#socket.destroy();
  }

  async #setUp(setup: readonly Frame[], greets: boolean): Promise<void> {
    const late = setTimeout(() => this.#socket.destroy(), PATIENCE_MS);
    try {
      let answers = greets ? 1 : 0;
      await this.#answers(answers, "the handshake");
      for (const frame of setup) {
        this.send(frame);
        answers += 1;
        await this.#answers(answers, `answer ${answers}`);
      }
    } finally {
      clearTimeout(late);
    }
    this.#frames = undefined;
  }

  async #answers(count: number, what: string): Promise<void> {
    while (!this.#closed && (this.#frames?.count ?? count) < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#closed) throw new Error(`a connection was closed, or waited too long for ${what}`);
  }

  #receive(data: Buffer): void {
    this.reads += 1;
    if (this.#frames !== undefined) {
      this.#frames.push(data);
      if (this.#frames.refused) this.#socket.destroy();
      this.#wake?.();
    }
    const all = this.#rest === undefined ? data : Buffer.concat([this.#rest, data]);
    this.#rest = undefined;
    this.#writing ??= WRITINGS.find(({ prefix }) => all.includes(prefix));
    if (this.#writing === undefined) {
      this.#keepAny(all);
      return;
    }
    const { prefix, length } = this.#writing;
    const now = performance.now();
    let from = 0;
    let at = all.indexOf(prefix);
    while (at >= 0 && at + length <= all.length) {
      this.#listener.mark(all, at, this.#writing, now);
      from = at + length;
      // The messages of a load are about equally long, so that most marks stand as far from the one before as that from
      // the one before it. To look there costs a tenth of a search; where it skips one, the load misses that one.
      if (stands(all, at + this.#stride, prefix)) {
        at += this.#stride;
        continue;
      }
      const next = all.indexOf(prefix, from);
      if (next >= 0) this.#stride = next - at;
      at = next;
    }
    this.#keep(all, from, prefix, length);
  }

  /** Keeps the end, if it may be the beginning of a mark. */
  #keep(all: Buffer, from: number, prefix: Buffer, length: number): void {
    for (let at = Math.max(from, all.length - length + 1); at < all.length; at++) {
      if (begins(all, at, prefix)) {
        this.#rest = Buffer.from(all.subarray(at));
        return;
      }
    }
  }

  /** The same before it is known how marks stand here. */
  #keepAny(all: Buffer): void {
    const longest = Math.max(...WRITINGS.map(({ length }) => length));
    this.#rest = Buffer.from(all.subarray(Math.max(0, all.length - longest + 1)));
  }
}

function stands(data: Buffer, at: number, prefix: Buffer): boolean {
  return at + prefix.length <= data.length && begins(data, at, prefix);
}

/** Whether what stands there is a prefix, or all that there is of one. */
function begins(data: Buffer, at: number, prefix: Buffer): boolean {
  const end = Math.min(prefix.length, data.length - at);
  for (let i = 0; i < end; i++) {
    if (data[at + i] !== prefix[i]) return false;
  }
  return true;
}

/** Counts the frames after a handshake. */
class FrameCount {
  /** -1 before the handshake is done. */
  count = -1;
  refused = false;
  #data = Buffer.alloc(0);

  push(data: Buffer): void {
    this.#data = Buffer.concat([this.#data, data]);
    if (this.count < 0) {
      const end = this.#data.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!this.#data.toString("latin1", 0, 12).startsWith("HTTP/1.1 101")) this.refused = true;
      this.count = 0;
      this.#data = this.#data.subarray(end + 4);
    }
    for (;;) {
      const length = frameLength(this.#data);
      if (length === undefined || length > this.#data.length) return;
      // Control frames answer nothing.
      if (((this.#data[0] ?? 0) & 0x08) === 0) this.count += 1;
      this.#data = this.#data.subarray(length);
    }
  }
}

/** Length of the frame at the beginning, its head included; undefined where more is needed to know. */
function frameLength(data: Buffer): number | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 0x7f;
  if (short < 126) return 2 + short;
  if (short === 126) return data.length < 4 ? undefined : 4 + data.readUInt16BE(2);
  return data.length < 10 ? undefined : 10 + Number(data.readBigUInt64BE(2));
}

/** A whole frame of a client. The mask is zero: what it would change costs the target the same. */
function masked(data: Buffer, binary: boolean): Buffer {
  const { length } = data;
  if (length > 0xffff) throw new RangeError("frames of clients are shorter than 64 KiB here");
  const head = length < 126 ? 6 : 8;
  const frame = Buffer.alloc(head + length);
  frame[0] = binary ? 0x82 : 0x81;
  frame[1] = 0x80 | (length < 126 ? length : 126);
  if (length >= 126) frame.writeUInt16BE(length, 2);
  data.copy(frame, head);
  return frame;
}
