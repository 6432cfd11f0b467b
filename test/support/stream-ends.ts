/**
 * Where the messages of a stream end in the bytes that a server sends over HTTP/1.1, so that something can be put between them:
 * those of a Connect stream, and server-sent events. On the same connection there may be other answers, one after the other.
 */
import type { Ends, FrameEnd } from "./frame-ends.ts";

const LINE = "\r\n";
/** Ends an event. */
const BLANK = "\n\n";
/** Flags and length before each message. */
const PREFIX_BYTES = 5;
/** Of the message that says how a stream ends. */
const END = 2;

/** Ends an answer. */
export const LAST_CHUNK = Buffer.from(`0${LINE}${LINE}`);

type Part = "head" | "body" | "size" | "chunk" | "line end" | "last line";

export class StreamEnds implements Ends {
  #part: Part = "head";
  /** A head or a line, as far as it has come. */
  #text = "";
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #stream: "connect" | "events" | undefined;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  /** Bytes of the prefix that are there, and of the message that are not. */
  #filled = 0;
  #message = 0;
  /** Lines since the last event has ended. */
  #event = "";
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
        if (this.#part === "chunk") this.#read(piece);
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
      if (!ended || this.#stream === undefined || this.#isWithin()) continue;
      this.#whole = true;
      ends.push({ at, whole: true });
    }
    return ends;
  }

  #next(text: string): void {
    switch (this.#part) {
      case "head": {
        const isChunked = /^transfer-encoding: *chunked/im.test(text);
        const [, type] =
          /^content-type: *(application\/connect\+|text\/event-stream)/im.exec(text) ?? [];
        if (isChunked && type) this.#stream = type.startsWith("text") ? "events" : "connect";
        this.#event = "";
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
        this.#stream = undefined;
        this.#part = "head";
    }
  }

  /** Whether a message has begun and is not over. A comment is none, and goes before an event as well as after it. */
  #isWithin(): boolean {
    return this.#filled > 0 || this.#message > 0 || !/^(:\n)*$/.test(this.#event);
  }

  /** A piece of the messages. */
  #read(piece: Buffer): void {
    if (this.#stream === "connect") this.#readMessages(piece);
    else if (this.#stream === "events") {
      const text = this.#event + piece.toString("latin1");
      this.#event = text.split(BLANK).at(-1) ?? "";
    }
  }

  #readMessages(piece: Buffer): void {
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
      if (this.#prefix[0] === END) this.#stream = undefined;
    }
  }
}

/** A message of a Connect stream, as a chunk of HTTP. */
export function streamChunk(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(PREFIX_BYTES);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return chunk(Buffer.concat([head, message]));
}

/** What ends a Connect stream, after its last message: how it ends, as JSON, and the end of the answer. */
export function streamEnd(told = "{}"): Buffer {
  return Buffer.concat([streamChunk(Buffer.from(told), END), LAST_CHUNK]);
}

/** A server-sent event, as a chunk of HTTP. */
export function eventChunk(event: string, data: object): Buffer {
  return chunk(Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}${BLANK}`));
}

function chunk(content: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(content.length.toString(16) + LINE),
    content,
    Buffer.from(LINE),
  ]);
}
