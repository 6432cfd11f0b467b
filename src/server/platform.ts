/** Time, chance and turns of the event loop as Node gives them. */
import { createHmac, createSecretKey, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import { made } from "../channels/maps.ts";
import { shortId as shortIdFrom } from "../channels/short-id.ts";
import type { Clock, Hmac, Random, Timers } from "../engine/ports/platform.ts";

export const clock: Clock = { now: () => Date.now() };

export const random: Random = { uuid: () => randomUUID() };

/** Secrets are few, and a key is made once for each. */
const keys = new WeakMap<Uint8Array, KeyObject>();

/**
 * Made on this thread: WebCrypto hands each call to another one, and to wake that up and to hear from it costs several
 * times of what the HMAC of a token or of a request does.
 */
export const hmac: Hmac = (secret, message) => {
  const key = made(keys, secret, () => createSecretKey(secret));
  return createHmac("sha256", key).update(message).digest();
};

export const timers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Timers that do not keep a process running that has nothing else to do. */
export const idleTimers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** The same, where a timer of no time is the end of this turn. */
export const threadTimers: Timers = {
  after(ms, callback) {
    if (ms > 0) return idleTimers.after(ms, callback);
    const turn = setImmediate(callback);
    return () => clearImmediate(turn);
  },
};

/** A short random name, unguessable. */
export function shortId(): string {
  return shortIdFrom(someRandomBytes);
}

/** Each channel has such a name for its log, and to ask for 16 bytes costs as much as to ask for all of these. */
const POOL_BYTES = 4_096;
let pool = Buffer.alloc(0);

/** Random bytes that nobody else gets. */
function someRandomBytes(length: number): Uint8Array {
  if (pool.length < length) pool = randomBytes(POOL_BYTES);
  const bytes = pool.subarray(0, length);
  pool = pool.subarray(length);
  return bytes;
}

/** Calls back in the next turn of the event loop, after what has come in by then. */
export function nextTurn(callback: () => void): void {
  setImmediate(callback);
}
