/**
 * What one thread hands over to another in one turn: requests and answers, one after the other in one piece. A list of
 * pieces costs ten times as much as one.
 *
 * ```
 * batch  = frame*
 * frame  = kind(1) id(4) ...
 *   request: method(1) name length(2) name, body length(4) body
 *   answer:  body length(4) body      0xffffffff for an answer without bytes
 *   error:   body length(4) JSON
 * ```
 */

export const REQUEST = 0;
export const ANSWER = 1;
export const ERROR = 2;

const NO_BODY = 0xffff_ffff;
const EMPTY = new Uint8Array();
/** Kind and id, and the length of a body. */
const HEAD_BYTES = 9;
/** Method, and the length of a name. */
const CALLED_BYTES = 3;

/** Longest name of an object, in bytes. */
export const MAX_NAME_BYTES = 0xffff;

export interface Request {
  readonly kind: typeof REQUEST;
  readonly id: number;
  readonly method: number;
  /** Of the object. */
  readonly name: string;
  readonly body: Uint8Array;
}

export interface Answer {
  readonly kind: typeof ANSWER;
  readonly id: number;
  /** Undefined of a method that answers nothing. */
  readonly body: Uint8Array | undefined;
}

export interface Failure {
  readonly kind: typeof ERROR;
  readonly id: number;
  readonly body: Uint8Array;
}

export type Frame = Request | Answer | Failure;

/** Bytes that a frame takes. */
export function sizeOf(frame: Frame): number {
  const size = HEAD_BYTES + (frame.body?.length ?? 0);
  return frame.kind === REQUEST ? size + CALLED_BYTES + Buffer.byteLength(frame.name) : size;
}

/** Writes frames one after the other. */
export function encodeBatch(
  frames: Iterable<{ readonly frame: Frame }>,
  buffer: Buffer<ArrayBufferLike>,
): void {
  let at = 0;
  for (const { frame } of frames) {
    const { kind, id, body } = frame;
    at = buffer.writeUInt8(kind, at);
    at = buffer.writeUInt32LE(id, at);
    if (frame.kind === REQUEST) {
      at = buffer.writeUInt8(frame.method, at);
      const written = buffer.write(frame.name, at + 2);
      buffer.writeUInt16LE(written, at);
      at += 2 + written;
    }
    at = buffer.writeUInt32LE(body?.length ?? NO_BODY, at);
    if (body === undefined) continue;
    buffer.set(body, at);
    at += body.length;
  }
}

/** The frames of a batch. Their bodies are views of it. */
export function* decodeBatch(batch: Uint8Array): Iterable<Frame> {
  const buffer = Buffer.from(batch.buffer, batch.byteOffset, batch.length);
  let at = 0;
  while (at < batch.length) {
    const kind = buffer.readUInt8(at);
    const id = buffer.readUInt32LE(at + 1);
    at += 5;
    let method = 0;
    let name = "";
    if (kind === REQUEST) {
      method = buffer.readUInt8(at);
      const length = buffer.readUInt16LE(at + 1);
      at += CALLED_BYTES;
      name = buffer.toString("utf8", at, at + length);
      at += length;
    }
    const length = buffer.readUInt32LE(at);
    at += 4;
    const body = length === NO_BODY ? undefined : batch.subarray(at, at + length);
    at += body?.length ?? 0;
    if (kind === REQUEST) yield { kind, id, method, name, body: body ?? EMPTY };
    else if (kind === ANSWER) yield { kind, id, body };
    else yield { kind: ERROR, id, body: body ?? EMPTY };
  }
}
