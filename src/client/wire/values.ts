/** Values that JSON has no form for: it has integers of 64 bits and bytes as texts. */

export type Bag = Record<string, unknown>;

/** An integer as a number. @throws what is none, or lies beyond 2^53 - 1, where numbers are not exact */
export function exact(value: unknown): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw value;
  return number;
}

/** For `JSON.stringify`. */
export function bytesAsText(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? toBase64(value) : value;
}

/**
 * Bytes as base64 with padding. Byte by byte: to spread a long array into one call overflows the stack.
 *
 * @example
 * toBase64(Uint8Array.of(1, 2)); // "AQI="
 */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Turns the texts of an event's bytes into what they are, in place. */
export function mendEvent(event: Bag): void {
  mendBytes(event, "binary_data");
  const attributes = event["attributes"] as Record<string, Bag>;
  for (const name in attributes) mendBytes(attributes[name] as Bag, "ce_bytes");
}

function mendBytes(value: Bag, key: string): void {
  const text = value[key];
  if (typeof text === "string") {
    value[key] = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }
}
