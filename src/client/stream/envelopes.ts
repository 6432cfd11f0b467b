/** Messages of a Connect stream: each has one byte of flags and four of its length before it. */

/** Of the last message, which says how the stream ends. */
export const END = 2;
const PREFIX_BYTES = 5;
/** What says that it is longer is no stream of ours. */
const LONGEST_BYTES = 2 ** 28;

/** A message as a stream has it. */
export function enveloped(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/** Puts messages together out of the pieces that they come in. */
export class EnvelopeReader {
  readonly #take: (flags: number, message: Uint8Array<ArrayBuffer>) => void;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  /** Undefined while the prefix is not whole. */
  #message: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes of the prefix, or of the message, that are there. */
  #filled = 0;

  /** @param take is given each message as soon as it is whole */
  constructor(take: (flags: number, message: Uint8Array<ArrayBuffer>) => void) {
    this.#take = take;
  }

  /** @throws RangeError for a length that no message has */
  read(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const target = this.#message ?? this.#prefix;
      const piece = chunk.subarray(at, at + target.length - this.#filled);
      target.set(piece, this.#filled);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled < target.length) return;
      this.#filled = 0;
      if (target === this.#prefix) {
        const length = new DataView(this.#prefix.buffer).getUint32(1);
        if (length > LONGEST_BYTES) throw new RangeError(`a message of ${length} bytes`);
        this.#message = new Uint8Array(length);
        if (length > 0) continue;
      }
      const message = this.#message ?? new Uint8Array();
      this.#message = undefined;
      this.#take(this.#prefix[0] ?? 0, message);
    }
  }
}
