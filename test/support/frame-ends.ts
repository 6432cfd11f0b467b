/** Where the frames of a WebSocket end in the bytes that a server sends, so that something can be put between them. */

const CRLF_2 = "\r\n\r\n";
/** Bytes of a frame's head that say how long the rest of the head is. */
const HEAD = 2;

/** A moment after a frame. */
export interface FrameEnd {
  /** Bytes of the chunk up to here. */
  readonly at: number;
  /** The frame is no part of a message that goes on. */
  readonly whole: boolean;
}

/** Knows where it is in what a server sends. */
export interface Ends {
  /** Whether something may begin after the last byte. */
  readonly whole: boolean;
  /** Takes the next bytes, and tells where frames end in them. */
  take(chunk: Buffer): FrameEnd[];
}

export class FrameEnds implements Ends {
  /** Head of the response, and after it of the frame, as far as it has come. */
  #head = Buffer.alloc(0);
  #upgraded = false;
  /** Bytes of the frame's payload that are still to come. */
  #left = 0;
  /** Nothing was begun that is not over. */
  #clean = false;
  #whole = true;

  get whole(): boolean {
    return this.#clean && this.#whole;
  }

  take(chunk: Buffer): FrameEnd[] {
    const ends: FrameEnd[] = [];
    let at = 0;
    while (at < chunk.length) {
      this.#clean = false;
      if (this.#left > 0) {
        const part = Math.min(this.#left, chunk.length - at);
        this.#left -= part;
        at += part;
      } else {
        this.#head = Buffer.concat([this.#head, chunk.subarray(at, at + 1)]);
        at += 1;
        if (!this.#begun()) continue;
      }
      if (this.#left > 0) continue;
      this.#clean = true;
      ends.push({ at, whole: this.#whole });
    }
    return ends;
  }

  /** Whether the head is there; then it is known what is left. */
  #begun(): boolean {
    const head = this.#head;
    if (!this.#upgraded) {
      if (!head.subarray(-CRLF_2.length).equals(Buffer.from(CRLF_2))) return false;
      this.#upgraded = true;
    } else {
      if (head.length < HEAD) return false;
      const [first = 0, second = 0] = head;
      const short = second & 0x7f;
      const more = short === 126 ? 2 : short === 127 ? 8 : 0;
      if (head.length < HEAD + more) return false;
      if (more === 0) this.#left = short;
      else this.#left = more === 2 ? head.readUInt16BE(HEAD) : Number(head.readBigUInt64BE(HEAD));
      // A control frame may stand between the parts of a message.
      if ((first & 0x08) === 0) this.#whole = (first & 0x80) !== 0;
    }
    this.#head = Buffer.alloc(0);
    return true;
  }
}

/** A frame as a server sends it: whole, and without a mask. */
export function serverFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const head =
    length < 126
      ? Buffer.from([0x80 | opcode, length])
      : Buffer.from([0x80 | opcode, 126, length >> 8, length & 0xff]);
  return Buffer.concat([head, payload]);
}

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;

export function closeFrame(code: number, reason: string): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return serverFrame(CLOSE, payload);
}
