/** Short random names, for the lives of logs and for nodes. */

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LENGTH = 12;

/**
 * Twelve random letters and digits, about 71 bits: short enough to stand in every message id.
 *
 * @param randomBytes that many unguessable bytes
 */
export function shortId(randomBytes: (length: number) => Uint8Array): string {
  let id = "";
  while (id.length < LENGTH) {
    // 248 is the largest multiple of 62 in a byte: higher values would favour some letters.
    for (const byte of randomBytes(16)) {
      if (byte < 248 && id.length < LENGTH) id += ALPHABET[byte % 62];
    }
  }
  return id;
}
