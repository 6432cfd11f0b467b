/** Frames as they stand on the wire, each made once for all its receivers. */
import type { SizedFrame } from "../../protocol/publication-frames.ts";

const TEXT = 0x81;
const BINARY = 0x82;

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

function encodeFrame({ data, bytes }: SizedFrame, lasting: boolean): Uint8Array {
  const header = bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10;
  const size = header + bytes;
  const buffer = lasting ? Buffer.allocUnsafeSlow(size) : Buffer.allocUnsafe(size);
  buffer[0] = typeof data === "string" ? TEXT : BINARY;
  if (header === 2) buffer[1] = bytes;
  else if (header === 4) {
    buffer[1] = 126;
    buffer.writeUInt16BE(bytes, 2);
  } else {
    buffer[1] = 127;
    buffer.writeUInt32BE(0, 2);
    buffer.writeUInt32BE(bytes, 6);
  }
  if (typeof data === "string") buffer.write(data, header, "utf8");
  else buffer.set(data, header);
  return buffer;
}

/**
 * The same bytes, but no piece of the runtime's pool, which stays in memory as a whole with each of its
 * pieces.
 */
export function unpooled(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > bytes.byteLength ? new Uint8Array(bytes) : bytes;
}
