/**
 * Which thread has an object. Of pattern indexes, users and counters rendezvous hashing says it, so that another number of
 * threads moves as few of them as can be. A channel is kept by the thread that has wanted it first, where its
 * subscriber or its publisher is: one of few clients costs few calls between threads.
 */

/** Places in the table of owners; channels whose names share one have one owner. A power of two. */
const PLACES = 2 ** 20;
/** How many more places than its share a thread may take; the thread with the fewest gets what is beyond. */
const MOST_AHEAD = 16;

/** What the threads of a process share to agree on the owners of channels: how many places each has, and whose each is. */
export function ownersMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(countBytes(threads) + PLACES);
}

/**
 * The owners of channels, as one thread sees and names them. An owner is named once, and stays as long as the process
 * does: a thread that takes the place of one that has ended has its channels.
 *
 * @example
 * const owners = new ChannelOwners(memory, 4, 2);
 * owners.of("chat.room"); // 2 where no thread has asked before
 */
export class ChannelOwners {
  readonly #index: number;
  readonly #counts: Int32Array;
  /** One more than the owner; 0 where there is none. */
  readonly #places: Uint8Array;

  /** @param index of the thread that asks */
  constructor(memory: SharedArrayBuffer, threads: number, index: number) {
    this.#index = index;
    this.#counts = new Int32Array(memory, 0, threads);
    this.#places = new Uint8Array(memory, countBytes(threads), PLACES);
  }

  /** The thread that has a channel; undefined where no thread has wanted it yet. */
  known(channel: string): number | undefined {
    const stored = Atomics.load(this.#places, placeOf(channel));
    return stored === 0 ? undefined : stored - 1;
  }

  /** The thread that has a channel, from now on. */
  of(channel: string): number {
    const place = placeOf(channel);
    const stored = Atomics.load(this.#places, place);
    if (stored !== 0) return stored - 1;
    const owner = this.#next();
    const other = Atomics.compareExchange(this.#places, place, 0, owner + 1);
    if (other !== 0) return other - 1;
    Atomics.add(this.#counts, owner, 1);
    return owner;
  }

  /** This thread, where it has not more than its share. */
  #next(): number {
    const counts = this.#counts;
    let all = 0;
    let fewest = 0;
    for (let thread = 0; thread < counts.length; thread++) {
      const count = Atomics.load(counts, thread);
      all += count;
      if (count < Atomics.load(counts, fewest)) fewest = thread;
    }
    const own = Atomics.load(counts, this.#index);
    return own - all / counts.length < MOST_AHEAD ? this.#index : fewest;
  }
}

function countBytes(threads: number): number {
  return threads * Int32Array.BYTES_PER_ELEMENT;
}

function placeOf(name: string): number {
  return mixed(hash(name)) & (PLACES - 1);
}

/** @returns 0 to `threads - 1` */
export function ownerOf(name: string, threads: number): number {
  const seed = hash(name);
  let owner = 0;
  let most = -1;
  for (let thread = 0; thread < threads; thread++) {
    const weight = mixed(seed ^ Math.imul(thread + 1, 0x9e3779b1));
    if (weight <= most) continue;
    most = weight;
    owner = thread;
  }
  return owner;
}

/** FNV-1a, by units of UTF-16. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** The last steps of MurmurHash3: every bit of the result depends on every bit of the value. */
function mixed(value: number): number {
  let bits = value ^ (value >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
