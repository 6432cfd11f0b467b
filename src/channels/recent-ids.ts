/** Ids that came lately, so that what comes twice is known: by several ways, or because a call was repeated. */
export class RecentIds {
  readonly #most: number;
  readonly #ids = new Set<string>();

  /** @param most of more, those are forgotten that came first */
  constructor(most: number) {
    this.#most = most;
  }

  /** Returns whether it has not come lately. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size <= this.#most) return true;
    for (const first of this.#ids) {
      this.#ids.delete(first);
      break;
    }
    return true;
  }
}
