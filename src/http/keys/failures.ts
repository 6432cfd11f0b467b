/**
 * How often an address may fail: so many times at once, then once in a while. Memory has a bound. This slows down
 * a client that keeps sending what is wrong; keys are kept from being guessed by how long they are.
 */

/** Failures that an address may have at once. */
export const FAILURES_AT_ONCE = 20;
/** How long it takes until it may have one more, in milliseconds. */
export const FAILURE_EVERY_MS = 3_000;
/** Addresses that are remembered; of more, the one is forgotten that failed the longest time ago. */
const MAX_ADDRESSES = 10_000;

export class Failures {
  /** When an address will have as many as at first, by steady time in milliseconds; it failed last that stands last. */
  readonly #whole = new Map<string, number>();

  /** Addresses that are remembered. */
  get size(): number {
    return this.#whole.size;
  }

  /** How long an address has to wait until it may try again, in milliseconds; 0 where it need not. */
  wait(address: string, now: number): number {
    const whole = this.#whole.get(networkOf(address)) ?? 0;
    return Math.max(0, Math.ceil(whole - now - (FAILURES_AT_ONCE - 1) * FAILURE_EVERY_MS));
  }

  count(address: string, now: number): void {
    const network = networkOf(address);
    const whole = Math.max(this.#whole.get(network) ?? 0, now) + FAILURE_EVERY_MS;
    this.#whole.delete(network);
    this.#whole.set(network, whole);
    for (const [oldest, until] of this.#whole) {
      if (until > now && this.#whole.size <= MAX_ADDRESSES) break;
      this.#whole.delete(oldest);
    }
  }
}

/** A client with one address of IPv6 has the 2^64 of its network. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...new Array<string>(zeros).fill("0"), ...right].slice(0, 4).join(":");
}
