/**
 * One object has one alarm, whatever it is needed for. Each need asks to be called by a time; the
 * earliest is stored, and when the alarm comes the object looks after all of them and asks anew.
 */

/** The part of `ctx.storage` that is used. */
export interface AlarmStorage {
  setAlarm(at: number): unknown;
}

export class SharedAlarm {
  readonly #storage: AlarmStorage;
  /** When it is stored for, Unix milliseconds; undefined when there is none. */
  #at: number | undefined;

  constructor(storage: AlarmStorage) {
    this.#storage = storage;
  }

  /** What storage says at the start of a life, or that the alarm has come. */
  found(at: number | null | undefined): void {
    this.#at = at ?? undefined;
  }

  /** Makes sure that the alarm comes at this time or sooner, Unix milliseconds. */
  by(at: number): void {
    if (this.#at !== undefined && this.#at <= at) return;
    this.#at = at;
    void this.#storage.setAlarm(at);
  }
}
