/** UTF-8 without ambient types: the protobuf runtime's encoder is the only one the neutral rooms know. */
import { getTextEncoding } from "@bufbuild/protobuf/wire";

/** Bytes of a string. Lone surrogates become U+FFFD; check `isWellFormed` first where that matters. */
export function utf8Encode(text: string): Uint8Array<ArrayBuffer> {
  return getTextEncoding().encodeUtf8(text);
}

/** A string from bytes; bytes that are not UTF-8 become U+FFFD. */
export function utf8Decode(bytes: Uint8Array): string {
  return getTextEncoding().decodeUtf8(bytes);
}

/** Length of a string in bytes of UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      // A pair is four bytes for two units.
      length += 2;
      i++;
    } else length += 2;
  }
  return length;
}

/** The longest prefix of at most `limit` bytes that does not cut a character. */
export function utf8Cut(text: string, limit: number): string {
  if (utf8Length(text) <= limit) return text;
  let cut = "";
  let used = 0;
  for (const character of text) {
    used += utf8Length(character);
    if (used > limit) break;
    cut += character;
  }
  return cut;
}
