/** Frames as they stand on the wire, each made once for all its receivers. */
import { constants, deflateRawSync } from "node:zlib";
import type { SizedFrame } from "../../protocol/publication-frames.ts";

const TEXT = 0x81;
const BINARY = 0x82;
/** Says of a message that it is compressed. */
const RSV1 = 0x40;
/** What a shorter frame would save is not worth its compression. */
const MIN_COMPRESSED_BYTES = 512;
/**
 * Up to 8 KB level 1 takes as long and saves less; from 2 KB on level 6 takes twice as long and saves a twentieth more.
 */
const LEVEL = 3;
/** Where a message ends, RFC 7692 has this left out. */
const FLUSH_MARK_BYTES = 4;
/** What a window has to hold beside the data, for all of the data to be in reach. */
const LOOK_AHEAD_BYTES = 262;

/**
 * A whole WebSocket frame from a server: final, unmasked, uncompressed.
 *
 * @param lasting whether it may lie in memory for long, and then must not keep more than itself there
 */
export function wireForm(frame: SizedFrame, lasting = false): Uint8Array {
  const known = frame.prepared;
  if (known === undefined) frame.prepared = encodeFrame(frame, lasting);
  else if (lasting) frame.prepared = unpooled(known);
  return frame.prepared as Uint8Array;
}

/**
 * The same for receivers with whom compression is agreed: compressed by itself, where that makes it smaller. So the
 * compressed frame is the same for all of them.
 */
export function compressedForm(frame: SizedFrame, lasting = false): Uint8Array {
  if (frame.bytes < MIN_COMPRESSED_BYTES) return wireForm(frame, lasting);
  const known = frame.compressed ?? deflated(frame) ?? wireForm(frame, lasting);
  frame.compressed = lasting ? unpooled(known) : known;
  return frame.compressed;
}

function encodeFrame({ data, bytes }: SizedFrame, lasting: boolean): Uint8Array {
  const header = headerBytes(bytes);
  const size = header + bytes;
  const buffer = lasting ? Buffer.allocUnsafeSlow(size) : Buffer.allocUnsafe(size);
  writeHeader(buffer, typeof data === "string" ? TEXT : BINARY, bytes);
  if (typeof data === "string") buffer.write(data, header, "utf8");
  else buffer.set(data, header);
  return buffer;
}

/** Undefined where it would be no smaller. */
function deflated({ data, bytes }: SizedFrame): Uint8Array | undefined {
  const flushed = deflateRawSync(data, {
    level: LEVEL,
    // As much as the data needs: most of the time goes into what is set up for each frame.
    windowBits: Math.min(15, 32 - Math.clz32(bytes + LOOK_AHEAD_BYTES)),
    memLevel: 5,
    chunkSize: bytes,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  const length = flushed.length - FLUSH_MARK_BYTES;
  if (length >= bytes) return undefined;
  const header = headerBytes(length);
  // No piece of the runtime's pool, so that it may lie in memory for long.
  const buffer = Buffer.allocUnsafeSlow(header + length);
  writeHeader(buffer, (typeof data === "string" ? TEXT : BINARY) | RSV1, length);
  flushed.copy(buffer, header, 0, length);
  return buffer;
}

function headerBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(buffer: Buffer, first: number, length: number): void {
  buffer[0] = first;
  if (length < 126) buffer[1] = length;
  else if (length < 65_536) {
    buffer[1] = 126;
    buffer.writeUInt16BE(length, 2);
  } else {
    buffer[1] = 127;
    buffer.writeUInt32BE(0, 2);
    buffer.writeUInt32BE(length, 6);
  }
}

/**
 * The same bytes, but no piece of the runtime's pool, which stays in memory as a whole with each of its
 * pieces.
 */
export function unpooled(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > bytes.byteLength ? new Uint8Array(bytes) : bytes;
}
