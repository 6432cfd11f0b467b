/**
 * A WebSocket client that costs next to nothing: it sends whole frames, and looks through those that it receives for
 * marks without decoding them.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Dialect, Frame } from "../dialect.ts";
import { WRITINGS, type Writing } from "./mark.ts";

export interface Listener {
  /** A mark has come: where it stands, and when it came as `performance.now()` counts. */
  mark(data: Buffer, at: number, writing: Writing, now: number): void;
  /** The target has closed the connection after its set-up. */
  closed(): void;
}

const PATIENCE_MS = 20_000;
/** Bytes of the longest frame that may be received. */
const LONGEST = 1_048_576;
const READ = 262_144;
/**
 * Every read of all sockets goes here, behind the room for what its socket has left over from the one before: everything is
 * looked at before the next read, and nothing is copied but the beginnings of frames.
 */
const ARENA = Buffer.alloc(LONGEST + READ);
const ARRIVING = ARENA.subarray(LONGEST);
const END_OF_EVENT = Buffer.from("\n\n");
/** Frames whose lengths differ by less hold equally many messages: a message is longer than that. */
const ALIKE = 64;

export class RawSocket {
  /** How often something was received: about as often as the target wrote. */
  reads = 0;
  readonly #socket: Socket;
  readonly #binary: boolean;
  /** Whether what comes are server-sent events and not frames. */
  readonly #events: boolean;
  readonly #listener: Listener;
  #closed = false;
  #dropped = false;
  #ready = false;
  /** Frames with data since the handshake; -1 before. */
  #frames = -1;
  #wake: (() => void) | undefined;
  /** The beginning of a frame whose end is still to come. */
  #rest: Buffer | undefined;
  /** How marks stand here: known after the first one. */
  #writing: Writing | undefined;
  /** The last frame that was searched and had one mark: its length, and where the mark was. */
  #single = { length: 0, at: 0 };

  /**
   * Connects, and sends the set-up frames one after the other. Where subscribers of the dialect read server-sent
   * events, one with a channel has no set-up.
   */
  static async open(
    port: number,
    dialect: Dialect,
    setup: readonly Frame[],
    listener: Listener,
    channel?: string,
  ): Promise<RawSocket> {
    const events = channel === undefined ? undefined : dialect.events?.(channel);
    const request = events === undefined ? upgradeOf(dialect, port) : getOf(events, port);
    const opened = new RawSocket(port, dialect, listener, request, events !== undefined);
    await opened.#setUp(
      events === undefined ? setup : [],
      dialect.greets === true || opened.#events,
    );
    return opened;
  }

  private constructor(
    port: number,
    dialect: Dialect,
    listener: Listener,
    request: string,
    events: boolean,
  ) {
    this.#binary = dialect.binary;
    this.#events = events;
    this.#listener = listener;
    this.#socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: ARRIVING,
        callback: (length) => {
          this.#receive(length);
          return true;
        },
      },
    });
    this.#socket.write(request);
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#wake?.();
      if (this.#ready && !this.#dropped) this.#listener.closed();
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
    this.#ready = true;
    this.#wake = undefined;
  }

  async #answers(count: number, what: string): Promise<void> {
    while (!this.#closed && this.#frames < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#closed) throw new Error(`a connection was closed, or waited too long for ${what}`);
  }

  #receive(length: number): void {
    this.reads += 1;
    const end = LONGEST + length;
    let from = LONGEST;
    if (this.#rest !== undefined) {
      from -= this.#rest.length;
      this.#rest.copy(ARENA, from);
    }
    if (this.#frames < 0) from = this.#shake(from, end);
    if (this.#frames >= 0) {
      from = this.#events ? this.#takeEvents(from, end) : this.#take(from, end);
    }
    if (end - from > LONGEST) this.#socket.destroy();
    else this.#rest = from < end ? Buffer.from(ARENA.subarray(from, end)) : undefined;
    this.#wake?.();
  }

  /** Takes the answer to the handshake, once it is whole. @returns where what follows begins */
  #shake(from: number, end: number): number {
    const head = ARENA.toString("latin1", from, end);
    const length = head.indexOf("\r\n\r\n");
    if (length < 0) return from;
    if (!head.startsWith(this.#events ? "HTTP/1.1 200" : "HTTP/1.1 101")) this.#socket.destroy();
    this.#frames = 0;
    return from + length + 4;
  }

  /** Takes all frames that are whole. @returns where the next one begins */
  #take(from: number, end: number): number {
    const now = performance.now();
    for (;;) {
      if (end - from < 2) return from;
      let length = (ARENA[from + 1] as number) & 0x7f;
      let payload = from + 2;
      if (length === 126) {
        if (end - from < 4) return from;
        length = ARENA.readUInt16BE(payload);
        payload += 2;
      } else if (length === 127) {
        if (end - from < 10) return from;
        length = Number(ARENA.readBigUInt64BE(payload));
        payload += 8;
      }
      if (payload + length > end) return from;
      // Control frames are no answers.
      if (((ARENA[from] as number) & 0x08) === 0) {
        this.#frames += 1;
        this.#look(payload, length, now);
      }
      from = payload + length;
    }
  }

  /** Takes all events that are whole. @returns where the next one begins */
  #takeEvents(from: number, end: number): number {
    const now = performance.now();
    for (;;) {
      const blank = ARENA.indexOf(END_OF_EVENT, from);
      if (blank < 0 || blank + END_OF_EVENT.length > end) return from;
      this.#frames += 1;
      this.#look(from, blank - from, now);
      from = blank + END_OF_EVENT.length;
    }
  }

  #look(payload: number, length: number, now: number): void {
    const { length: alike, at } = this.#single;
    const expected = payload + at;
    // Most frames have one mark, and it stands where it stood in the last one. A look there costs a tenth of a search.
    if (
      this.#writing !== undefined &&
      Math.abs(length - alike) < ALIKE &&
      at + this.#writing.length <= length &&
      stands(this.#writing.prefix, expected)
    ) {
      this.#listener.mark(ARENA, expected, this.#writing, now);
    } else {
      this.#search(payload, length, now);
    }
  }

  #search(payload: number, length: number, now: number): void {
    const frame = ARENA.subarray(payload, payload + length);
    this.#writing ??= WRITINGS.find(({ prefix }) => frame.includes(prefix));
    if (this.#writing === undefined) return;
    const { prefix } = this.#writing;
    let marks = 0;
    let stride = length;
    for (let at = frame.indexOf(prefix); at >= 0; ) {
      marks += 1;
      if (marks === 1) this.#single.at = at;
      this.#listener.mark(frame, at, this.#writing, now);
      // Messages in a frame follow each other, and are about equally long.
      if (at + stride + prefix.length <= length && stands(prefix, payload + at + stride)) {
        at += stride;
        continue;
      }
      const next = frame.indexOf(prefix, at + prefix.length);
      stride = next - at;
      at = next;
    }
    this.#single.length = marks === 1 ? length : 0;
  }
}

function upgradeOf({ path, subprotocol }: Dialect, port: number): string {
  return requestOf(path, port, [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
  ]);
}

function getOf(
  { path, headers }: ReturnType<NonNullable<Dialect["events"]>>,
  port: number,
): string {
  return requestOf(path, port, headers);
}

function requestOf(path: string, port: number, headers: readonly string[]): string {
  const lines = [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...headers];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function stands(prefix: Buffer, at: number): boolean {
  for (let i = 0; i < prefix.length; i++) {
    if (ARENA[at + i] !== prefix[i]) return false;
  }
  return true;
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
