/**
 * Where the messages of a Connect stream end in the bytes that a server sends over HTTP/1.1, so that something can be put between
 * them. On the same connection there may be other answers, one after the other.
 */
import type { Ends, FrameEnd } from "./frame-ends.ts";

const LINE = "\r\n";
/** Flags and length before each message. */
const PREFIX_BYTES = 5;
/** Of the message that says how a stream ends. */
const END = 2;

type Part = "head" | "body" | "size" | "chunk" | "line end" | "last line";

export class StreamEnds implements Ends {
  #part: Part = "head";
  /** A head or a line, as far as it has come. */
  #text = "";
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #isStream = false;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  /** Bytes of the prefix that are there, and of the message that are not. */
  #filled = 0;
  #message = 0;
  #whole = false;

  get whole(): boolean {
    return this.#whole;
  }

  take(chunk: Buffer): FrameEnd[] {
    const ends: FrameEnd[] = [];
    for (let at = 0; at < chunk.length; ) {
      this.#whole = false;
      if (this.#part === "body" || this.#part === "chunk") {
        const piece = chunk.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#part === "chunk" && this.#isStream) this.#read(piece);
        if (this.#left === 0) this.#part = this.#part === "body" ? "head" : "line end";
        continue;
      }
      this.#text += String.fromCharCode(chunk[at] ?? 0);
      at += 1;
      if (!this.#text.endsWith(this.#part === "head" ? LINE + LINE : LINE)) continue;
      const ended = this.#part === "line end";
      this.#next(this.#text);
      this.#text = "";
      // An answer of which nothing has come yet is none that is under way.
      if (!ended || !this.#isStream || this.#filled > 0 || this.#message > 0) continue;
      this.#whole = true;
      ends.push({ at, whole: true });
    }
    return ends;
  }

  #next(text: string): void {
    switch (this.#part) {
      case "head": {
        const isChunked = /^transfer-encoding: *chunked/im.test(text);
        this.#isStream = isChunked && /^content-type: *application\/connect\+/im.test(text);
        this.#left = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
        if (isChunked) this.#part = "size";
        else if (this.#left > 0) this.#part = "body";
        return;
      }
      case "size":
        this.#left = Number.parseInt(text, 16);
        this.#part = this.#left > 0 ? "chunk" : "last line";
        return;
      case "line end":
        this.#part = "size";
        return;
      default:
        this.#isStream = false;
        this.#part = "head";
    }
  }

  /** A piece of the messages. */
  #read(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#message > 0) {
        const part = Math.min(this.#message, piece.length - at);
        this.#message -= part;
        at += part;
        continue;
      }
      this.#prefix[this.#filled] = piece[at] ?? 0;
      this.#filled += 1;
      at += 1;
      if (this.#filled < PREFIX_BYTES) continue;
      this.#filled = 0;
      this.#message = this.#prefix.readUInt32BE(1);
      // After it nothing may come.
      if (this.#prefix[0] === END) this.#isStream = false;
    }
  }
}

/** A message of a stream, as a chunk of HTTP. */
export function streamChunk(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(PREFIX_BYTES);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  const size = Buffer.from((PREFIX_BYTES + message.length).toString(16) + LINE);
  return Buffer.concat([size, head, message, Buffer.from(LINE)]);
}

/** What ends a stream, after its last message: how it ends, as JSON, and the end of the answer. */
export function streamEnd(told = "{}"): Buffer {
  return Buffer.concat([streamChunk(Buffer.from(told), END), Buffer.from(`0${LINE}${LINE}`)]);
}
