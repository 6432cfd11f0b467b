/** HMAC-SHA256 by the Web's own means, which every host has. */
import { made } from "../../channels/maps.ts";
import type { Hmac } from "../../engine/ports/platform.ts";

const HMAC = { name: "HMAC", hash: "SHA-256" };
/** Secrets are few, and a key is made once for each. */
const keys = new WeakMap<Uint8Array, Promise<CryptoKey>>();

export const webHmac: Hmac = async (secret, message) => {
  const key = made(keys, secret, () =>
    crypto.subtle.importKey("raw", new Uint8Array(secret), HMAC, false, ["sign"]),
  );
  return new Uint8Array(await crypto.subtle.sign("HMAC", await key, new Uint8Array(message)));
};
