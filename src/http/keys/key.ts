/** API keys: how one is written, and what settings hold in its place. */

/**
 * What a key is good for: publishing, reading history and presence, changing what others have, and tracing frames, without the
 * events in them and with.
 */
export const RIGHTS = ["publish", "read", "manage", "trace", "trace-payloads"] as const;
/** Those of a key that is made without a word about them: what looks into frames has to be asked for. */
export const USUAL_RIGHTS: readonly Right[] = ["publish", "read", "manage"];
export type Right = (typeof RIGHTS)[number];

/** A key as settings have it: by its digest, so that a reader of them cannot use it. */
export interface KeyEntry {
  /** Names the key in logs and in what it published; letters, digits and hyphens, at most 32. */
  readonly id: string;
  /** SHA-256 of the whole key, 32 bytes. */
  readonly digest: Uint8Array;
  readonly rights: readonly Right[];
  /** Channels that it is good for, by patterns or names. */
  readonly patterns: readonly string[];
  /** From when on it is good for nothing, Unix milliseconds; undefined for never. */
  readonly expiresAt: number | undefined;
}

/** Bytes of chance in a key that we make: 256 bits. */
export const SECRET_BYTES = 32;
export const KEY_ID = /^[A-Za-z0-9-]{1,32}$/;

/** The text of a key: `ml_ID_SECRET`, the secret in base64url. Its two hard words make it easy to find in a leak. */
export function writeKey(id: string, secret: Uint8Array): string {
  return `ml_${id}_${base64url(secret)}`;
}

/** A fresh key and what settings hold of it, in the form that they are written in. */
export interface MadeKey {
  readonly key: string;
  readonly entry: {
    readonly id: string;
    /** Hexadecimal. */
    readonly digest: string;
    readonly rights: readonly Right[];
    readonly patterns: readonly string[];
    /** A time such as `2027-01-31T00:00:00Z`. */
    readonly expires?: string;
  };
}

/** SHA-256 of a text, as the platform has it. */
export type Sha256 = (text: string) => Uint8Array | Promise<Uint8Array>;

export function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
