/** Which thread has an object: rendezvous hashing, so that another number of threads moves as few of them as can be. */

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
