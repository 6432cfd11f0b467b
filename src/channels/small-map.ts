/**
 * A map that nearly always has one entry. A server holds several for every connection, and a Map of
 * one entry costs four times what the entry does; this one makes a Map for its second entry. In the
 * order of insertion.
 */
export class SmallMap<Key, Value> {
  /** The only entry; its parts mean nothing while there is none, or once there is a map. */
  #key: Key | undefined;
  #value: Value | undefined;
  /** Undefined for no entry, true for the one above, else all of them. */
  #entries: true | Map<Key, Value> | undefined;

  get size(): number {
    const entries = this.#entries;
    return entries === undefined ? 0 : entries === true ? 1 : entries.size;
  }

  get(key: Key): Value | undefined {
    const entries = this.#entries;
    if (entries === undefined) return undefined;
    if (entries === true) return this.#key === key ? this.#value : undefined;
    return entries.get(key);
  }

  has(key: Key): boolean {
    const entries = this.#entries;
    if (entries === undefined) return false;
    return entries === true ? this.#key === key : entries.has(key);
  }

  set(key: Key, value: Value): void {
    const entries = this.#entries;
    if (entries === undefined || (entries === true && this.#key === key)) {
      this.#key = key;
      this.#value = value;
      this.#entries = true;
    } else if (entries === true) {
      this.#entries = new Map([
        [this.#key as Key, this.#value as Value],
        [key, value],
      ]);
      this.#clear();
    } else entries.set(key, value);
  }

  /** Returns whether it was there. */
  delete(key: Key): boolean {
    const entries = this.#entries;
    if (entries === undefined) return false;
    if (entries !== true) return entries.delete(key);
    if (this.#key !== key) return false;
    this.#entries = undefined;
    this.#clear();
    return true;
  }

  /** As with a Map, entries may go while it is iterated. */
  [Symbol.iterator](): IterableIterator<[Key, Value]> {
    const entries = this.#entries;
    if (entries === undefined) return [][Symbol.iterator]();
    if (entries !== true) return entries[Symbol.iterator]();
    const only: [Key, Value] = [this.#key as Key, this.#value as Value];
    return [only][Symbol.iterator]();
  }

  *keys(): Iterable<Key> {
    for (const [key] of this) yield key;
  }

  *values(): Iterable<Value> {
    for (const [, value] of this) yield value;
  }

  #clear(): void {
    this.#key = undefined;
    this.#value = undefined;
  }
}
