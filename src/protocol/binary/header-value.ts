/**
 * What `ce-` headers say. The HTTP binding wants values percent-encoded. The SDKs for JavaScript, Go and Java do
 * not encode, and a percent sign of theirs means itself, while that for Python does: which of the two a sender is
 * has to be seen from what it sends.
 */
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { MessagingError } from "../errors.ts";
import { utf8Encode } from "../utf8.ts";

/** What an encoded value is made of: printable ASCII without blank and double quote, and percent signs before two digits. */
const ENCODED = /^(?:[\x21\x23\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*$/;
/** A URI reference by its characters (RFC 3986). */
const URI_REFERENCE = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*$/;
/** Attributes that are URI references. */
const URIS: ReadonlySet<string> = new Set(["source", "dataschema"]);
const NOT_UTF8 = "holds bytes that are not UTF-8: percent-encode it, or use the structured mode";

/** The attributes in the headers of one request, by name, each as its bytes read as UTF-8. */
type Values = ReadonlyMap<string, string>;

/**
 * The texts of attributes.
 *
 * They are decoded where all of them are what the binding makes of a text. One that the binding would have
 * encoded otherwise, such as `a b`, `100%` or `a%2Fb`, is of a sender that does not encode, and then each stands for
 * itself. So does, in any case, a URI reference that would be none after decoding: `/a%20b` is one, `/a b` is not.
 *
 * @throws MessagingError BAD_REQUEST for encoded bytes that are not UTF-8, and for a value in double quotes
 */
export function attributeTexts(values: Values): Map<string, string> {
  for (const [name, value] of values) {
    // In HTTP they may stand around a value, and for a sender that does not encode they are part of it.
    if (value.length > 1 && value.startsWith('"') && value.endsWith('"')) {
      throw bad(name, "stands in double quotes: encode them as %22, or use the structured mode");
    }
  }
  if (![...values.values()].every(mayBeEncoded)) return new Map(values);
  return new Map([...values].map(([name, value]) => [name, decoded(name, value)]));
}

/**
 * The bytes of a header as UTF-8.
 *
 * @param value a character for each byte, or read as UTF-8 already, as workerd does
 * @throws MessagingError BAD_REQUEST where they are not
 */
export function headerText(name: string, value: string, isText: boolean): string {
  const text = isText || !/[\x80-\xff]/.test(value) ? value : utf8Of(value);
  // U+FFFD is what workerd makes of bytes that are none.
  if (text?.includes("\ufffd") !== false) throw bad(name, NOT_UTF8);
  return text;
}

function mayBeEncoded(value: string): boolean {
  if (!ENCODED.test(value)) return false;
  if (!value.includes("%")) return true;
  const text = decodedUri(value);
  return text === undefined || encoded(text) === value.replace(/%../g, upperCase);
}

function decoded(name: string, value: string): string {
  if (!value.includes("%")) return value;
  const text = decodedUri(value);
  if (text === undefined) throw bad(name, NOT_UTF8);
  return URIS.has(name) && URI_REFERENCE.test(value) && !URI_REFERENCE.test(text) ? value : text;
}

function decodedUri(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

/** A text as the binding encodes it. */
function encoded(text: string): string {
  return text.replace(/[^\x21\x23\x24\x26-\x7e]+/g, (part) =>
    [...utf8Encode(part)]
      .map((byte) => upperCase(`%${byte.toString(16).padStart(2, "0")}`))
      .join(""),
  );
}

function upperCase(text: string): string {
  return text.toUpperCase();
}

function utf8Of(bytes: string): string | undefined {
  try {
    const read = Uint8Array.from(bytes, (character) => character.charCodeAt(0));
    return getTextEncoding().decodeUtf8(read, true);
  } catch {
    return undefined;
  }
}

function bad(name: string, problem: string): MessagingError {
  return new MessagingError("BAD_REQUEST", `the header ce-${name.slice(0, 64)} ${problem}`);
}
