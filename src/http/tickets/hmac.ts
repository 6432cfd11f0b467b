/** HMAC-SHA256 by the Web's own means, which every host has. */
import type { Hmac } from "../../engine/ports/platform.ts";

const HMAC = { name: "HMAC", hash: "SHA-256" };
/** Secrets are few, and a key is made once for each. */
const keys = new WeakMap<Uint8Array, Promise<CryptoKey>>();

export const webHmac: Hmac = async (secret, message) => {
  let key = keys.get(secret);
  if (key === undefined) {
    key = crypto.subtle.importKey("raw", new Uint8Array(secret), HMAC, false, ["sign"]);
    keys.set(secret, key);
  }
  return new Uint8Array(await crypto.subtle.sign("HMAC", await key, new Uint8Array(message)));
};
