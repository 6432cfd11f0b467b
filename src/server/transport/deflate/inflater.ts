/**
 * Compressed messages of one client, made whole again.
 *
 * | state | since | a fragment |
 * | --- | --- | --- |
 * | idle | the beginning, or the library has its answer | waits for a turn |
 * | waiting | a fragment has come | none comes: the library waits for its answer |
 * | held | `hold`: the socket is not read | is kept without a turn, until `release` |
 */
import { inflateRawSync } from "node:zlib";
import type { WebSocket } from "ws";
import type { Turns, Waiter } from "../turn-taking.ts";

/**
 * What ends the data of each message and is not sent (RFC 7692), and after it an empty last block: so data that ends too
 * early is an error, and no shorter message.
 */
const END = Buffer.from([0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]);
const NOTHING = Buffer.alloc(0);

/** Close codes of a message that cannot be made whole: it is no compressed data, or longer than a message may be. */
export type InflateFailure = 1007 | 1009;

/** A WebSocket of the library, which looks up its extensions by name with each compressed frame. */
interface Extensible {
  readonly _extensions: Record<string, unknown>;
}

type Callback = (error: Error | null, data: Buffer) => void;

/**
 * Stands in the place of the library's own extension, which would keep a window for each connection. A message is
 * made whole when all of it is there, in a turn of its client, and not while the client's socket is not read: a few
 * bytes may become a long message, so that one read of a socket may hold a thousand times what it looks like. So of all
 * messages in the process one is being made whole at a time.
 */
export class Inflater implements Waiter {
  readonly #turns: Turns;
  readonly #maxBytes: number;
  readonly #fail: (code: InflateFailure) => void;
  /** What has come of a message. */
  #parts: Buffer[] | undefined;
  /** What waits for its turn; the library brings nothing more before it has its answer. */
  #next: { readonly final: boolean; readonly callback: Callback } | undefined;
  #held = false;

  /**
   * @param maxBytes bytes that a message may have
   * @param fail closes the connection
   */
  constructor(turns: Turns, maxBytes: number, fail: (code: InflateFailure) => void) {
    this.#turns = turns;
    this.#maxBytes = maxBytes;
    this.#fail = fail;
  }

  /** Has the library bring to it what is compressed. Called before the first message. */
  attach(ws: WebSocket): void {
    (ws as unknown as Extensible)._extensions["permessage-deflate"] = this;
  }

  /**
   * Called by the library, for each fragment of a message.
   *
   * @param callback gets the message with the last of them, and nothing with the others. Never called at once
   */
  decompress(data: Buffer, final: boolean, callback: Callback): void {
    if (data.length > 0) {
      this.#parts ??= [];
      this.#parts.push(data);
    }
    this.#next = { final, callback };
    if (!this.#held) this.#turns.wait(this);
  }

  /** Called by the library when the connection has ended. */
  cleanup(): void {
    this.#turns.leave(this);
    this.#parts = undefined;
    this.#next = undefined;
  }

  /** Nothing is made whole until `release`. */
  hold(): void {
    this.#held = true;
    this.#turns.leave(this);
  }

  release(): void {
    this.#held = false;
    if (this.#next !== undefined) this.#turns.wait(this);
  }

  /** Hands over what waits. What follows it has come back to wait by itself. */
  takeOne(): boolean {
    const next = this.#next;
    this.#next = undefined;
    if (next?.final === true) this.#finish(next.callback);
    else next?.callback(null, NOTHING);
    return false;
  }

  #finish(callback: Callback): void {
    const parts = this.#parts;
    this.#parts = undefined;
    let message = NOTHING;
    try {
      // Without any data it is an empty message.
      if (parts !== undefined) {
        const data = Buffer.concat([...parts, END]);
        message = inflateRawSync(data, { maxOutputLength: this.#maxBytes });
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#fail(code === "ERR_BUFFER_TOO_LARGE" ? 1009 : 1007);
      // The library reads nothing more.
      callback(error as Error, NOTHING);
      return;
    }
    callback(null, message);
  }
}
