/**
 * One object has one alarm for all its needs. Each need asks to be called by a time; the
 * earliest is stored, and when the alarm comes the object looks after all of them and asks again.
 *
 * No host need repeat a handler that throws. Workers do so six times at most, and only while no other alarm
 * was set. So work that fails is repeated here, for as long as it fails.
 */
import { background } from "../engine/background.ts";
import type { Clock, Logger } from "../engine/ports/platform.ts";
import { pauseAfter } from "../engine/ports/timers.ts";
import type { ObjectStorage } from "./ports/storage.ts";
import { Trouble } from "./trouble.ts";

/** Before work that has failed is tried again. */
const PAUSES = { firstMs: 2_000, longestMs: 60_000 };

export interface AlarmTerms {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long to wait after so many failures in a row, in milliseconds. */
export function retryPause(failures: number): number {
  return pauseAfter(failures, PAUSES);
}

/**
 * @example
 * const alarm = new SharedAlarm(storage, platform);
 * alarm.by(clock.now() + 10_000); // stored
 * alarm.by(clock.now() + 60_000); // not stored: an earlier one is
 * await alarm.come(async () => look()); // the host's handler; what throws is repeated
 */
export class SharedAlarm {
  readonly #storage: Pick<ObjectStorage, "setAlarm">;
  readonly #terms: AlarmTerms;
  readonly #trouble: Trouble;
  /** When it is stored for, Unix milliseconds; undefined when there is none. */
  #at: number | undefined;
  /** In a row. */
  #failures = 0;

  constructor(storage: Pick<ObjectStorage, "setAlarm">, terms: AlarmTerms) {
    this.#storage = storage;
    this.#terms = terms;
    this.#trouble = new Trouble("alarms", terms);
  }

  /** What storage says at the start of a life, or that the alarm has come. */
  found(at: number | null | undefined): void {
    this.#at = at ?? undefined;
  }

  /** Makes sure that the alarm comes at this time or sooner, Unix milliseconds. */
  by(at: number): void {
    if (this.#at !== undefined && this.#at <= at) return;
    const setting = this.#storage.setAlarm(at);
    this.#at = at;
    if (setting instanceof Promise)
      background(this.#stored(setting, at), this.#terms.logger, "alarm");
  }

  /** The alarm has come: does its work, and comes again soon where that fails. */
  async come(work: () => Promise<void>): Promise<void> {
    this.#at = undefined;
    try {
      await work();
      this.#failures = 0;
      this.#trouble.worked();
    } catch (error) {
      this.#failures += 1;
      this.#trouble.failed(error);
      this.by(this.#terms.clock.now() + retryPause(this.#failures));
    }
  }

  async #stored(setting: Promise<unknown>, at: number): Promise<void> {
    try {
      await setting;
    } catch (error) {
      if (this.#at === at) this.#at = undefined;
      throw error;
    }
  }
}
