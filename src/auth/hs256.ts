/**
 * Tokens of HS256 as nearly all of them are, taken apart for the host's own HMAC. By the library each of them
 * goes through WebCrypto, which in Node wakes another thread up.
 */
import { base64Decode, getTextEncoding } from "@bufbuild/protobuf/wire";
import { utf8Encode } from "../protocol/utf8.ts";

export interface PlainHs256 {
  /** What the signature stands for. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly claims: Uint8Array;
}

/** Three parts of base64url without padding, of which the signature alone may be empty. */
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/;

/**
 * Takes a token apart. Nothing of it is checked, and its header has named no key.
 *
 * @returns undefined for a token of another algorithm or with extensions, and for what is no token: those are for
 * the library to read or to refuse
 */
export function plainHs256(token: string): PlainHs256 | undefined {
  const [, header, claims, signature] = COMPACT.exec(token) ?? [];
  if (header === undefined || claims === undefined || signature === undefined) return undefined;
  try {
    const said: unknown = JSON.parse(getTextEncoding().decodeUtf8(base64Decode(header), true));
    if (!isPlain(said)) return undefined;
    return {
      signed: utf8Encode(`${header}.${claims}`),
      signature: base64Decode(signature),
      claims: base64Decode(claims),
    };
  } catch {
    return undefined;
  }
}

function isPlain(header: unknown): boolean {
  if (typeof header !== "object" || header === null) return false;
  const { alg, crit, kid } = header as Readonly<Record<string, unknown>>;
  return alg === "HS256" && crit === undefined && (kid === undefined || typeof kid === "string");
}
