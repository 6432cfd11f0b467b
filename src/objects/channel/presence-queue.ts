/**
 * Presence changes that wait for one gateway. Too many are dropped, and the gateway is made to ask
 * for the members: that answer covers all that was waiting.
 */

/** Changes that may wait for a gateway. */
const MAX_WAITING_CHANGES = 1_000;

export interface WaitingPresence {
  /** Encoded, in the order of their generations. */
  readonly changes: readonly Uint8Array[];
  /** Some were dropped. */
  readonly lost: boolean;
}

export class PresenceQueue {
  #changes: Uint8Array[] = [];
  #lost: boolean;

  /** @param lost an earlier life may have had some that never arrived */
  constructor(lost: boolean) {
    this.#lost = lost;
  }

  get empty(): boolean {
    return this.#changes.length === 0 && !this.#lost;
  }

  push(changes: readonly Uint8Array[]): void {
    if (this.#lost) return;
    this.#changes.push(...changes);
    if (this.#changes.length > MAX_WAITING_CHANGES) this.#lose();
  }

  /** Everything that waits. */
  get waiting(): WaitingPresence {
    return { changes: this.#changes, lost: this.#lost };
  }

  /** Everything that waits; it waits no more. */
  take(): WaitingPresence {
    const taken = this.waiting;
    this.#changes = [];
    this.#lost = false;
    return taken;
  }

  /** What was taken did not arrive, or may not have. */
  putBack({ changes, lost }: WaitingPresence): void {
    if (lost) this.#lose();
    if (this.#lost) return;
    const later = this.#changes;
    this.#changes = [...changes];
    this.push(later);
  }

  #lose(): void {
    this.#changes = [];
    this.#lost = true;
  }
}
