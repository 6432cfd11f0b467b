/** Where an object lives: its lives come and go, its disk and its alarm stay. */
import { background } from "../../src/engine/background.ts";
import type { Timers } from "../../src/engine/ports/platform.ts";
import type { ObjectPlatform } from "../../src/objects/ports/platform.ts";
import type { ObjectStorage } from "../../src/objects/ports/storage.ts";

interface Living {
  found(at: number | null): void;
  alarm(): Promise<void>;
}

/** What an object has that asks for no alarm. */
export const NO_ALARM: Living = { found: () => {}, alarm: async () => {} };

/** One life. When it is over nothing goes on that it has begun, as when a process ends. */
export class Life {
  over = false;
  readonly platform: ObjectPlatform;

  constructor({ clock, logger, timers }: ObjectPlatform) {
    const own: Timers = {
      after: (ms, callback) =>
        timers.after(ms, () => {
          if (!this.over) callback();
        }),
    };
    this.platform = { clock, logger, timers: own };
  }

  /** A call's outcome, which nobody hears when the life is over. */
  hear<T>(outcome: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      outcome.then(
        (value) => !this.over && resolve(value),
        (error: unknown) => !this.over && reject(error),
      );
    });
  }
}

export class Place<T extends Living> {
  /** Unix milliseconds. */
  alarmAt: number | null = null;
  readonly #platform: ObjectPlatform;
  readonly #open: (life: Life, storage: ObjectStorage) => T;
  readonly #wipe: () => void;
  #current: { readonly life: Life; readonly object: T } | undefined;

  /**
   * @param open begins a life over the disk
   * @param wipe empties the disk
   */
  constructor(
    platform: ObjectPlatform,
    open: (life: Life, storage: ObjectStorage) => T,
    wipe: () => void,
  ) {
    this.#platform = platform;
    this.#open = open;
    this.#wipe = wipe;
  }

  /** The object, which begins a life where it has none. */
  get object(): T {
    if (this.#current === undefined) {
      const life = new Life(this.#platform);
      const object = this.#open(life, this.#storage(life));
      object.found(this.alarmAt);
      this.#current = { life, object };
    }
    return this.#current.object;
  }

  /** The object loses all that it does not keep, in whatever it was doing. */
  reset(): void {
    if (this.#current !== undefined) this.#current.life.over = true;
    this.#current = undefined;
  }

  #storage(life: Life): ObjectStorage {
    return {
      setAlarm: (at) => {
        if (life.over) return;
        this.alarmAt = at;
        this.#platform.timers.after(at - this.#platform.clock.now(), () => {
          if (this.alarmAt !== at) return;
          this.alarmAt = null;
          background(this.object.alarm(), this.#platform.logger, "an alarm");
        });
      },
      forget: async () => {
        this.alarmAt = null;
        this.#wipe();
      },
    };
  }
}
