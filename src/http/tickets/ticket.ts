/**
 * The text of a ticket: `mlt.KEY.CLAIMS.MAC`, where KEY is the id of the key that signed it, CLAIMS are JSON in
 * base64url, and MAC is the HMAC of all that stands before it, in base64url.
 */
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { utf8Decode, utf8Encode } from "../../protocol/utf8.ts";

/** Makes a ticket easy to find in a leak. */
const PREFIX = "mlt";
export const TICKET_KEY_ID = /^[A-Za-z0-9-]{1,32}$/;

/** What a ticket says. */
export interface TicketClaims {
  /** The bearer's user; empty for an anonymous one. */
  readonly user: string;
  /** Channels and patterns whose events the bearer may read. */
  readonly channels: readonly string[];
  /** When it was made, Unix milliseconds; undefined in one of an older version. */
  readonly issued?: number;
  /** From when on it is good for nothing, Unix milliseconds. */
  readonly expires: number;
}

/** A ticket taken apart. Nothing of it is true before its MAC has been checked. */
export interface UncheckedTicket {
  readonly key: string;
  /** What the MAC is of. */
  readonly signed: Uint8Array;
  readonly mac: Uint8Array;
  readonly claims: string;
}

/** What of a ticket is signed. */
export function writeClaims(
  key: string,
  { user, channels, issued, expires }: TicketClaims,
): string {
  const claims = utf8Encode(JSON.stringify({ user, channels, issued, expires }));
  return `${PREFIX}.${key}.${base64Encode(claims, "url")}`;
}

export function withMac(signed: string, mac: Uint8Array): string {
  return `${signed}.${base64Encode(mac, "url")}`;
}

/** Undefined for what is no ticket. */
export function takeApart(text: string): UncheckedTicket | undefined {
  const [, signed = "", prefix, key = "", claims = "", mac = ""] =
    /^(([a-z]+)\.([A-Za-z0-9-]{1,32})\.([\w-]+))\.([\w-]+)$/.exec(text) ?? [];
  if (prefix !== PREFIX) return undefined;
  try {
    return { key, signed: utf8Encode(signed), mac: base64Decode(mac), claims };
  } catch {
    return undefined;
  }
}

/** Claims that we have written: call it for what has been checked only. */
export function readClaims(claims: string): TicketClaims {
  return JSON.parse(utf8Decode(base64Decode(claims))) as TicketClaims;
}
