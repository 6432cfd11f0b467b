/** Where an object lives in the simulation: its lives come and go, its disk and its alarm stay. */
import { background } from "../../src/engine/background.ts";
import type { Logger } from "../../src/engine/ports/platform.ts";
import type { ObjectStorage } from "../../src/objects/ports/storage.ts";
import { Life, type Machine } from "./machine.ts";

/** What an object has beside its methods. */
interface Living {
  found?(at: number | null): void;
  alarm?(): Promise<void>;
}

export interface PlaceHost {
  readonly logger: Logger;
  /** An alarm was set. */
  alarmSet(): void;
  /** An alarm has come. */
  alarmCame(): void;
}

export class Place<T extends object> {
  readonly machine: Machine;
  readonly #host: PlaceHost;
  readonly #open: (life: Life, storage: ObjectStorage) => T & Living;
  /** Unix milliseconds. */
  #alarmAt: number | null = null;
  #current: { readonly life: Life; readonly object: T & Living } | undefined;

  /** @param open begins a life over the disk */
  constructor(
    machine: Machine,
    host: PlaceHost,
    open: (life: Life, storage: ObjectStorage) => T & Living,
  ) {
    this.machine = machine;
    this.#host = host;
    this.#open = open;
  }

  /** The life of the object, which begins here where there is none. */
  get life(): Life {
    return this.#opened.life;
  }

  get object(): T {
    return this.#opened.object;
  }

  /** The object loses all that it does not keep, in whatever it was doing. */
  reset(): void {
    const life = this.#current?.life;
    this.#current = undefined;
    life?.end();
  }

  get #opened(): { readonly life: Life; readonly object: T & Living } {
    if (this.#current !== undefined) return this.#current;
    const life = new Life(this.machine, this.#host.logger);
    const storage: ObjectStorage = {
      setAlarm: (at) => {
        if (!life.over) this.#setAlarm(at);
      },
      // A day has to pass before an object may forget everything.
      forget: () => Promise.reject(new Error("nothing is forgotten here")),
    };
    const object = this.#open(life, storage);
    object.found?.(this.#alarmAt);
    this.#current = { life, object };
    return this.#current;
  }

  #setAlarm(at: number): void {
    this.#alarmAt = at;
    this.#host.alarmSet();
    const { agenda } = this.machine;
    agenda.after(at - agenda.now(), () => {
      if (this.#alarmAt !== at) return;
      this.#alarmAt = null;
      this.#host.alarmCame();
      const { life, machine } = this;
      machine.wait();
      const alarm = this.#opened.object.alarm?.() ?? Promise.resolve();
      const over = life.onEnd(() => machine.heard());
      const done = alarm.finally(() => {
        if (!life.over) machine.heard();
        over();
      });
      background(done, this.#host.logger, "an alarm");
    });
  }
}
